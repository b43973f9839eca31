//! What requests become on the wire.

use crate::support::{PNG, body, deployed, linked, options, picture, planned, vendor};
use polysight_core::catalog::ModelRow;
use polysight_core::{
    ChatRequest, Count, Detail, Effort, Error, ErrorKind, Image, Message, MessageRole, RandomSampling,
    ResponseFormat, Sampling, Thinking, Tolerance, ToolCall, ToolChoice, ToolDefinition, Video,
    VisionProvider as _,
};
use polysight_ernie::{Ernie, ErnieExtras, ErnieSettings, WebSearch};
use polysight_wire::{Dialect as _, Mode};
use serde_json::{Value, json};

fn ask(question: &str) -> ChatRequest {
    ChatRequest::new([Message::user(question)])
}

fn tool() -> ToolDefinition {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolDefinition::new("get_weather", "Weather for a city", parameters)
}

fn video() -> Video {
    Video::from_url("https://img.example.com/a.mp4").unwrap()
}

fn all_sampling() -> Sampling {
    let mut random = RandomSampling::default();
    (random.temperature, random.top_p, random.repetition_penalty) = (Some(0.3), Some(0.8), Some(1.1));
    Sampling::Random(random)
}

fn refused(ernie: &Ernie, request: ChatRequest) -> Error {
    let error = ernie.plan(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error
}

/// A vendor whose default model may be given tools: only third parties say that it takes none.
fn with_tools() -> Ernie {
    let row = ModelRow::new(json!({"id": "ernie-4.5-turbo-vl-32k", "tools": true})).unwrap();
    Ernie::new(options().with_models(vec![row]), &ErnieSettings::new()).unwrap()
}

#[test]
fn bodies_at_the_vendor() {
    let ernie = vendor();
    let shown = |name: &str, request: ChatRequest, mode: Mode| {
        insta::assert_json_snapshot!(name, body(ernie, request, mode));
    };
    shown("text", ask("你好").with_end_user_id("user-1").with_max_tokens(64), Mode::Plain);
    shown("image_url", ChatRequest::ask("图里有什么?", [linked("a.png")]), Mode::Plain);
    shown("image_bytes", ChatRequest::ask("图里有什么?", [picture()]), Mode::Plain);
    let uri = Image::from_data_uri(format!("data:image/jpeg;base64,{}", PNG)).unwrap();
    shown("image_data_uri_declared_wrong", ChatRequest::ask("?", [uri]), Mode::Plain);
    let several = Message::user("Compare.")
        .with(linked("a.png").with_detail(Detail::High))
        .with(picture().with_detail(Detail::Low))
        .with(linked("c.png"));
    shown("several_images_with_detail", ChatRequest::new([several]), Mode::Plain);
    shown("video_with_fps", ChatRequest::ask("What happens?", [video().with_fps(0.5)]), Mode::Plain);
    let turns = ChatRequest::new([
        Message::system("Answer briefly."),
        Message::user("What is this?").with(linked("a.png")),
        Message::assistant("A cat."),
        Message::user("What colour?"),
    ]);
    shown("several_turns", turns, Mode::Plain);
    shown("stream", ask("你好"), Mode::Stream);
    let search = WebSearch::new().with_citation(true).with_trace(true).with_results(10).with_references(5);
    let extras = ErnieExtras::new().with_web_search(search).with_metadata("team", "ocr");
    shown("extras", ask("news?").with_extras(extras), Mode::Plain);
}

#[test]
fn tools_and_their_results() {
    let call = ToolCall::new("call-1", "get_weather", r#"{"city":"Beijing"}"#);
    let request = ChatRequest::new([
        Message::user("Weather?"),
        Message::new(MessageRole::Assistant).with(call),
        Message::tool_result("call-1", r#"{"sky":"clear"}"#),
    ])
    .with_model("ernie-5.0")
    .with_tools([tool()])
    .with_tool_choice(ToolChoice::Required)
    .with_parallel_tool_calls(false);
    insta::assert_json_snapshot!("tools", body(vendor(), request, Mode::Plain));
    let error = refused(vendor(), ask("?").with_model("ernie-4.5-turbo-vl").with_tools([tool()]));
    assert!(error.to_string().contains("calls no functions"), "{error}");
}

/// What of a body says how to reason and how much to answer.
fn reasoning(ernie: &Ernie, request: ChatRequest) -> Value {
    let mut body = body(ernie, request, Mode::Plain);
    let fields = body.as_object_mut().unwrap();
    fields.remove("messages");
    fields.remove("model");
    body
}

#[test]
fn thinking_is_said_in_each_deployments_own_way() {
    let ask =
        |model: &str, thinking| ask("?").with_model(model).with_max_tokens(1_000).with_thinking(thinking);
    let preview = "ernie-5.0-thinking-preview";
    let vendor = vendor();
    let at_vendor = |model: &str, thinking| reasoning(vendor, ask(model, thinking));
    assert_eq!(at_vendor(preview, Thinking::Default), json!({"max_completion_tokens": 1000}));
    assert_eq!(
        at_vendor(preview, Thinking::Off),
        json!({"max_completion_tokens": 1000, "enable_thinking": false})
    );
    assert_eq!(
        at_vendor(preview, Thinking::On),
        json!({"max_completion_tokens": 1000, "enable_thinking": true})
    );
    // It never reasons, so there is nothing to switch off.
    assert_eq!(at_vendor("ernie-4.5-turbo-vl", Thinking::Off), json!({"max_tokens": 1000}));
    let unknown = "my-own-service";
    assert_eq!(
        at_vendor(unknown, Thinking::Budget(500)),
        json!({"max_tokens": 1000, "enable_thinking": true, "thinking_budget": 500})
    );
    assert_eq!(
        at_vendor(unknown, Thinking::Effort(Effort::High)),
        json!({"max_tokens": 1000, "reasoning_effort": "high"})
    );
    let fastdeploy = |thinking| reasoning(&deployed("fastdeploy"), ask("default", thinking));
    let template = |on: bool, mode: &str| json!({"enable_thinking": on, "options": {"thinking_mode": mode}});
    assert_eq!(fastdeploy(Thinking::Default), json!({"max_tokens": 1000}));
    assert_eq!(
        fastdeploy(Thinking::Off),
        json!({"max_tokens": 1000, "chat_template_kwargs": template(false, "close")})
    );
    assert_eq!(
        fastdeploy(Thinking::Budget(500)),
        json!({"max_tokens": 1000, "chat_template_kwargs": template(true, "open"), "reasoning_max_tokens": 500})
    );
    let vllm = reasoning(&deployed("vllm"), ask("baidu/ERNIE-4.5-VL-28B-A3B-PT", Thinking::On));
    assert_eq!(vllm, json!({"max_tokens": 1000, "chat_template_kwargs": {"enable_thinking": true}}));
}

#[test]
fn budgets_and_efforts_that_a_model_does_not_have_are_refused() {
    for thinking in [Thinking::Budget(500), Thinking::Effort(Effort::High)] {
        let request = ask("?").with_model("ernie-5.0-thinking-preview").with_thinking(thinking);
        let error = refused(vendor(), request.clone());
        assert_eq!(error.violations()[0].path, "thinking");
        assert_eq!(
            reasoning(vendor(), request.with_tolerance(Tolerance::Lossy)),
            json!({"enable_thinking": true})
        );
        let vllm = ask("?").with_model("any").with_thinking(thinking);
        assert_eq!(refused(&deployed("vllm"), vllm).violations()[0].path, "thinking");
    }
}

#[test]
fn the_factor_against_repetition_has_each_deployments_own_name() {
    let sampling = |ernie: &Ernie, model: &str| {
        reasoning(ernie, ask("?").with_model(model).with_sampling(all_sampling()))
    };
    let vendors = json!({"temperature": 0.3, "top_p": 0.8, "penalty_score": 1.1});
    assert_eq!(sampling(vendor(), "ernie-4.5-turbo-vl"), vendors);
    assert_eq!(sampling(&deployed("gateway"), "ERNIE-4.5-Turbo-32K"), vendors);
    let own = json!({"temperature": 0.3, "top_p": 0.8, "repetition_penalty": 1.1});
    assert_eq!(sampling(&deployed("fastdeploy"), "default"), own);
    assert_eq!(sampling(&deployed("vllm"), "any"), own);
}

#[test]
fn greedy_sampling_is_temperature_0_or_what_the_settings_say() {
    let careful = Ernie::new(options(), &ErnieSettings::new().with_greedy_temperature(0.01)).unwrap();
    for request in [ask("?").with_greedy(), ask("?").with_temperature(0.0)] {
        assert_eq!(reasoning(vendor(), request.clone()), json!({"temperature": 0.0}));
        assert_eq!(reasoning(&careful, request), json!({"temperature": 0.01}));
    }
    let plan = planned(&careful, ask("?").with_temperature(0.0));
    assert_eq!(plan.adjustments[0].path, "temperature");
    assert!(plan.adjustments[0].lossless);
    let strict = ask("?").with_temperature(0.0).with_tolerance(Tolerance::Strict);
    assert_eq!(refused(&careful, strict).violations()[0].path, "temperature");
    assert_eq!(refused(vendor(), ask("?").with_temperature(1.5)).violations()[0].limit, "[0, 1]");
}

#[test]
fn ids_go_where_each_deployment_reads_them() {
    let request = |model: &str| ask("?").with_model(model).with_request_id("req-1");
    let headers = |ernie: &Ernie, model: &str| {
        let wire = ernie.inner().dialect().encode(&planned(ernie, request(model)), Mode::Plain).unwrap();
        let header = |name: &str| wire.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (header("request_id"), header("x-request-id"), header("appid"))
    };
    let id = || Some("req-1".to_owned());
    assert_eq!(headers(vendor(), "ernie-5.0"), (id(), None, None));
    let scoped = Ernie::new(options(), &ErnieSettings::new().with_appid("app-1")).unwrap();
    assert_eq!(headers(&scoped, "ernie-5.0"), (id(), None, Some("app-1".to_owned())));
    assert_eq!(headers(&deployed("vllm"), "any"), (None, id(), None));
    assert_eq!(headers(&deployed("gateway"), "any"), (None, None, None));
    let fastdeploy = deployed("fastdeploy");
    assert_eq!(headers(&fastdeploy, "any"), (None, None, None));
    assert_eq!(body(&fastdeploy, request("any"), Mode::Plain)["request_id"], "req-1");
    let error = refused(vendor(), ask("?").with_request_id("id\nx-evil: 1"));
    assert_eq!(error.violations()[0].path, "request_id");
}

#[test]
fn limits_are_found_before_sending() {
    let vendor = vendor();
    let paths = |request: ChatRequest| {
        let error = refused(vendor, request);
        error.violations().iter().map(|violation| violation.path.clone()).collect::<Vec<_>>()
    };
    let url = format!("https://img.example.com/{}", "a".repeat(1_024));
    assert_eq!(paths(ChatRequest::ask("?", [Image::from_url(&url).unwrap()])), ["messages[0].parts[0]"]);
    assert_eq!(paths(ChatRequest::ask("?", (0..11).map(|_| picture()))), ["messages"]);
    assert_eq!(paths(ChatRequest::ask("?", [video().with_fps(6.0)])), ["messages[0].parts[0]"]);
    assert_eq!(paths(ask("?").with_max_tokens(1)), ["max_tokens"]);
    assert_eq!(paths(ask("?").with_max_tokens(16_385)), ["max_tokens"]);
    assert_eq!(paths(ask("?").with_stop(["a", "b", "c", "d", "e"])), ["stop"]);
    assert_eq!(paths(ask("?").with_stop(["x".repeat(21)])), ["stop[0]"]);
    assert_eq!(paths(ask("?").with_seed(0)), ["seed"]);
    assert_eq!(paths(ask("?").with_response_format(ResponseFormat::JsonObject)), ["response_format"]);
    let blind = ChatRequest::ask("?", [picture()]).with_model("ERNIE-4.5-Turbo-32K");
    assert_eq!(paths(blind.clone()), ["messages[0].parts[0]"]);
    assert!(deployed("gateway").plan(&blind).is_ok(), "there the same name sees");
    let detail = ChatRequest::ask("?", [picture().with_detail(Detail::High)]).with_model("ernie-5.0");
    assert_eq!(planned(vendor, detail.clone()).adjustments.len(), 1);
    assert_eq!(paths(detail.with_tolerance(Tolerance::Strict)), ["messages[0].parts[0]"]);
}

#[test]
fn bare_base64_becomes_a_data_uri_and_that_is_recorded() {
    let image = Image::from_base64(PNG).unwrap();
    let plan = planned(vendor(), ChatRequest::ask("?", [image]));
    assert_eq!(plan.adjustments.len(), 1);
    assert!(plan.adjustments[0].change.contains("data URI"));
}

#[test]
fn a_retired_model_passes_with_a_note_of_its_replacement() {
    let plan = planned(vendor(), ask("?").with_model("ernie-4.5-turbo-vl-latest"));
    assert!(plan.notes[0].contains("move to ernie-4.5-turbo-vl"), "{:?}", plan.notes);
}

#[test]
fn pictures_are_counted_where_the_formula_is_public() {
    let tokens = |ernie: &Ernie, model: &str| {
        planned(ernie, ChatRequest::ask("?", [picture()]).with_model(model)).estimate.image_tokens
    };
    // 4 tokens for the picture and 2 around it.
    assert_eq!(tokens(&deployed("vllm"), "baidu/ERNIE-4.5-VL-28B-A3B-PT"), Count::by_formula(6));
    assert_eq!(tokens(vendor(), "ernie-4.5-turbo-vl"), Count::between(1, 131_072));
    let linked = Image::from_url("https://h.example/a.jpg").unwrap();
    let request = ChatRequest::ask("?", [picture(), linked]).with_model("baidu/ERNIE-4.5-VL-28B-A3B-PT");
    let estimate = planned(&deployed("vllm"), request).estimate;
    assert_eq!(estimate.image_tokens, Count::between(6 + 6, 6 + 6_179));
    let estimate = planned(vendor(), ask("?")).estimate;
    assert_eq!((estimate.image_tokens, estimate.video_tokens), (Count::exact(0), Count::exact(0)));
}

#[test]
fn fps_is_refused_where_the_server_chooses_it() {
    let request = ChatRequest::ask("?", [video().with_fps(1.0)]).with_model("default");
    refused(&deployed("fastdeploy"), request.clone());
    let lossy = body(&deployed("fastdeploy"), request.with_tolerance(Tolerance::Lossy), Mode::Plain);
    assert_eq!(
        lossy["messages"][0]["content"][0],
        json!({"type": "video_url", "video_url": {"url": "https://img.example.com/a.mp4"}})
    );
}

#[test]
fn extras_that_repeat_a_setting_or_have_no_place_are_refused() {
    let paths = |ernie: &Ernie, request: ChatRequest| {
        let error = refused(ernie, request.with_model("any"));
        error.violations().iter().map(|violation| violation.path.clone()).collect::<Vec<_>>()
    };
    let extra = |field: &str, value: Value| ask("?").with_extra("ernie", field, value);
    let vendor = vendor();
    for field in ["temperature", "penalty_score", "max_tokens", "enable_thinking", "stream_options", "user"] {
        assert_eq!(paths(vendor, extra(field, json!(1))), [format!("extras.ernie.{field}")]);
    }
    assert_eq!(
        paths(vendor, extra("chat_template_kwargs", json!({}))),
        ["extras.ernie.chat_template_kwargs"]
    );
    assert_eq!(
        paths(vendor, extra("max_completion_tokens", json!(0))),
        ["extras.ernie.max_completion_tokens"]
    );
    assert_eq!(paths(vendor, extra("metadata", json!({"a": 1}))), ["extras.ernie.metadata"]);
    for search in [
        json!(true),
        json!({"enable": true, "search_number": 29}),
        json!({"search_number": 3, "reference_number": 4}),
    ] {
        assert_eq!(paths(vendor, extra("web_search", search)), ["extras.ernie.web_search"]);
    }
    let fastdeploy = deployed("fastdeploy");
    // A side door for parameters there.
    assert_eq!(paths(&fastdeploy, extra("metadata", json!({"a": "b"}))), ["extras.ernie.metadata"]);
    assert_eq!(paths(&fastdeploy, extra("web_search", json!({"enable": true}))), ["extras.ernie.web_search"]);
    let twice = extra("chat_template_kwargs", json!({"enable_thinking": true})).with_thinking(Thinking::Off);
    assert_eq!(paths(&fastdeploy, twice), ["extras.ernie.chat_template_kwargs"]);
}

#[test]
fn other_extras_go_out_as_they_are() {
    let request = ask("?").with_extra("ernie", "trace_number", 3).with_extra("zhipu", "x", 1);
    assert_eq!(reasoning(vendor(), request), json!({"trace_number": 3}));
    let request = ask("?")
        .with_model("default")
        .with_extra("ernie", "chat_template_kwargs", json!({"a": 1}))
        .with_thinking(Thinking::Off);
    assert_eq!(
        reasoning(&deployed("fastdeploy"), request)["chat_template_kwargs"],
        json!({"a": 1, "enable_thinking": false, "options": {"thinking_mode": "close"}})
    );
}

/// Recorded bodies of the vendor's own SDK, by case.
fn recorded(case: &str) -> Value {
    const RECORDED: &str = include_str!("../../../../tests/fixtures/recorded-requests/qianfan.json");
    let cases: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    let found = cases.iter().find(|recorded| recorded["case"] == case);
    normalised(found.unwrap_or_else(|| panic!("no case {case}"))["body"].clone())
}

/// Numbers as floats, since 2 and 2.0 are the same to every server.
fn normalised(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(normalised).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, normalised(value))).collect(),
        other => other,
    }
}

#[test]
fn bodies_equal_those_of_the_vendors_sdk() {
    let data_uri = Image::from_data_uri(format!("data:image/png;base64,{}", PNG)).unwrap();
    let mut all = ask("你好").with_sampling(all_sampling()).with_stop(["END"]).with_seed(7);
    all = all.with_end_user_id("user-000001");
    // The caller of the SDK named the limit so; with_max_tokens would send max_tokens, since this model does not reason.
    all = all.with_extras(ErnieExtras::new().with_max_completion_tokens(64));
    for (case, mode, request) in [
        ("text", Mode::Plain, ask("你好")),
        ("text-stream", Mode::Stream, ask("你好")),
        ("image-url", Mode::Plain, ChatRequest::ask("图里有什么?", [linked("a.png")])),
        ("image-data-uri", Mode::Plain, ChatRequest::ask("图里有什么?", [data_uri])),
        ("image-data-uri", Mode::Plain, ChatRequest::ask("图里有什么?", [picture()])),
        ("params-all", Mode::Plain, all),
        ("tools", Mode::Plain, ask("你好").with_tools([tool()])),
    ] {
        let mut sent = normalised(body(&with_tools(), request.with_model("ernie-4.5-turbo-vl-32k"), mode));
        if mode == Mode::Stream {
            // On purpose: without it a stream ends without its usage.
            let asked = sent.as_object_mut().unwrap().remove("stream_options");
            assert_eq!(asked, Some(json!({"include_usage": true})));
        }
        assert_eq!(sent, recorded(case), "{case}");
    }
}
