//! Whole calls, over a socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of tests for production code; here a failure is to end the test"
)]

mod common;

use common::{EVENTS, JSON, options, png, serve};
use polysight_core::{ChatRequest, ErrorKind, Thinking, VisionProviderExt};
use polysight_qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight_wire::ProviderOptions;

fn request() -> ChatRequest {
    ChatRequest::ask("?", [png()])
}

fn native(host: &str) -> QwenVl {
    let options = options().with_base_url(format!("{host}/api/v1").parse().unwrap());
    QwenVl::new(options, &QwenVlSettings::new().with_protocol(Protocol::Native)).unwrap()
}

fn compatible(host: &str) -> QwenVl {
    let options = options().with_base_url(format!("{host}/compatible-mode/v1").parse().unwrap());
    QwenVl::new(options, &QwenVlSettings::new()).unwrap()
}

const STREAM: &str = "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":\
    {\"content\":[{\"text\":\"A dog\"}],\"role\":\"assistant\",\"reasoning_content\":\"Fur\"},\
    \"finish_reason\":\"stop\"}]},\"request_id\":\"r\"}\n\n";

#[tokio::test]
async fn a_plain_call_that_thinks_is_streamed_and_collected() {
    let (host, served) = serve(vec![(200, EVENTS, STREAM)]).await;
    let response = native(&host).chat(request().with_thinking(Thinking::On)).await.unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A dog", "Fur"));
    let streamed = |change: &polysight_core::Adjustment| change.change.contains("streamed and collected");
    assert!(response.adjustments.iter().any(streamed));
    let arrived = served.await.unwrap().remove(0);
    assert_eq!(arrived.start, "POST /api/v1/services/aigc/multimodal-generation/generation HTTP/1.1");
    assert_eq!(arrived.headers["x-dashscope-sse"], "enable");
    assert_eq!(arrived.headers["authorization"], "Bearer sk-test");
}

#[tokio::test]
async fn an_error_frame_ends_a_stream_with_what_had_arrived() {
    const FAILS: &str = "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":\
        {\"content\":[{\"text\":\"A d\"}]},\"finish_reason\":\"null\"}]}}\n\n\
        id:2\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"DataInspectionFailed\",\"message\":\"..\",\
        \"request_id\":\"r\"}\n\n";
    let (host, _served) = serve(vec![(200, EVENTS, FAILS)]).await;
    let error = native(&host).stream_collected(request()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::ContentRefused, Some(400)));
    assert_eq!(error.partial().unwrap().text, "A d");
    assert_eq!(error.provider(), Some("qwen"));
}

#[tokio::test]
async fn a_refused_stream_may_say_why_in_an_event() {
    const REFUSED: &str = "data: {\"error\":{\"message\":\"x\",\"code\":\"limit_requests\"}}\n\n";
    let (host, _served) = serve(vec![(429, EVENTS, REFUSED)]).await;
    let error = compatible(&host).chat_stream(request()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimited, Some(429)));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_stream_may_be_answered_by_a_document() {
    const WHOLE: &str = r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r"}"#;
    let (host, _served) = serve(vec![(200, JSON, WHOLE)]).await;
    let error = native(&host).chat_stream(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("a key belongs to one region"), "{error}");
}

#[tokio::test]
async fn a_server_of_ones_own_gets_no_key() {
    const REPLY: &str =
        r#"{"id":"1","choices":[{"message":{"content":"A dog","reasoning":"Fur"},"finish_reason":"stop"}]}"#;
    let (host, served) = serve(vec![(200, JSON, REPLY)]).await;
    let options = ProviderOptions::new("own")
        .with_deployment("vllm")
        .with_base_url(format!("{host}/v1").parse().unwrap())
        .with_model("served");
    let provider = QwenVl::new(options, &QwenVlSettings::new()).unwrap();
    let response = provider.chat(request()).await.unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A dog", "Fur"));
    let arrived = served.await.unwrap().remove(0);
    assert!(!arrived.headers.contains_key("authorization"));
    assert_eq!(arrived.start, "POST /v1/chat/completions HTTP/1.1");
}
