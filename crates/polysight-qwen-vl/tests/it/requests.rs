//! What goes out, in both protocols.

use super::support::{PNG_BASE64, body, deployment, encoded, image, normalised, options, png, vendor};
use polysight_core::catalog::ModelRow;
use polysight_core::{
    ChatRequest, Effort, Image, Message, Part, RandomSampling, ResponseFormat, Sampling, Thinking, ToolCall,
    ToolChoice, ToolDefinition, Video,
};
use polysight_qwen_vl::{DataInspection, OcrTask, Protocol, QwenVl, QwenVlExtras, QwenVlSettings};
use polysight_wire::Mode;
use serde_json::{Value, json};

/// A snapshot of one request in both protocols.
fn both(request: &ChatRequest, mode: Mode) -> Value {
    json!({
        "compatible": body(&vendor(Protocol::Compatible), request.clone(), mode),
        "native": body(&vendor(Protocol::Native), request.clone(), mode),
    })
}

macro_rules! snapshot {
    ($name:literal, $value:expr) => {
        insta::assert_json_snapshot!($name, $value)
    };
}

fn photo() -> Image {
    image("https://img.example.com/a.png")
}

fn weather() -> ToolDefinition {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolDefinition::new("get_weather", "Weather for a city", schema)
}

#[test]
fn cache_marks_stand_beside_the_part_that_they_end() {
    let system = Message::system("Rules.").with_cache_mark();
    let question = Message::user_parts([photo().into()]).with_cache_mark().with("?");
    let sent = both(&ChatRequest::new([system, question]), Mode::Plain);
    let mark = json!({"type": "ephemeral"});
    let compatible = &sent["compatible"]["messages"];
    assert_eq!(compatible[0]["content"], json!([{"type": "text", "text": "Rules.", "cache_control": mark}]));
    let url = "https://img.example.com/a.png";
    assert_eq!(
        compatible[1]["content"],
        json!([
            {"type": "image_url", "image_url": {"url": url}, "cache_control": mark},
            {"type": "text", "text": "?"}
        ])
    );
    let native = &sent["native"]["input"]["messages"];
    assert_eq!(native[0]["content"], json!([{"text": "Rules.", "cache_control": mark}]));
    assert_eq!(native[1]["content"], json!([{"image": url, "cache_control": mark}, {"text": "?"}]));
}

#[test]
fn text_alone() {
    let request = ChatRequest::new([Message::system("Answer briefly."), Message::user("你好")]);
    snapshot!("text", both(&request, Mode::Plain));
}

#[test]
fn a_picture_by_url() {
    snapshot!("image_url", both(&ChatRequest::ask("图里有什么?", [photo()]), Mode::Plain));
}

#[test]
fn a_picture_of_bytes_and_one_of_a_data_uri_are_data_uris() {
    let declared_wrongly = format!("data:image/jpeg;base64,{}", PNG_BASE64);
    let request = ChatRequest::ask("?", [png(), Image::from_data_uri(declared_wrongly).unwrap()]);
    snapshot!("image_bytes", both(&request, Mode::Plain));
}

#[test]
fn many_pictures_with_budgets() {
    let request = ChatRequest::ask(
        "Compare.",
        [
            photo().with_min_pixels(65_536).with_max_pixels(1_048_576),
            png().with_max_pixels(500_000),
            image("https://img.example.com/b.jpg?x=1&y=2"),
        ],
    );
    snapshot!("many_images", both(&request, Mode::Plain));
}

#[test]
fn a_video_with_its_sampling() {
    let video = Video::from_url("https://img.example.com/v.mp4")
        .unwrap()
        .with_fps(2.0)
        .with_min_pixels(4_096)
        .with_max_pixels(655_360)
        .with_total_pixels(67_108_864);
    snapshot!("video_url", both(&ChatRequest::ask("描述视频", [video]), Mode::Plain));
}

#[test]
fn a_limit_of_frames_is_native() {
    let video = Video::from_url("https://img.example.com/v.mp4").unwrap().with_max_frames(64);
    let request = ChatRequest::ask("?", [video]);
    let native = body(&vendor(Protocol::Native), request, Mode::Plain);
    assert_eq!(native.pointer("/input/messages/0/content/0/max_frames"), Some(&json!(64)));
}

#[test]
fn a_list_of_frames() {
    let frames = (1..=3).map(|n| image(&format!("https://img.example.com/f{n}.jpg"))).chain([png()]);
    let video = Video::from_frames(frames).unwrap().with_fps(0.5);
    snapshot!("video_frames", both(&ChatRequest::ask("描述视频", [video]), Mode::Plain));
}

#[test]
fn several_turns() {
    let request = ChatRequest::new([
        Message::user("What is it?").with(photo()),
        Message::assistant("A dog.").with(Part::Reasoning("Four legs.".to_owned())),
        Message::user("Which breed?"),
    ]);
    snapshot!("multi_turn", both(&request, Mode::Plain));
}

#[test]
fn a_round_trip_of_tools_sends_reasoning_back() {
    let request = ChatRequest::new([
        Message::user("Old question"),
        Message::assistant("Old answer").with(Part::Reasoning("not sent".to_owned())),
        Message::user_parts([photo().into(), "How is the weather there?".into()]),
        Message::new(polysight_core::MessageRole::Assistant)
            .with(Part::Reasoning("It is Paris.".to_owned()))
            .with(ToolCall::new("call_1", "get_weather", r#"{"city":"Paris"}"#))
            .with(ToolCall::new("call_2", "get_weather", r#"{"city":"Lyon"}"#)),
        Message::tool_result("call_1", r#"{"celsius":21}"#)
            .with(polysight_core::ToolResult::new("call_2", "rain")),
    ])
    .with_tools([weather()])
    .with_parallel_tool_calls(true);
    snapshot!("tools", both(&request, Mode::Plain));
}

#[test]
fn a_demanded_call() {
    let request = ChatRequest::new([Message::user("?")])
        .with_tools([weather()])
        .with_tool_choice(ToolChoice::Function("get_weather".to_owned()));
    snapshot!("tool_choice", both(&request, Mode::Plain));
}

#[test]
fn ways_of_thinking() {
    let request = |model: &str, thinking| {
        ChatRequest::ask("?", [photo()]).with_model(model).with_thinking(thinking).with_max_tokens(800)
    };
    let shown = |model: &str, thinking| {
        let mut shown = both(&request(model, thinking), Mode::Stream);
        // The messages are the same in all of them.
        shown["compatible"]["messages"].take();
        shown["native"]["input"].take();
        shown
    };
    snapshot!(
        "thinking",
        json!({
            "on": shown("qwen3-vl-plus", Thinking::On),
            "off": shown("qwen3.6-plus", Thinking::Off),
            "budget": shown("qwen3-vl-plus", Thinking::Budget(1_000)),
            "effort": shown("qwen3.8-max", Thinking::Effort(Effort::Max)),
            "on, of a model that always thinks": shown("qwen3-vl-32b-thinking", Thinking::On),
            "budget, of a model that always thinks": shown("qwen3-vl-32b-thinking", Thinking::Budget(1_000)),
            "off, of a model that never thinks": shown("qwen-vl-max", Thinking::Off),
        })
    );
}

#[test]
fn json_and_schema() {
    let object = ChatRequest::ask("Give JSON.", [photo()]).with_response_format(ResponseFormat::JsonObject);
    let schema = ChatRequest::ask("Give JSON.", [photo()])
        .with_model("qwen3.7-plus")
        .with_response_format(ResponseFormat::JsonSchema {
            name: "scene".to_owned(),
            schema: json!({"type": "object"}),
            strict: true,
        })
        .with_thinking(Thinking::Off);
    let formats = |request| {
        let both = both(&request, Mode::Plain);
        json!([both["compatible"]["response_format"], both["native"]["parameters"]["response_format"]])
    };
    snapshot!("response_format", json!({"object": formats(object), "schema": formats(schema)}));
}

#[test]
fn a_stream_asks_for_usage_or_for_pieces() {
    snapshot!("stream", both(&ChatRequest::ask("?", [photo()]), Mode::Stream));
}

#[test]
fn greedy_sampling_is_temperature_0() {
    let request = ChatRequest::ask("?", [photo()]).with_greedy();
    let both = both(&request, Mode::Plain);
    assert_eq!(both["compatible"]["temperature"], 0.0);
    assert_eq!(both["native"]["parameters"]["temperature"], 0.0);
}

#[test]
fn extras_stand_where_parameters_do() {
    let extras = QwenVlExtras::new()
        .with_high_resolution(true)
        .with_image_sizes(true)
        .with_ocr(OcrTask::KeyInformation(json!({"Total": ""})));
    let request = ChatRequest::ask("?", [photo()]).with_extras(extras).with_extra("qwen-vl", "novel", 7);
    let native = body(&vendor(Protocol::Native), request, Mode::Plain);
    snapshot!("extras", &native["parameters"]);
    let extras = QwenVlExtras::new().with_high_resolution(true).with_search(true);
    let request = ChatRequest::ask("?", [photo()]).with_extras(extras);
    let compatible = body(&vendor(Protocol::Compatible), request, Mode::Plain);
    assert_eq!(compatible["vl_high_resolution_images"], true);
    assert_eq!(compatible["enable_search"], true);
}

#[test]
fn headers_give_what_bodies_lack() {
    let settings = |protocol| QwenVlSettings::new().with_protocol(protocol).with_workspace("ws-1");
    let provider = |protocol| QwenVl::new(options(), &settings(protocol)).unwrap();
    let stored = ChatRequest::ask("?", [image("oss://dashscope-instant/a/b.png")])
        .with_extras(QwenVlExtras::new().with_data_inspection(DataInspection::InputAndOutput));
    let shown = |protocol, mode, request: &ChatRequest| {
        let request = encoded(&provider(protocol), request.clone(), mode);
        let headers =
            request.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut headers: Vec<String> = headers.collect();
        headers.sort();
        json!({"url": request.url.as_str(), "headers": headers})
    };
    let plain = ChatRequest::ask("?", [photo()]);
    snapshot!(
        "headers",
        json!({
            "compatible": shown(Protocol::Compatible, Mode::Plain, &plain),
            "compatible stream": shown(Protocol::Compatible, Mode::Stream, &plain),
            "native": shown(Protocol::Native, Mode::Plain, &plain),
            "native stream": shown(Protocol::Native, Mode::Stream, &stored),
        })
    );
    let frames = Video::from_frames((0..4).map(|_| image("oss://dashscope-instant/a/b.png"))).unwrap();
    let request = encoded(&provider(Protocol::Compatible), ChatRequest::ask("?", [frames]), Mode::Plain);
    assert!(request.headers.contains_key("x-dashscope-ossresourceresolve"));
}

#[test]
fn other_deployments_get_nothing_of_the_vendors_own() {
    let request = ChatRequest::ask("?", [png()]).with_model("some-model").with_max_tokens(9);
    for name in ["gateway", "vllm", "sglang", "lmdeploy", "ollama", "llama-cpp"] {
        let wire = encoded(&deployment(name), request.clone(), Mode::Stream);
        assert!(wire.headers.keys().all(|key| !key.as_str().starts_with("x-dashscope")), "{name}");
        let body: Value = serde_json::from_slice(&wire.body.to_vec().unwrap()).unwrap();
        let mut keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["max_tokens", "messages", "model", "stream", "stream_options"], "{name}");
        assert_eq!(wire.url.as_str(), "https://host.example/v1/chat/completions");
    }
}

#[test]
fn servers_take_budgets_and_frames_each_in_its_own_way() {
    let model = "Qwen/Qwen2.5-VL-7B-Instruct";
    let picture = || png().with_min_pixels(3_136).with_max_pixels(1_003_520);
    let request = ChatRequest::ask("?", [picture(), picture()]).with_model(model);
    let jpeg = Image::from_bytes(
        &b"\xff\xd8\xff\xc0\0\x11\x08\0\x20\0\x20\x03\x01\x11\0\x02\x11\x01\x03\x11\x01"[..],
    );
    let jpeg = jpeg.unwrap();
    let frames = Video::from_frames([jpeg.clone(), jpeg]).unwrap();
    let film = Video::from_url("https://img.example.com/v.mp4").unwrap().with_fps(1.0);
    snapshot!(
        "servers",
        json!({
            "vllm, budgets": body(&deployment("vllm"), request, Mode::Plain),
            "vllm, frames":
                body(&deployment("vllm"), ChatRequest::ask("?", [frames]).with_model(model), Mode::Plain),
            "sglang, fps":
                body(&deployment("sglang"), ChatRequest::ask("?", [film]).with_model(model), Mode::Plain),
        })
    );
}

/// The body that the vendor's own SDK sent for a case.
fn sdk(file: &str, case: &str) -> Value {
    let cases: Vec<Value> = serde_json::from_str(file).unwrap();
    let found = cases.into_iter().find(|found| found["case"] == case).unwrap();
    normalised(found["body"].clone())
}

const COMPATIBLE: &str =
    include_str!("../../../../tests/fixtures/recorded-requests/dashscope-compatible.json");
const NATIVE: &str = include_str!("../../../../tests/fixtures/recorded-requests/dashscope-native.json");

fn sdk_cases() -> Vec<(&'static str, ChatRequest, Mode)> {
    let uri = format!("data:image/png;base64,{}", PNG_BASE64);
    let data_uri = Image::from_data_uri(uri).unwrap();
    let hello = || ChatRequest::new([Message::user("你好")]);
    vec![
        ("text", hello(), Mode::Plain),
        ("text-stream", hello(), Mode::Stream),
        ("image-url", ChatRequest::ask("图里有什么?", [photo()]), Mode::Plain),
        ("image-data-uri", ChatRequest::ask("图里有什么?", [data_uri]), Mode::Plain),
        ("tools", hello().with_tools([weather()]), Mode::Plain),
    ]
}

/// The SDK's cases use an old model with all options; the card is opened so that the plan lets them through.
fn permissive(protocol: Protocol) -> QwenVl {
    let row = json!({
        "id": "qwen-vl-max",
        "tools": true,
        "thinking": {"mode": "switchable", "budget": "[1, )"},
    });
    let options = options().with_model("qwen-vl-max").with_models(vec![ModelRow::new(row).unwrap()]);
    QwenVl::new(options, &QwenVlSettings::new().with_protocol(protocol)).unwrap()
}

#[test]
fn compatible_bodies_equal_those_of_the_vendors_sdk() {
    let provider = permissive(Protocol::Compatible);
    let frames = (1..=4).map(|n| image(&format!("https://img.example.com/f{n}.jpg")));
    let frames = Video::from_frames(frames).unwrap().with_fps(2.0);
    let mut random = RandomSampling::default();
    random.temperature = Some(0.3);
    random.top_p = Some(0.8);
    random.top_k = Some(20);
    random.presence_penalty = Some(0.1);
    random.repetition_penalty = Some(1.05);
    let options = ChatRequest::new([Message::user("你好")])
        .with_sampling(Sampling::Random(random))
        .with_max_tokens(64)
        .with_stop(["END"])
        .with_seed(7)
        .with_thinking(Thinking::Budget(50));
    let mut cases = sdk_cases();
    cases.push(("video-frames", ChatRequest::ask("描述视频", [frames]), Mode::Plain));
    cases.push(("params-all", options, Mode::Plain));
    assert_eq!(cases.len(), serde_json::from_str::<Vec<Value>>(COMPATIBLE).unwrap().len());
    for (case, request, mode) in cases {
        let own = normalised(body(&provider, request, mode));
        assert_eq!(own, sdk(COMPATIBLE, case), "{case}");
    }
}

#[test]
fn native_bodies_equal_those_of_the_vendors_sdk() {
    let provider = permissive(Protocol::Native);
    let cases = sdk_cases();
    assert_eq!(cases.len(), serde_json::from_str::<Vec<Value>>(NATIVE).unwrap().len());
    for (case, request, mode) in cases {
        let own = normalised(body(&provider, request, mode));
        // On purpose: the older interface of the SDK leaves the form of the answer to the server, and pieces to the
        // caller; its newer client always says both, as is done here.
        let mut expected = sdk(NATIVE, case);
        expected["parameters"]["result_format"] = json!("message");
        if mode == Mode::Stream {
            expected["parameters"]["incremental_output"] = json!(true);
        }
        assert_eq!(own, expected, "{case}");
    }
}
