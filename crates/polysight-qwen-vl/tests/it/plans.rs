//! What is found before anything is sent.

use super::support::{deployment, image, options, png, vendor};
use polysight_core::catalog::ThinkingMode;
use polysight_core::{
    ChatRequest, Effort, Error, ErrorKind, Image, Message, Plan, RandomSampling, ResponseFormat, Sampling,
    Thinking, Tolerance, ToolChoice, ToolDefinition, Video, VisionProvider,
};
use polysight_qwen_vl::{DataInspection, OcrTask, Protocol, QwenVl, QwenVlExtras, QwenVlSettings, Region};
use polysight_wire::ProviderOptions;
use serde_json::json;

fn ask(image: Image) -> ChatRequest {
    ChatRequest::ask("?", [image])
}

fn photo() -> Image {
    image("https://img.example.com/a.png")
}

/// The paths of what is wrong, and one text of all.
fn problems(provider: &QwenVl, request: ChatRequest) -> String {
    match provider.plan(&request) {
        Ok(_) => String::new(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(!error.violations().is_empty());
            error.to_string()
        }
    }
}

fn refused(request: ChatRequest) -> String {
    problems(&vendor(Protocol::Compatible), request)
}

fn lossy(request: ChatRequest) -> Plan {
    vendor(Protocol::Compatible).plan(&request.with_tolerance(Tolerance::Lossy)).unwrap()
}

/// A PNG's header; only that is ever looked at.
fn sized(width: u32, height: u32) -> Image {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0");
    Image::from_bytes(bytes).unwrap()
}

fn webp(width: u32, height: u32) -> Image {
    let mut bytes = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    bytes.extend(&(width - 1).to_le_bytes()[..3]);
    bytes.extend(&(height - 1).to_le_bytes()[..3]);
    Image::from_bytes(bytes).unwrap()
}

#[test]
fn pictures_are_counted_by_url_and_by_bytes() {
    let many = |count, image: Image| ChatRequest::ask("?", vec![image; count]);
    assert_eq!(refused(many(256, photo())), "");
    assert!(refused(many(257, photo())).contains("at most 256"));
    assert_eq!(refused(many(257, photo()).with_model("qwen3.7-plus")), "");
    assert_eq!(refused(many(250, png())), "");
    assert!(refused(many(251, png())).contains("at most 250"));
}

#[test]
fn sizes_and_shapes_of_pictures_are_checked() {
    assert_eq!(refused(ask(sized(11, 2_200))), "");
    assert!(refused(ask(sized(10, 100))).contains("at least 11 px"));
    assert!(refused(ask(sized(11, 2_201))).contains("200 : 1"));
    let mut large = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0".to_vec();
    large.resize(10_485_760 / 4 * 3, 0);
    let text = refused(ask(Image::from_bytes(large).unwrap()));
    assert!(text.contains("10485782 bytes as a data URI") && text.contains("at most 10485760"), "{text}");
    assert_eq!(refused(ask(webp(3_840, 2_160))), "");
    assert!(refused(ask(webp(4_032, 3_024))).contains("JPEG or PNG over"));
    assert_eq!(refused(ask(sized(7_680, 4_320))), "");
}

#[test]
fn ends_of_ranges_are_open_where_the_vendors_are() {
    let sampled = |change: fn(&mut RandomSampling)| {
        let mut random = RandomSampling::default();
        change(&mut random);
        refused(ask(photo()).with_sampling(Sampling::Random(random)))
    };
    assert_eq!(sampled(|random| random.temperature = Some(1.99)), "");
    assert_eq!(sampled(|random| random.temperature = Some(0.0)), "");
    assert!(sampled(|random| random.temperature = Some(2.0)).contains("[0, 2)"));
    assert!(sampled(|random| random.top_p = Some(0.0)).contains("(0, 1]"));
    assert_eq!(sampled(|random| random.top_k = Some(0)), "");
    assert!(sampled(|random| random.repetition_penalty = Some(0.0)).contains("(0, )"));
    assert!(sampled(|random| random.frequency_penalty = Some(0.5)).contains("no such setting"));
    assert!(refused(ask(photo()).with_seed(-1)).contains("[0, 2147483647]"));
}

#[test]
fn json_needs_the_word_and_no_thinking() {
    let json = |text: &str, model: &str| {
        ChatRequest::ask(text, [photo()]).with_model(model).with_response_format(ResponseFormat::JsonObject)
    };
    assert_eq!(refused(json("As json, please.", "qwen3-vl-plus")), "");
    assert!(refused(json("Describe.", "qwen3-vl-plus")).contains("no message says JSON"));
    assert_eq!(refused(json("JSON", "qwen3.6-plus")), "", "thinking by itself is switched off");
    let strict = json("JSON", "qwen3.6-plus").with_tolerance(Tolerance::Strict);
    assert!(refused(strict).contains("switch thinking off"));
    let thinking = json("JSON", "qwen3.6-plus").with_thinking(Thinking::On);
    assert!(refused(thinking.clone()).contains("switch thinking off"));
    assert_eq!(refused(json("JSON", "qwen3.6-plus").with_thinking(Thinking::Off)), "");
    for (request, lossless) in [(json("JSON", "qwen3.6-plus"), true), (thinking, false)] {
        let plan = lossy(request);
        assert_eq!((plan.request.thinking, plan.adjustments[0].lossless), (Thinking::Off, lossless));
    }
    assert!(refused(json("JSON", "qvq-max")).contains("json_object"));
}

#[test]
fn some_tools_are_refused() {
    let tool = |name: &str| ToolDefinition::new(name, "x", json!({"type": "object"}));
    assert!(refused(ask(photo()).with_tools([tool("search")])).contains("`search`"));
    let forced = ask(photo())
        .with_tools([tool("f")])
        .with_tool_choice(ToolChoice::Function("f".to_owned()))
        .with_thinking(Thinking::On);
    assert!(refused(forced.clone()).contains("while qwen3-vl-plus thinks"));
    assert_eq!(lossy(forced).request.tool_choice, ToolChoice::Auto);
    assert!(
        refused(ask(photo()).with_model("qwen-vl-max").with_tools([tool("f")]))
            .contains("calls no functions")
    );
}

#[test]
fn a_dialogue_must_not_end_in_an_answer() {
    let request = ChatRequest::new([Message::user("?"), Message::assistant("!")]);
    assert!(refused(request).contains("the last message is the assistant's"));
}

#[test]
fn models_that_think_only_when_streaming_are_streamed() {
    let streamed = |model: &str, thinking| {
        let request = ask(photo()).with_model(model).with_thinking(thinking);
        vendor(Protocol::Compatible).plan(&request).unwrap().requires_streaming
    };
    assert!(streamed("qvq-max", Thinking::Default));
    assert!(streamed("qwen3-vl-plus", Thinking::On));
    assert!(!streamed("qwen3-vl-plus", Thinking::Default));
    assert!(streamed("qwen3.6-flash", Thinking::Default));
    assert!(!streamed("qwen3.6-plus", Thinking::Default));
}

#[test]
fn thinking_is_held_against_the_model() {
    let request = |model: &str, thinking| ask(photo()).with_model(model).with_thinking(thinking);
    assert!(refused(request("qwen3-vl-plus", Thinking::Budget(81_921))).contains("[1, 81920]"));
    assert!(refused(request("qwen3-vl-plus", Thinking::Effort(Effort::Low))).contains("no reasoning effort"));
    assert!(refused(request("qwen-vl-max", Thinking::On)).contains("never reasons"));
    assert!(refused(request("qvq-max", Thinking::Off)).contains("always reasons"));
}

#[test]
fn budgets_and_limits_of_videos_are_checked() {
    let video = || Video::from_url("https://img.example.com/v.mp4").unwrap();
    let ask = |video: Video| ChatRequest::ask("?", [video]);
    assert!(refused(ask(video().with_fps(11.0))).contains("[0.1, 10]"));
    assert!(refused(ask(video().with_max_pixels(2_048_001))).contains("2048000] for a frame"));
    assert!(refused(ask(video().with_max_frames(8))).contains("max_frames"));
    assert_eq!(problems(&vendor(Protocol::Native), ask(video().with_max_frames(8))), "");
    assert!(problems(&vendor(Protocol::Native), ask(video().with_max_frames(2_001))).contains("[4, 2000]"));
    let dropped = lossy(ask(video().with_max_frames(8)));
    assert!(dropped.adjustments.iter().any(|change| change.change.contains("max_frames left out")));
    // A model that is in no catalogue offers the limit too, and still the compatible protocol has none.
    assert!(refused(ask(video().with_max_frames(8)).with_model("qwen9-vl")).contains("native"));
    let frames = |count: usize| Video::from_frames(vec![photo(); count]).unwrap();
    assert!(refused(ask(frames(3))).contains("[4, 2000]"));
    assert!(refused(ask(frames(513)).with_model("qwen2.5-vl-7b-instruct")).contains("[4, 512]"));
}

#[test]
fn unknown_models_pass() {
    let plan = vendor(Protocol::Compatible).plan(&ask(photo()).with_model("qwen9-vl")).unwrap();
    assert!(!plan.card.known && plan.notes[0].contains("qwen9-vl"));
}

#[test]
fn extras_that_repeat_a_setting_or_cannot_be_sent_are_refused() {
    let extra = |field: &str| ask(photo()).with_extra("qwen-vl", field, true);
    assert!(refused(extra("enable_thinking")).contains("use the request's own thinking"));
    assert!(refused(extra("stream_options")).contains("streamed call"));
    assert!(refused(extra("data_inspection")).contains("nothing that a header could say"));
    let ocr = ask(photo()).with_extras(QwenVlExtras::new().with_ocr(OcrTask::Tables));
    assert!(refused(ocr.clone()).contains("the compatible protocol has no such field"));
    assert_eq!(problems(&vendor(Protocol::Native), ocr), "");
    let inspected =
        ask(photo()).with_extras(QwenVlExtras::new().with_data_inspection(DataInspection::Enable));
    assert_eq!(refused(inspected.clone()), "");
    assert!(problems(&deployment("vllm"), inspected.with_model("m")).contains("inspects nothing"));
}

#[test]
fn each_deployment_refuses_what_it_does_not_take() {
    let named = |request: ChatRequest| request.with_model("Qwen/Qwen3-VL-8B-Instruct");
    let problem = |name: &str, request| problems(&deployment(name), named(request));
    let video = || Video::from_url("https://img.example.com/v.mp4").unwrap();
    let frames = |frame: Image| Video::from_frames(vec![frame; 4]).unwrap();
    assert!(problem("ollama", ask(photo())).contains("fetches no picture"));
    assert!(problem("ollama", ask(webp(100, 100))).is_empty());
    assert!(problem("llama-cpp", ChatRequest::ask("?", [video()])).contains("takes no videos"));
    let strict = ask(photo().with_max_pixels(9)).with_tolerance(Tolerance::Strict);
    assert!(problem("gateway", strict).contains("max_pixels"));
    assert_eq!(problem("gateway", ask(photo().with_max_pixels(9))), "");
    assert!(problem("gateway", ask(photo()).with_thinking(Thinking::On)).contains("never reasons"));
    for name in ["gateway", "sglang", "lmdeploy"] {
        assert!(problem(name, ChatRequest::ask("?", [frames(png())])).contains("list of frames"), "{name}");
    }
    assert!(problem("vllm", ChatRequest::ask("?", [frames(png())])).contains("no JPEG"));
    let budgets = ChatRequest::ask("?", [photo().with_max_pixels(9_000), photo()]);
    assert!(problem("vllm", budgets.clone()).contains("different pixel budgets"));
    assert_eq!(refused(budgets), "");
    let unnamed = ask(photo()).with_model("own").with_thinking(Thinking::Budget(5));
    assert!(problems(&deployment("sglang"), unnamed.clone()).contains("no reasoning budget"));
    assert_eq!(problems(&deployment("vllm"), unnamed), "");
}

fn made(options: ProviderOptions, settings: &QwenVlSettings) -> Result<QwenVl, Error> {
    QwenVl::new(options, settings)
}

#[test]
fn providers_need_what_their_deployment_needs() {
    let own = QwenVlSettings::new();
    let problem = |options, settings: &QwenVlSettings| made(options, settings).unwrap_err().to_string();
    let keyless = || ProviderOptions::new("p");
    assert!(problem(keyless(), &own).contains("DASHSCOPE_API_KEY"));
    assert!(problem(options().with_deployment("gateway"), &own).contains("needs a base_url"));
    let url = "https://h.example/v1".parse().unwrap();
    assert!(problem(keyless().with_deployment("gateway").with_base_url(url), &own).contains("api_key"));
    assert!(made(keyless().with_deployment("vllm"), &own).is_ok());
    assert!(problem(options().with_deployment("tgi"), &own).contains("`tgi`"));
    let native = QwenVlSettings::new().with_protocol(Protocol::Native);
    assert!(problem(options().with_deployment("vllm"), &native).contains("vendor's own service"));
    assert!(problem(options(), &QwenVlSettings::new().with_region(Region::Tokyo)).contains("workspace"));
    let workspace = QwenVlSettings::new().with_workspace("a/b").with_region(Region::Tokyo);
    assert!(problem(options(), &workspace).contains("no workspace id"));
}

#[test]
fn only_the_vendor_has_a_default_model() {
    let request = ask(png());
    assert_eq!(vendor(Protocol::Compatible).plan(&request).unwrap().model(), "qwen3-vl-plus");
    assert!(problems(&deployment("vllm"), request).contains("no model is named"));
}

/// A format that a card lists is taken as it stands, whatever the model does by itself: thinking is switched off where the
/// vendor refuses both, and said so.
#[test]
fn every_listed_format_is_taken_without_losses() {
    let provider = vendor(Protocol::Compatible);
    let schema = json!({"type": "object", "properties": {}});
    let (mut asked, mut switched) = (0, 0);
    for card in provider.catalog().cards() {
        for format in card.response_formats.iter().flatten() {
            let format = match format.as_str() {
                "json_object" => ResponseFormat::JsonObject,
                _ => {
                    ResponseFormat::JsonSchema { name: "r".to_owned(), schema: schema.clone(), strict: true }
                }
            };
            let request = ChatRequest::ask("As JSON.", [photo()]).with_model(&card.id);
            let plan = provider.plan(&request.with_response_format(format));
            let always = card.thinking.mode == Some(ThinkingMode::Forced);
            assert_eq!(plan.is_err(), always, "{}: {plan:?}", card.id);
            let off = plan.is_ok_and(|plan| plan.adjustments.iter().any(|change| change.path == "thinking"));
            assert_eq!(off, card.thinking.default_on && !always, "{}", card.id);
            (asked, switched) = (asked + 1, switched + usize::from(off));
        }
    }
    assert!(asked > 30 && switched > 10, "{asked} formats, thinking switched off for {switched}");
}
