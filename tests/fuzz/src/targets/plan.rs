//! Requests held against every vendor's catalogue, and what is written of those that are accepted.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use polysight_core::plan::PlanBuilder;
use polysight_core::{
    ChatRequest, Detail, Effort, Error, Estimate, Image, Message, Part, Plan, RandomSampling, ResponseFormat,
    Result, Role, Sampling, Thinking, Tolerance, ToolCall, ToolChoice, ToolDefinition, ToolResult, Video,
};
use polysight_wire::{Dialect, Mode};
use serde_json::{Value, json};

use crate::shown::{CANARY, all_of, check_one_line, check_secret};
use crate::tape::Tape;
use crate::wires::{Provider, Wire, options, transport};

const PICTURE: &[u8] = include_bytes!("../../corpus/picture/small.png");
const VIDEO: &[u8] = include_bytes!("../../corpus/video/small.mp4");

/// No request makes planning panic, and what a plan accepts is written as JSON of exactly the announced length, no field of
/// it twice; a refusal does not show the prompt.
pub(crate) fn check(data: &[u8]) {
    let mut tape = Tape::new(data);
    let providers = providers();
    let dialect = providers[tape.below(providers.len())].dialect();
    let request = request(&mut tape, dialect);
    for mode in [Mode::Plain, Mode::Stream] {
        match planned(dialect, request.clone(), mode) {
            Err(error) => check_refusal(&error),
            Ok(plan) => check_plan(dialect, &plan, mode),
        }
    }
}

/// As a provider plans.
fn planned(dialect: &dyn Dialect, mut request: ChatRequest, mode: Mode) -> Result<Plan> {
    if request.model.is_none() {
        request.model = dialect.default_model().map(str::to_owned);
    }
    let card = dialect.catalog().card(request.model.as_deref().unwrap_or_default());
    let mut draft = PlanBuilder::new(request, card, mode == Mode::Stream);
    dialect.check(&mut draft);
    let estimate: Estimate = dialect.estimate(&draft.request, &draft.card);
    draft.finish(estimate)
}

fn check_refusal(error: &Error) {
    check_one_line(error);
    assert!(!error.violations().is_empty(), "refuses without a reason: {}", all_of(error));
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

fn request(tape: &mut Tape<'_>, dialect: &dyn Dialect) -> ChatRequest {
    let mut request = ChatRequest::new([Message::user("What is this?")]);
    request.model = model(tape, dialect);
    if tape.flag() {
        request.messages[0].parts.push(Part::Image(image(tape)));
    }
    // With everything odd at once nothing is ever accepted.
    let odd = tape.below(8) == 7;
    let knobs =
        tape.number() as u16 & if odd { u16::MAX } else { tape.number() as u16 & tape.number() as u16 };
    (0..16).filter(|knob| knobs >> knob & 1 == 1).for_each(|knob| turn(&mut request, knob, tape));
    request
}

fn turn(request: &mut ChatRequest, knob: u16, tape: &mut Tape<'_>) {
    match knob {
        0 => request.messages = tape.list(4, message),
        1 => request.messages.extend(tape.list(4, message)),
        2 => {
            request.tolerance = Some(tape.pick(&[Tolerance::Strict, Tolerance::Lossless, Tolerance::Lossy]));
        }
        3 => request.sampling = sampling(tape),
        4 => request.max_tokens = Some(tape.count()),
        5 => request.stop = tape.list(5, Tape::text),
        6 => request.seed = Some(tape.number() as i64),
        7 => request.request_id = Some(tape.text()),
        8 => request.end_user_id = Some(tape.text()),
        9 => request.thinking = thinking(tape),
        10 => {
            request.response_format = match tape.flag() {
                true => ResponseFormat::JsonObject,
                false => ResponseFormat::JsonSchema {
                    name: tape.text(),
                    schema: value(tape, 3),
                    strict: tape.flag(),
                },
            };
        }
        11 => {
            request.tools =
                tape.list(2, |tape| ToolDefinition::new(tape.text(), tape.text(), value(tape, 3)));
        }
        12 => {
            request.tool_choice = match tape.below(3) {
                0 => ToolChoice::None,
                1 => ToolChoice::Required,
                _ => ToolChoice::Function(tape.text()),
            };
        }
        13 => request.parallel_tool_calls = Some(tape.flag()),
        14 => request.messages[..].iter_mut().for_each(|message| message.parts.push(part(tape))),
        _ => {
            let vendor = tape.pick(&["zhipu", "qwen-vl", "ernie", "acme"]);
            *request = std::mem::take(request).with_extra(vendor, field(tape), value(tape, 3));
        }
    }
}

fn thinking(tape: &mut Tape<'_>) -> Thinking {
    match tape.below(4) {
        0 => Thinking::Off,
        1 => Thinking::On,
        2 => Thinking::Budget(tape.count()),
        _ => Thinking::Effort(tape.pick(&[Effort::Low, Effort::Medium, Effort::High, Effort::Max])),
    }
}

fn model(tape: &mut Tape<'_>, dialect: &dyn Dialect) -> Option<String> {
    let ids: Vec<&str> = dialect.catalog().cards().iter().map(|card| card.id.as_str()).collect();
    match tape.below(8) {
        0 => None,
        1 => Some(tape.text()),
        _ if ids.is_empty() => None,
        _ => Some(tape.pick(&ids).to_owned()),
    }
}

/// A field of a vendor's body, or one that belongs to the request itself.
fn field(tape: &mut Tape<'_>) -> String {
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
    if tape.below(4) == 0 { tape.text() } else { tape.pick(&FIELDS).to_owned() }
}

fn sampling(tape: &mut Tape<'_>) -> Sampling {
    let mut random = RandomSampling::default();
    match tape.below(4) {
        0 => return Sampling::Default,
        1 => return Sampling::Greedy,
        _ => {}
    }
    random.temperature = tape.maybe(Tape::float);
    random.top_p = tape.maybe(Tape::float);
    random.top_k = tape.maybe(Tape::count);
    random.presence_penalty = tape.maybe(Tape::float);
    random.frequency_penalty = tape.maybe(Tape::float);
    random.repetition_penalty = tape.maybe(Tape::float);
    Sampling::Random(random)
}

fn message(tape: &mut Tape<'_>) -> Message {
    let mut message =
        Message::new(tape.pick(&[Role::User, Role::User, Role::System, Role::Assistant, Role::Tool]));
    message.parts = tape.list(4, part);
    message
}

fn part(tape: &mut Tape<'_>) -> Part {
    match tape.below(9) {
        0..=2 => Part::Text(format!("{CANARY}{}", tape.text())),
        3 => Part::Text(tape.text()),
        4 => Part::Image(image(tape)),
        5 => Part::Video(video(tape)),
        6 => Part::ToolCall(ToolCall::new(tape.text(), tape.text(), value(tape, 2).to_string())),
        7 => Part::ToolResult(ToolResult::new(tape.text(), format!("{CANARY}{}", tape.text()))),
        _ => Part::Reasoning(format!("{CANARY}{}", tape.text())),
    }
}

fn image(tape: &mut Tape<'_>) -> Image {
    let mut image = match tape.below(4) {
        0 => Image::from_url("https://cdn.example/a.jpg?sign=x"),
        1 => Image::from_url("oss://dashscope-instant/a.jpg"),
        2 => Image::from_data_uri(format!("data:image/png;base64,{}", crate::independent::encode(PICTURE))),
        _ => Image::from_bytes(sized(tape)),
    }
    .expect("a picture");
    if let Some(pixels) = tape.maybe(Tape::number) {
        image = image.with_min_pixels(pixels);
    }
    if let Some(pixels) = tape.maybe(Tape::number) {
        image = image.with_max_pixels(pixels);
    }
    match tape.maybe(|tape| tape.pick(&[Detail::Auto, Detail::Low, Detail::High])) {
        Some(detail) => image.with_detail(detail),
        None => image,
    }
}

/// A picture that says it is of any size.
fn sized(tape: &mut Tape<'_>) -> Vec<u8> {
    let mut bytes = PICTURE.to_vec();
    if tape.flag() {
        bytes[16..20].copy_from_slice(&tape.count().max(1).to_be_bytes());
        bytes[20..24].copy_from_slice(&tape.count().max(1).to_be_bytes());
    }
    bytes
}

fn video(tape: &mut Tape<'_>) -> Video {
    let mut video = match tape.below(3) {
        0 => Video::from_url("https://cdn.example/a.mp4"),
        1 => Video::from_bytes(VIDEO),
        _ => Video::from_frames((0..=tape.below(8)).map(|_| image(tape)).collect::<Vec<_>>()),
    }
    .expect("a video");
    if tape.flag() {
        video = video.with_fps(tape.float());
    }
    if let Some(frames) = tape.maybe(Tape::count) {
        video = video.with_max_frames(frames);
    }
    if let Some(pixels) = tape.maybe(Tape::number) {
        video = video.with_min_pixels(pixels);
    }
    if let Some(pixels) = tape.maybe(Tape::number) {
        video = video.with_max_pixels(pixels);
    }
    match tape.maybe(Tape::number) {
        Some(pixels) => video.with_total_pixels(pixels),
        None => video,
    }
}

/// Some JSON, up to so deep.
fn value(tape: &mut Tape<'_>, depth: usize) -> Value {
    match tape.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => tape.flag().into(),
        2 => tape.number().into(),
        3 => tape.float().into(),
        4 => tape.text().into(),
        5 => tape.list(3, |tape| value(tape, depth - 1)).into(),
        _ => {
            let fields = tape.list(3, |tape| (tape.text(), value(tape, depth - 1)));
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
fn providers() -> &'static [Provider] {
    static PROVIDERS: OnceLock<Vec<Provider>> = OnceLock::new();
    PROVIDERS.get_or_init(|| {
        let elsewhere = |vendor: Wire, deployments: &[&str]| -> Vec<Provider> {
            let options = |name: &&str| {
                let url = "https://host.example/v1".parse().expect("a URL");
                options(transport()).with_deployment(*name).with_base_url(url)
            };
            deployments.iter().map(|name| vendor.provider(options(name))).collect()
        };
        let own = Wire::ALL.map(|wire| wire.provider(options(transport())));
        let mut all: Vec<Provider> = own.into();
        all.extend(elsewhere(Wire::Zhipu, &["gateway", "vllm"]));
        all.extend(elsewhere(Wire::Qwen, &["gateway", "vllm", "ollama", "llama-cpp"]));
        all.extend(elsewhere(Wire::Ernie, &["gateway", "fastdeploy", "vllm"]));
        all
    })
}
