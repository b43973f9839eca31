//! Requests held against every vendor's catalogue, and what is written of those that are accepted.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use polysight_core::plan::PlanBuilder;
use polysight_core::{
    ChatRequest, Detail, Effort, Error, Estimate, Image, Message, MessageRole, Part, Plan, RandomSampling,
    ResponseFormat, Result, Sampling, Thinking, Tolerance, ToolCall, ToolChoice, ToolDefinition, ToolResult,
    Video,
};
use polysight_testkit::{Client, Wire, shown};
use polysight_wire::{Dialect, Mode};
use serde_json::{Value, json};

use crate::display::{CANARY, check_one_line, check_secret};
use crate::input::Input;
use crate::wires::{options, transport};

const PICTURE: &[u8] = include_bytes!("../../corpus/picture/small.png");
const VIDEO: &[u8] = include_bytes!("../../corpus/video/small.mp4");

/// No request makes planning panic, and what a plan accepts is written as JSON of exactly the announced length, no field of
/// it twice; a refusal does not show the prompt.
pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let providers = providers();
    let dialect = providers[input.below(providers.len())].dialect();
    let request = request(&mut input, dialect);
    for mode in [Mode::Plain, Mode::Stream] {
        match planned(dialect, request.clone()) {
            Err(error) => check_refusal(&error),
            Ok(plan) => check_plan(dialect, &plan, mode),
        }
    }
}

/// As a provider plans.
fn planned(dialect: &dyn Dialect, mut request: ChatRequest) -> Result<Plan> {
    if request.model.is_none() {
        request.model = dialect.default_model().map(str::to_owned);
    }
    let card = dialect.catalog().card(request.model.as_deref().unwrap_or_default());
    let mut draft = PlanBuilder::new(dialect.id(), &request, card);
    dialect.check(&mut draft);
    let estimate: Estimate = dialect.estimate(&draft.request, &draft.card);
    draft.finish(estimate)
}

fn check_refusal(error: &Error) {
    check_one_line(error);
    assert!(!error.violations().is_empty(), "refuses without a reason: {}", shown(error));
    check_secret(error);
}

fn check_plan(dialect: &dyn Dialect, plan: &Plan, mode: Mode) {
    for line in plan.adjustments.iter().map(ToString::to_string).chain(plan.notes.iter().cloned()) {
        assert!(!line.contains(CANARY), "shows the prompt: {line}");
    }
    let wire =
        dialect.encode(plan, mode).unwrap_or_else(|error| panic!("planned and not written: {error:?}"));
    let body = wire.body.to_vec().expect("media in memory");
    assert_eq!(body.len() as u64, wire.body.len(), "the announced length");
    let OnceEach(value) = serde_json::from_slice(&body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
    assert_eq!(value["model"], plan.model());
    for header in wire.headers.values() {
        assert!(!header.as_bytes().windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}

fn request(input: &mut Input<'_>, dialect: &dyn Dialect) -> ChatRequest {
    let mut request = ChatRequest::new([Message::user("What is this?")]);
    request.model = model(input, dialect);
    if input.flag() {
        request.messages[0].parts.push(Part::Image(image(input)));
    }
    // With everything odd at once nothing is ever accepted.
    let odd = input.below(8) == 7;
    let knobs =
        input.number() as u16 & if odd { u16::MAX } else { input.number() as u16 & input.number() as u16 };
    (0..16).filter(|knob| knobs >> knob & 1 == 1).for_each(|knob| turn(&mut request, knob, input));
    request
}

fn turn(request: &mut ChatRequest, knob: u16, input: &mut Input<'_>) {
    match knob {
        0 => request.messages = input.list(4, message).into(),
        1 => request.messages.extend(input.list(4, message)),
        2 => {
            request.tolerance = Some(input.pick(&[Tolerance::Strict, Tolerance::Lossless, Tolerance::Lossy]));
        }
        3 => request.sampling = sampling(input),
        4 => request.max_tokens = Some(input.count()),
        5 => request.stop = input.list(5, Input::text),
        6 => request.seed = Some(input.number() as i64),
        7 => request.request_id = Some(input.text()),
        8 => request.end_user_id = Some(input.text()),
        9 => request.thinking = thinking(input),
        10 => {
            request.response_format = match input.flag() {
                true => ResponseFormat::JsonObject,
                false => ResponseFormat::JsonSchema {
                    name: input.text(),
                    schema: value(input, 3),
                    strict: input.flag(),
                },
            };
        }
        11 => {
            request.tools = input
                .list(2, |input| ToolDefinition::new(input.text(), input.text(), value(input, 3)))
                .into();
        }
        12 => {
            request.tool_choice = match input.below(3) {
                0 => ToolChoice::None,
                1 => ToolChoice::Required,
                _ => ToolChoice::Function(input.text()),
            };
        }
        13 => request.parallel_tool_calls = Some(input.flag()),
        14 => request.messages[..].iter_mut().for_each(|message| message.parts.push(part(input))),
        _ => {
            let vendor = input.pick(&["zhipu", "qwen-vl", "ernie", "acme"]);
            *request = std::mem::take(request).with_extra(vendor, field(input), value(input, 3));
        }
    }
}

fn thinking(input: &mut Input<'_>) -> Thinking {
    match input.below(4) {
        0 => Thinking::Off,
        1 => Thinking::On,
        2 => Thinking::Budget(input.count()),
        _ => Thinking::Effort(input.pick(&[Effort::Low, Effort::Medium, Effort::High, Effort::Max])),
    }
}

fn model(input: &mut Input<'_>, dialect: &dyn Dialect) -> Option<String> {
    let ids: Vec<&str> = dialect.catalog().cards().iter().map(|card| card.id.as_str()).collect();
    match input.below(8) {
        0 => None,
        1 => Some(input.text()),
        _ if ids.is_empty() => None,
        _ => Some(input.pick(&ids).to_owned()),
    }
}

/// A field of a vendor's body, or one that belongs to the request itself.
fn field(input: &mut Input<'_>) -> String {
    const FIELDS: [&str; 16] = [
        "model",
        "messages",
        "stream",
        "temperature",
        "max_tokens",
        "tools",
        "stop",
        "seed",
        "user",
        "request_id",
        "clear_thinking",
        "tool_stream",
        "vl_high_resolution_images",
        "web_search",
        "metadata",
        "top_k",
    ];
    if input.below(4) == 0 { input.text() } else { input.pick(&FIELDS).to_owned() }
}

fn sampling(input: &mut Input<'_>) -> Sampling {
    let mut random = RandomSampling::default();
    match input.below(4) {
        0 => return Sampling::Default,
        1 => return Sampling::Greedy,
        _ => {}
    }
    random.temperature = input.maybe(Input::float);
    random.top_p = input.maybe(Input::float);
    random.top_k = input.maybe(Input::count);
    random.presence_penalty = input.maybe(Input::float);
    random.frequency_penalty = input.maybe(Input::float);
    random.repetition_penalty = input.maybe(Input::float);
    Sampling::Random(random)
}

fn message(input: &mut Input<'_>) -> Message {
    let mut message = Message::new(input.pick(&[
        MessageRole::User,
        MessageRole::User,
        MessageRole::System,
        MessageRole::Assistant,
        MessageRole::Tool,
    ]));
    message.parts = input.list(4, part);
    message
}

fn part(input: &mut Input<'_>) -> Part {
    match input.below(9) {
        0..=2 => Part::Text(format!("{CANARY}{}", input.text())),
        3 => Part::Text(input.text()),
        4 => Part::Image(image(input)),
        5 => Part::Video(video(input)),
        6 => Part::ToolCall(ToolCall::new(input.text(), input.text(), value(input, 2).to_string())),
        7 => Part::ToolResult(ToolResult::new(input.text(), format!("{CANARY}{}", input.text()))),
        _ => Part::Reasoning(format!("{CANARY}{}", input.text())),
    }
}

fn image(input: &mut Input<'_>) -> Image {
    let mut image = match input.below(4) {
        0 => Image::from_url("https://cdn.example/a.jpg?sign=x"),
        1 => Image::from_url("oss://dashscope-instant/a.jpg"),
        2 => {
            Image::from_data_uri(format!("data:image/png;base64,{}", crate::reference_impl::encode(PICTURE)))
        }
        _ => Image::from_bytes(sized(input)),
    }
    .expect("a picture");
    if let Some(pixels) = input.maybe(Input::number) {
        image = image.with_min_pixels(pixels);
    }
    if let Some(pixels) = input.maybe(Input::number) {
        image = image.with_max_pixels(pixels);
    }
    match input.maybe(|input| input.pick(&[Detail::Auto, Detail::Low, Detail::High])) {
        Some(detail) => image.with_detail(detail),
        None => image,
    }
}

/// A picture that says it is of any size.
fn sized(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = PICTURE.to_vec();
    if input.flag() {
        bytes[16..20].copy_from_slice(&input.count().max(1).to_be_bytes());
        bytes[20..24].copy_from_slice(&input.count().max(1).to_be_bytes());
    }
    bytes
}

fn video(input: &mut Input<'_>) -> Video {
    let mut video = match input.below(3) {
        0 => Video::from_url("https://cdn.example/a.mp4"),
        1 => Video::from_bytes(VIDEO),
        _ => Video::from_frames((0..=input.below(8)).map(|_| image(input)).collect::<Vec<_>>()),
    }
    .expect("a video");
    if input.flag() {
        video = video.with_fps(input.float());
    }
    if let Some(frames) = input.maybe(Input::count) {
        video = video.with_max_frames(frames);
    }
    if let Some(pixels) = input.maybe(Input::number) {
        video = video.with_min_pixels(pixels);
    }
    if let Some(pixels) = input.maybe(Input::number) {
        video = video.with_max_pixels(pixels);
    }
    match input.maybe(Input::number) {
        Some(pixels) => video.with_total_pixels(pixels),
        None => video,
    }
}

/// Some JSON, up to so deep.
fn value(input: &mut Input<'_>, depth: usize) -> Value {
    match input.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => input.flag().into(),
        2 => input.number().into(),
        3 => input.float().into(),
        4 => input.text().into(),
        5 => input.list(3, |input| value(input, depth - 1)).into(),
        _ => {
            let fields = input.list(3, |input| (input.text(), value(input, depth - 1)));
            let mut object = json!({"type": "object"});
            object.as_object_mut().expect("an object").extend(fields);
            object
        }
    }
}

/// A JSON object that names no field twice at its top.
struct OnceEach(Value);

impl<'de> serde::Deserialize<'de> for OnceEach {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let (mut fields, mut names) = (serde_json::Map::new(), HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("`{name}` stands twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(fields.into())
            }
        }
        deserializer.deserialize_map(Fields).map(OnceEach)
    }
}

/// Every wire at its vendor's, and at the deployments that write something else.
fn providers() -> &'static [Client] {
    static PROVIDERS: OnceLock<Vec<Client>> = OnceLock::new();
    PROVIDERS.get_or_init(|| {
        let elsewhere = |vendor: Wire, deployments: &[&str]| -> Vec<Client> {
            let options = |name: &&str| {
                let url = "https://host.example/v1".parse().expect("a URL");
                options(transport()).with_deployment(*name).with_base_url(url)
            };
            deployments.iter().map(|name| vendor.client(options(name))).collect()
        };
        let own = Wire::ALL.map(|wire| wire.client(options(transport())));
        let mut all: Vec<Client> = own.into();
        all.extend(elsewhere(Wire::Zhipu, &["gateway", "vllm"]));
        all.extend(elsewhere(Wire::QwenVl, &["gateway", "vllm", "ollama", "llama-cpp"]));
        all.extend(elsewhere(Wire::Ernie, &["gateway", "fastdeploy", "vllm"]));
        all
    })
}
