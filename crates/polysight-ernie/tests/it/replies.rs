//! What replies become.

use crate::support::{planned, vendor};
use bytes::Bytes;
use http::HeaderMap;
use polysight_core::{
    ChatRequest, ChatResponse, Error, ErrorKind, FinishKind, Message, ResponseMeta, Result, SafetyRole,
    StreamEvent,
};
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect as _, Events, Progress, ReplyHead};
use serde_json::{Value, json};

fn head(status: u16) -> ReplyHead {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-baidu-request-id", "rid-7"),
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "998"),
        ("x-ratelimit-limit-input-tokens", "150000"),
        ("x-ratelimit-remaining-output-tokens", "49000"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    ReplyHead::new(status, headers)
}

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("?")]).with_request_id("mine")
}

fn decoded(body: &Value) -> Result<ChatResponse> {
    let ernie = vendor();
    let plan = planned(ernie, request());
    ernie.inner().dialect().decode(&plan, &head(200), &Bytes::from(body.to_string()))
}

fn reply(choice: Value) -> Value {
    json!({
        "id": "as-k2m4n6p8q0", "object": "chat.completion", "created": 1_763_700_000, "model": "ernie-4.5-turbo-vl",
        "choices": [choice],
        "usage": {"prompt_tokens": 1024, "completion_tokens": 37, "total_tokens": 1061,
                  "prompt_tokens_details": {"search_tokens": 0, "cached_tokens": 512}}
    })
}

fn choice(finish: &str, flag: Value) -> Value {
    json!({"index": 0, "message": {"role": "assistant", "content": "一只猫", "reasoning_content": "想"},
           "finish_reason": finish, "flag": flag, "ban_round": -1})
}

#[test]
fn a_plain_reply_is_read_whole() {
    let response = decoded(&reply(choice("stop", json!(0)))).unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("一只猫", "想"));
    assert_eq!(response.finish.kind, FinishKind::Stop);
    assert_eq!(response.id.as_deref(), Some("as-k2m4n6p8q0"));
    assert_eq!(response.request_id.as_deref(), Some("rid-7"), "the id that support asks for");
    assert_eq!(response.created, Some(1_763_700_000));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.details.cached), (1_024, 37, Some(512)));
    let limits = response.rate_limits.unwrap();
    assert_eq!((limits.limit_requests, limits.remaining_requests), (Some(1_000), Some(998)));
    assert_eq!((limits.limit_input_tokens, limits.remaining_output_tokens), (Some(150_000), Some(49_000)));
    assert!(response.safety.is_empty());
}

#[test]
fn mild_flags_are_labels_and_grave_ones_take_the_answer_back() {
    for flag in [json!(1), json!(2), json!("2")] {
        let response = decoded(&reply(choice("stop", flag))).unwrap();
        assert_eq!(response.safety[0].role, SafetyRole::User);
        assert_eq!(response.safety[0].turn, Some(-1));
        assert_eq!(response.text, "一只猫");
    }
    for flag in [json!(3), json!(4), json!("4")] {
        let error = decoded(&reply(choice("stop", flag))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContentRefused);
        assert_eq!(error.partial().unwrap().text, "一只猫");
        assert!(error.safety()[0].level >= Some(3));
    }
}

#[test]
fn every_way_to_end_is_known() {
    assert!(decoded(&reply(choice("normal", json!(0)))).is_ok());
    let unknown = decoded(&reply(choice("", Value::Null))).unwrap();
    assert_eq!((unknown.finish.kind, unknown.text.as_str()), (FinishKind::Unknown, "一只猫"));
    for (finish, kind) in [
        ("content_filter", ErrorKind::ContentRefused),
        ("recover_stop", ErrorKind::Interrupted),
        ("length", ErrorKind::Interrupted),
        ("something_new", ErrorKind::Interrupted),
    ] {
        assert_eq!(decoded(&reply(choice(finish, Value::Null))).unwrap_err().kind(), kind, "{finish}");
    }
}

#[test]
fn tool_calls_come_with_null_content() {
    let call =
        json!({"id": "call-1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let response = decoded(&reply(json!({"message": message, "finish_reason": "tool_calls"}))).unwrap();
    assert_eq!((response.tool_calls[0].name.as_str(), response.text.as_str()), ("f", ""));
}

#[test]
fn an_error_under_status_200_is_an_error_in_every_shape() {
    for (body, kind, retryable) in [
        (json!({"error_code": 336_501, "error_msg": "rpm", "id": "as-1"}), ErrorKind::RateLimited, true),
        (json!({"code": 336_100, "msg": "busy"}), ErrorKind::Overloaded, true),
        (
            json!({"code": "rpm_rate_limit_exceeded", "msg": "Rate limit reached"}),
            ErrorKind::RateLimited,
            true,
        ),
        (
            json!({"error": {"code": "image_url_unsafe", "message": "no", "type": "unsafe_request"}}),
            ErrorKind::ContentRefused,
            false,
        ),
        (json!({"id": "as-1", "choices": []}), ErrorKind::Protocol, false),
    ] {
        let error = decoded(&body).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{body}");
    }
}

#[test]
fn an_error_carries_what_support_asks_for() {
    let ernie = vendor();
    let body = br#"{"error":{"code":"invalid_model","message":"no access","type":"invalid_request_error"},"id":"as-9"}"#;
    let error = ernie.inner().dialect().decode_error(&head(401), body);
    assert_eq!(
        (error.kind(), error.code(), error.status()),
        (ErrorKind::ModelNotFound, Some("invalid_model"), Some(401))
    );
    assert_eq!(error.request_id(), Some("as-9"));
    assert_eq!(ernie.inner().dialect().decode_error(&head(500), b"").request_id(), Some("rid-7"));
}

/// Everything that a stream gave, and how it ended.
type Read = (String, String, Result<ResponseMeta>);

/// Reads a stream that arrives in these pieces.
fn streamed(pieces: &[&[u8]]) -> Read {
    let ernie = vendor();
    let plan = planned(ernie, request());
    let mut decoder = ernie.inner().dialect().decoder(&plan, &head(200));
    let mut reader = SseReader::new(1 << 20);
    let mut events = Events::new();
    let mut read = || -> Result<ResponseMeta> {
        for piece in pieces {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(item) = reader.next_item().unwrap() {
                if decoder.read(item, &mut events)? == Progress::Done {
                    return decoder.finish(&mut events);
                }
            }
        }
        reader.finish();
        while let Some(item) = reader.next_item().unwrap() {
            decoder.read(item, &mut events)?;
        }
        decoder.finish(&mut events)
    };
    let end = read();
    let (mut text, mut reasoning) = (String::new(), String::new());
    for event in events {
        match event {
            StreamEvent::Text(piece) => text.push_str(&piece),
            StreamEvent::Reasoning(piece) => reasoning.push_str(&piece),
            other => panic!("{other:?}"),
        }
    }
    (text, reasoning, end)
}

fn failed(stream: &str) -> (String, Error) {
    let (text, _, end) = streamed(&[stream.as_bytes()]);
    (text, end.unwrap_err())
}

const STREAM: &str = concat!(
    ": keep-alive\r\n\r\n",
    "data: {\"id\":\"as-1\",\"object\":\"chat.completion\",\"created\":1763700000,\"model\":\"ernie-5.0\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"想\"},\"flag\":0}]}\n\n",
    "data:{\"id\":\"as-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"一只\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "event: message\ndata: {\"id\":\"as-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"猫🐈 event\"},\"finish_reason\":\"\"}]}\n\n",
    "data: {\"id\":\"as-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\",\"is_end\":true}]}\n\n",
    "data: {\"id\":\"as-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":900,\"completion_tokens\":12,\"total_tokens\":912}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn a_stream_is_the_same_wherever_it_is_cut() {
    let check = |pieces: &[&[u8]], context: usize| {
        let (text, reasoning, end) = streamed(pieces);
        let end = end.unwrap();
        assert_eq!((text.as_str(), reasoning.as_str()), ("一只猫🐈 event", "想"), "cut at {context}");
        assert_eq!(end.usage.unwrap().total_tokens, 912);
        assert_eq!((end.id.as_deref(), end.request_id.as_deref()), (Some("as-1"), Some("rid-7")));
        assert_eq!((end.finish.kind, end.model.as_str()), (FinishKind::Stop, "ernie-5.0"));
        assert_eq!(end.rate_limits.unwrap().limit_requests, Some(1_000));
    };
    let bytes = STREAM.as_bytes();
    for cut in 0..=bytes.len() {
        check(&[&bytes[..cut], &bytes[cut..]], cut);
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    check(&single, usize::MAX);
}

#[test]
fn a_stream_without_done_is_complete_if_the_model_was() {
    let (text, _, end) = streamed(&[STREAM.replace("data: [DONE]\n\n", "").as_bytes()]);
    assert_eq!(text, "一只猫🐈 event");
    assert!(end.is_ok());
    let (text, error) =
        failed("data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n");
    assert_eq!((text.as_str(), error.kind()), ("half", ErrorKind::Interrupted));
    assert_eq!(error.request_id(), Some("as-1"));
}

#[test]
fn a_flag_in_mid_stream_takes_back_what_was_shown() {
    let shown = "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"shown\"},\"flag\":1,\"ban_round\":0}]}\n\n";
    for flag in ["4", "\"4\"", "3"] {
        let stream =
            format!("{shown}data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}},\"flag\":{flag}}}]}}\n\n");
        let (text, error) = failed(&stream);
        assert_eq!((text.as_str(), error.kind()), ("shown", ErrorKind::ContentRefused));
        assert_eq!(error.safety().len(), 2);
        assert_eq!(error.safety()[0].role, SafetyRole::History);
    }
}

#[test]
fn an_error_in_mid_stream_is_found_in_every_shape() {
    let shown = "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    for line in [
        "data: {\"error\":{\"code\":\"tpm_rate_limit_exceeded\",\"message\":\"x\",\"type\":\"rate_limit_exceeded\"},\"id\":\"as-2\"}\n\n",
        "{\"error\":{\"code\":\"tpm_rate_limit_exceeded\",\"message\":\"x\"},\"id\":\"as-2\"}\n\n",
        "data: {\"error_code\":336502,\"error_msg\":\"x\",\"id\":\"as-2\"}\n\n",
        "event: error\ndata: {\"code\":\"tpm_rate_limit_exceeded\",\"msg\":\"x\",\"id\":\"as-2\"}\n\n",
    ] {
        let (text, error) = failed(&format!("{shown}{line}"));
        assert_eq!((text.as_str(), error.kind()), ("half", ErrorKind::RateLimited), "{line}");
        assert_eq!(error.request_id(), Some("as-2"));
    }
}
