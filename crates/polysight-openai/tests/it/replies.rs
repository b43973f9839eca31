//! Replies as they come.

use bytes::Bytes;
use http::HeaderMap;
use polysight_core::{Billed, ChatRequest, ChatResponse, ErrorKind, FinishKind, Image, ResponseMeta, Result};
use polysight_openai::OpenAiSettings;
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect as _, Events, Progress, ReplyHead};

use super::{plan, provider};

fn head(status: u16) -> ReplyHead {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", "req-1".parse().unwrap());
    ReplyHead::new(status, headers)
}

fn read(body: &str) -> Result<ChatResponse> {
    let provider = provider(&OpenAiSettings::new());
    let plan = plan(&provider, &ChatRequest::ask("?", None::<Image>).with_max_tokens(100));
    provider.inner().dialect().decode(&plan, &head(200), &Bytes::copy_from_slice(body.as_bytes()))
}

fn stream(body: &'static str) -> (String, Result<ResponseMeta>) {
    let provider = provider(&OpenAiSettings::new());
    let plan = plan(&provider, &ChatRequest::ask("?", None::<Image>));
    let mut decoder = provider.inner().dialect().decoder(&plan, &head(200));
    let mut reader = SseReader::default();
    reader.push(Bytes::from(body));
    reader.finish();
    let mut events = Events::new();
    while let Some(item) = reader.next_item().unwrap() {
        match decoder.read(item, &mut events) {
            Ok(Progress::Done) => break,
            Ok(_) => {}
            Err(error) => return (format!("{events:?}"), Err(error)),
        }
    }
    let end = decoder.finish(&mut events);
    (format!("{events:?}"), end)
}

#[test]
fn an_answer_is_read_with_its_usage_and_ids() {
    let answer = read(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"eye-1-0613","choices":[{"index":0,
            "message":{"role":"assistant","content":"A cat.","refusal":null},"finish_reason":"stop","logprobs":null}],
            "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}"#,
    )
    .unwrap();
    insta::assert_json_snapshot!(answer);
    assert_eq!((answer.finish.kind, answer.usage.unwrap().input_tokens), (FinishKind::Stop, 9));
}

#[test]
fn an_answer_in_pieces_ends_with_its_usage() {
    let (events, end) = stream(concat!(
        "data: {\"id\":\"c-1\",\"model\":\"eye-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"id\":\"c-1\",\"model\":\"eye-1\",\"choices\":[{\"delta\":{\"content\":\"A \"}}]}\n\n",
        "data: {\"id\":\"c-1\",\"model\":\"eye-1\",\"choices\":[{\"delta\":{\"content\":\"cat.\"}}]}\n\n",
        "data: {\"id\":\"c-1\",\"model\":\"eye-1\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\n",
        "data: [DONE]\n\n",
    ));
    assert_eq!(events, r#"[Text("A "), Text("cat.")]"#);
    insta::assert_json_snapshot!(end.unwrap());
}

#[test]
fn a_stream_that_stops_early_or_fails_is_an_error() {
    let (events, end) = stream("data: {\"choices\":[{\"delta\":{\"content\":\"A \"}}]}\n\n");
    assert_eq!((events.as_str(), end.unwrap_err().kind()), (r#"[Text("A ")]"#, ErrorKind::Interrupted));
    let (_, end) =
        stream("data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":503}}\n\n");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Server);
}

#[test]
fn failures_are_told_apart_by_code_words_and_status() {
    let provider = provider(&OpenAiSettings::new());
    for (status, class, code, kind, retryable) in [
        (401, "invalid_request_error", "invalid_api_key", ErrorKind::Authentication, false),
        (404, "invalid_request_error", "model_not_found", ErrorKind::ModelNotFound, false),
        (429, "tokens", "rate_limit_exceeded", ErrorKind::RateLimited, true),
        (429, "insufficient_quota", "insufficient_quota", ErrorKind::QuotaExhausted, false),
        (429, "billing_not_active", "billing_not_active", ErrorKind::Billing, false),
        (400, "invalid_request_error", "context_length_exceeded", ErrorKind::ContextTooLong, false),
        (400, "invalid_request_error", "content_policy_violation", ErrorKind::ContentRefused, false),
        (400, "invalid_request_error", "invalid_image_url", ErrorKind::MediaFetchFailed, false),
        (400, "image_parse_error", "image_parse_error", ErrorKind::InvalidMedia, false),
        (400, "invalid_request_error", "unknown_parameter", ErrorKind::InvalidRequest, false),
        (503, "server_error", "", ErrorKind::Server, true),
    ] {
        let body = format!(r#"{{"error":{{"message":"no","type":"{class}","param":null,"code":"{code}"}}}}"#);
        let error = provider.inner().dialect().decode_error(&head(status), body.as_bytes());
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status} {code}");
        assert_eq!((error.status(), error.request_id()), (Some(status), Some("req-1")));
    }
    let cut =
        read(r#"{"choices":[{"message":{"content":"I "},"finish_reason":"content_filter"}]}"#).unwrap_err();
    assert_eq!((cut.kind(), cut.partial().unwrap().text.as_str()), (ErrorKind::ContentRefused, "I "));
    let refused = read(r#"{"error":{"message":"Insufficient credits","code":402}}"#).unwrap_err();
    assert_eq!((refused.kind(), refused.billed()), (ErrorKind::Billing, Billed::No));
}
