//! Bodies equal, as JSON values, to those that the vendor's own SDK puts on the wire for the same call.

use polysight_core::catalog::ModelRow;
use polysight_core::{ChatRequest, Image, Message, ToolDefinition};
use polysight_wire::Mode;
use serde_json::{Value, json};

use super::{PNG, json as body_of, with_models, zhipu};

fn recorded(case: &str) -> Value {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../../tests/fixtures/recorded-requests/zhipu.json"))
            .unwrap();
    let found = cases.into_iter().find(|recorded| recorded["case"] == case);
    found.unwrap_or_else(|| panic!("no recorded case {case}"))["body"].clone()
}

fn hello() -> ChatRequest {
    ChatRequest::new([Message::user("你好")]).with_model("glm-4v-plus")
}

fn about(image: Image) -> ChatRequest {
    ChatRequest::ask("图里有什么?", [image]).with_model("glm-4v-plus")
}

fn same(case: &str, request: ChatRequest, mode: Mode) {
    assert_eq!(body_of(zhipu(), request, mode), recorded(case), "{case}");
}

#[test]
fn text_and_text_streamed() {
    same("text", hello(), Mode::Plain);
    same("text-stream", hello(), Mode::Stream);
}

#[test]
fn pictures_by_url_base64_and_data_uri() {
    same("image-url", about(Image::from_url("https://img.example.com/a.png").unwrap()), Mode::Plain);
    same("image-bare-base64", about(Image::from_base64(PNG).unwrap()), Mode::Plain);
    let uri = format!("data:image/png;base64,{PNG}");
    same("image-data-uri", about(Image::from_data_uri(uri).unwrap()), Mode::Plain);
}

#[test]
fn several_turns() {
    let picture = |url: &str| Image::from_url(url).unwrap();
    let turn = |url: &str, text: &str| Message::user_parts([picture(url).into(), text.into()]);
    let request = ChatRequest::new([
        turn("https://img.example.com/a.png", "图中有什么"),
        Message::assistant("一片湖。"),
        turn("https://img.example.com/b.png?x=1&y=2", "与上面图有什么不一样"),
    ]);
    same("multi-turn-str", request.with_model("glm-4v-plus"), Mode::Plain);
}

#[test]
fn greedy_and_every_setting() {
    same("do_sample-false", hello().with_greedy(), Mode::Plain);
    let request = hello()
        .with_temperature(0.3)
        .with_top_p(0.8)
        .with_max_tokens(64)
        .with_stop(["END"])
        .with_seed(7)
        .with_request_id("req-abc-000001")
        .with_end_user_id("user-000001");
    same("params-all", request, Mode::Plain);
}

/// The SDK sends tools to any model; our catalogue says that this one calls no functions, so the test overrides it as a
/// user would.
#[test]
fn tools() {
    let row = "id = \"glm-4v-plus\"\ntools = true".parse::<toml::Table>().unwrap();
    let zhipu = with_models(vec![ModelRow::new(row).unwrap()]);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tool = ToolDefinition::new("get_weather", "Weather for a city", schema);
    assert_eq!(body_of(&zhipu, hello().with_tools([tool]), Mode::Plain), recorded("tools"));
}

/// Where the SDK silently changes what the caller wrote (temperature 0 to 0.01, 1 to 0.99, `top_p` 1 to 0.99) we differ
/// on purpose: a number in range goes out as it is, zero becomes greedy and is recorded.
#[test]
fn numbers_are_not_changed_in_silence() {
    let body = body_of(zhipu(), hello().with_temperature(1.0).with_top_p(1.0), Mode::Plain);
    assert_eq!((body["temperature"].as_f64(), body["top_p"].as_f64()), (Some(1.0), Some(1.0)));
}
