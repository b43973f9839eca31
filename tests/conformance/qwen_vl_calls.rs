//! Alibaba's providers over a socket.

use std::sync::Arc;

use image::ImageFormat;
use polysight::{
    Adjustment, ChatRequest, ErrorKind, Image, ProviderOptions, Thinking, Transport, VisionProvider,
};
use polysight_testkit::calls::{plain, streamed};
use polysight_testkit::{MockServer, Reply, Wire, picture};

fn request() -> ChatRequest {
    ChatRequest::ask("?", [Image::from_bytes(picture(ImageFormat::Png, 16, 16)).unwrap()])
}

/// A server, and a provider that talks to it.
async fn served(wire: Wire, reply: Reply) -> (MockServer, Arc<dyn VisionProvider>) {
    let server = MockServer::with_reply(reply).await;
    let provider = wire.provider(wire.options(&server.url(""), Transport::builder().build().unwrap()));
    (server, provider)
}

fn events(status: u16, events: &str) -> Reply {
    Reply::document(status, &["Content-Type: text/event-stream;charset=UTF-8"], events)
}

const STREAM: &str = "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":\
    {\"content\":[{\"text\":\"A dog\"}],\"role\":\"assistant\",\"reasoning_content\":\"Fur\"},\
    \"finish_reason\":\"stop\"}]},\"request_id\":\"r\"}\n\n";

#[tokio::test]
async fn a_plain_call_that_thinks_is_streamed_and_collected() {
    let (server, provider) = served(Wire::QwenVlNative, events(200, STREAM)).await;
    let response = plain(&*provider, request().with_thinking(Thinking::On)).await.unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A dog", "Fur"));
    let is_streamed = |change: &Adjustment| change.change.contains("streamed and collected");
    assert!(response.adjustments.iter().any(is_streamed));
    let arrived = server.requests().remove(0);
    assert_eq!(arrived.line(), "POST /api/v1/services/aigc/multimodal-generation/generation HTTP/1.1");
    assert_eq!(arrived.header("x-dashscope-sse"), Some("enable"));
    assert_eq!(arrived.header("authorization"), Some("Bearer sk-canary0123456789"));
}

#[tokio::test]
async fn an_error_frame_ends_a_stream_with_what_had_arrived() {
    const FAILS: &str = "id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":\
        {\"content\":[{\"text\":\"A d\"}]},\"finish_reason\":\"null\"}]}}\n\n\
        id:2\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"DataInspectionFailed\",\"message\":\"..\",\
        \"request_id\":\"r\"}\n\n";
    let (_server, provider) = served(Wire::QwenVlNative, events(200, FAILS)).await;
    let error = streamed(&*provider, request()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::ContentRefused, Some(400)));
    assert_eq!(error.partial().unwrap().text, "A d");
    assert_eq!(error.provider(), Some("qwen-vl-native"));
}

#[tokio::test]
async fn a_refused_stream_may_give_its_reason_in_an_event() {
    const REFUSED: &str = "data: {\"error\":{\"message\":\"x\",\"code\":\"limit_requests\"}}\n\n";
    let (_server, provider) = served(Wire::QwenVl, events(429, REFUSED)).await;
    let error = streamed(&*provider, request()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::RateLimited, Some(429)));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_stream_may_be_answered_by_a_document() {
    const WHOLE: &str = r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r"}"#;
    let (_server, provider) = served(Wire::QwenVlNative, Reply::json(200, WHOLE)).await;
    let error = streamed(&*provider, request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("a key belongs to one region"), "{error}");
}

#[tokio::test]
async fn a_self_hosted_server_gets_no_key() {
    const REPLY: &str =
        r#"{"id":"1","choices":[{"message":{"content":"A dog","reasoning":"Fur"},"finish_reason":"stop"}]}"#;
    let server = MockServer::with_reply(Reply::json(200, REPLY)).await;
    let options = ProviderOptions::new("own")
        .with_deployment("vllm")
        .with_base_url(server.url("/v1").parse().unwrap())
        .with_model("served");
    let response = plain(&*Wire::QwenVl.provider(options), request()).await.unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A dog", "Fur"));
    let arrived = server.requests().remove(0);
    assert_eq!(arrived.header("authorization"), None);
    assert_eq!(arrived.line(), "POST /v1/chat/completions HTTP/1.1");
}
