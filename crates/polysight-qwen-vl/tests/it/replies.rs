//! What comes back, in both protocols.

use super::support::{head, plan, read, read_however_cut, vendor};
use polysight_core::{ChatRequest, ChatResponse, Error, ErrorKind, FinishKind, Image, Result, StreamEvent};
use polysight_qwen_vl::{Protocol, QwenVl, image_sizes, ocr_result};
use polysight_wire::Dialect;

fn request() -> ChatRequest {
    ChatRequest::ask("?", [Image::from_url("https://img.example.com/a.png").unwrap()])
}

fn decode(provider: &QwenVl, request: ChatRequest, body: &str) -> Result<ChatResponse> {
    let plan = plan(provider, request);
    let head = head(200, &[("x-request-id", "head-1"), ("content-type", "application/json")]);
    provider.inner().dialect().decode(&plan, &head, &bytes::Bytes::copy_from_slice(body.as_bytes()))
}

const NATIVE_REPLY: &str = r#"{"output":{"choices":[{"finish_reason":"stop","message":{"role":"assistant",
    "content":[{"text":"A dog "},{"text":"on a beach."}],"reasoning_content":"Sand."}}]},
    "usage":{"input_tokens":2530,"output_tokens":6,"total_tokens":2536,"image_tokens":2503,
    "input_tokens_details":{"image_tokens":2503,"text_tokens":27},"output_tokens_details":{"text_tokens":6,
    "reasoning_tokens":4},"prompt_tokens_details":{"cached_tokens":11}},"request_id":"r-1"}"#;

#[test]
fn a_native_reply_is_read() {
    let response = decode(&vendor(Protocol::Native), request(), NATIVE_REPLY).unwrap();
    assert_eq!(response.text, "A dog on a beach.");
    assert_eq!(response.reasoning, "Sand.");
    assert_eq!(response.model, "qwen3-vl-plus");
    assert_eq!(response.request_id.as_deref(), Some("r-1"));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (2530, 6, 2536));
    assert_eq!((usage.details.image, usage.details.text), (Some(2503), Some(27)));
    assert_eq!((usage.details.cached, usage.details.reasoning), (Some(11), Some(4)));
}

#[test]
fn a_native_reply_of_2024_is_read() {
    let body = r#"{"output":{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"plain"}}]},
        "usage":{"input_tokens":10,"output_tokens":2,"image_tokens":7},"request_id":"r-1"}"#;
    let response = decode(&vendor(Protocol::Native), request(), body).unwrap();
    assert_eq!(response.text, "plain");
    let usage = response.usage.unwrap();
    assert_eq!((usage.total_tokens, usage.details.image), (12, Some(7)));
}

#[test]
fn a_native_call_of_tools_is_read() {
    let body = r#"{"output":{"choices":[{"finish_reason":"tool_calls","message":{"role":"assistant","content":[],
        "tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]},
        "request_id":"r-1"}"#;
    let response = decode(&vendor(Protocol::Native), request(), body).unwrap();
    assert_eq!(response.finish.kind, FinishKind::ToolCalls);
    assert_eq!(response.tool_calls[0].arguments, r#"{"a":1}"#);
}

#[test]
fn arguments_of_a_native_call_may_be_an_object() {
    let call = r#""tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":{"a":1}}}]"#;
    let body = format!(
        r#"{{"output":{{"choices":[{{"finish_reason":"tool_calls","message":{{"role":"assistant","content":[],{call}}}}}]}}}}"#
    );
    let provider = vendor(Protocol::Native);
    assert_eq!(decode(&provider, request(), &body).unwrap().tool_calls[0].arguments, r#"{"a":1}"#);
    let read = read_however_cut(&provider, &plan(&provider, request()), &native_stream(&[&body]));
    let [StreamEvent::ToolCall(call)] = &read.events[..] else { panic!("{:?}", read.events) };
    assert_eq!(call.arguments, r#"{"a":1}"#);
}

#[test]
fn native_extras_of_an_answer_are_found_in_its_raw_form() {
    let body = r#"{"output":{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":[
        {"text":"x","ocr_result":{"kv_result":{"Total":"7"}}},{"image_hw":[[1092,1456],[28,28]]}]}}]},"request_id":"r"}"#;
    let native = vendor(Protocol::Native);
    let response = decode(&native, request().with_raw(), body).unwrap();
    let sizes: Vec<_> = image_sizes(&response).iter().map(|size| (size.width, size.height)).collect();
    assert_eq!(sizes, [(1456, 1092), (28, 28)]);
    assert_eq!(ocr_result(&response).unwrap()["kv_result"]["Total"], "7");
    let without_raw = decode(&native, request(), body).unwrap();
    assert!(image_sizes(&without_raw).is_empty() && ocr_result(&without_raw).is_none());
}

#[test]
fn an_error_under_status_200_is_an_error() {
    for body in [
        r#"{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded","request_id":"r-1"}"#,
        r#"{"code":"Throttling.RateQuota","message":"..","output":{"choices":[]},"request_id":"r-1"}"#,
        r#"{"output":null,"code":"Throttling.RateQuota","message":"..","request_id":"r-1"}"#,
    ] {
        let error = decode(&vendor(Protocol::Native), request(), body).unwrap_err();
        assert_eq!((error.kind(), error.request_id()), (ErrorKind::RateLimited, Some("r-1")));
    }
    let body = r#"{"error":{"message":"x","code":"data_inspection_failed"},"id":"chatcmpl-1"}"#;
    let error = decode(&vendor(Protocol::Compatible), request(), body).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContentRefused);
}

#[test]
fn replies_that_are_no_answers_are_errors() {
    let native = vendor(Protocol::Native);
    let kind = |body: &str| decode(&native, request(), body).unwrap_err().kind();
    assert_eq!(kind("<html>"), ErrorKind::Protocol);
    assert_eq!(kind("{}"), ErrorKind::Protocol);
    assert_eq!(kind(r#"{"output":{"choices":[]}}"#), ErrorKind::Protocol);
    let unfinished =
        r#"{"output":{"choices":[{"finish_reason":"null","message":{"content":[{"text":"half"}]}}]}}"#;
    let error = decode(&native, request(), unfinished).unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text.as_str()), (ErrorKind::Interrupted, "half"));
    let cut = NATIVE_REPLY.replace("\"stop\"", "\"length\"");
    assert_eq!(kind(&cut), ErrorKind::Interrupted);
    assert!(decode(&native, request().with_max_tokens(6), &cut).is_ok());
}

const COMPATIBLE_REPLY: &str = r#"{"choices":[{"message":{"role":"assistant","content":"A dog.","reasoning_content":"Fur."},
    "finish_reason":"stop","index":0,"logprobs":null}],"object":"chat.completion","usage":{"prompt_tokens":2530,
    "completion_tokens":6,"total_tokens":2536,"prompt_tokens_details":{"image_tokens":2503,"text_tokens":27,
    "cached_tokens":0},"completion_tokens_details":{"text_tokens":6}},"created":1776262281,"system_fingerprint":null,
    "model":"qwen3-vl-plus","id":"chatcmpl-0d95"}"#;

#[test]
fn a_compatible_reply_is_read() {
    let response = decode(&vendor(Protocol::Compatible), request(), COMPATIBLE_REPLY).unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A dog.", "Fur."));
    assert_eq!(response.id.as_deref(), Some("chatcmpl-0d95"));
    assert_eq!(response.request_id.as_deref(), Some("head-1"));
    assert_eq!(response.usage.unwrap().details.image, Some(2503));
}

#[test]
fn an_answer_that_the_vendors_clock_cut_is_no_success() {
    for (protocol, body) in [(Protocol::Compatible, COMPATIBLE_REPLY), (Protocol::Native, NATIVE_REPLY)] {
        let provider = vendor(protocol);
        let plan = plan(&provider, request());
        let head = head(200, &[("x-dashscope-partialresponse", "true")]);
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let error = provider.inner().dialect().decode(&plan, &head, &body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(error.partial().unwrap().text.starts_with("A dog"));
    }
}

fn native_stream(frames: &[&str]) -> String {
    let frame = |(index, data): (usize, &&str)| {
        format!("id:{}\nevent:result\n:HTTP_STATUS/200\ndata:{data}\n\n", index + 1)
    };
    frames.iter().enumerate().map(frame).collect()
}

const FIRST: &str = r#"{"output":{"choices":[{"message":{"content":[],"reasoning_content":"Hm","role":"assistant"},"finish_reason":"null"}]},"usage":{"input_tokens":9,"output_tokens":1,"image_tokens":7},"request_id":"r"}"#;
const SECOND: &str = r#"{"output":{"choices":[{"message":{"content":[{"text":"一只"}],"reasoning_content":"","role":"assistant"},"finish_reason":"null"}]},"usage":{"input_tokens":9,"output_tokens":3,"image_tokens":7},"request_id":"r"}"#;
const THIRD: &str = r#"{"output":{"choices":[{"message":{"content":[{"text":"狗\n"}],"role":"assistant"},"finish_reason":"null"}]},"usage":{"input_tokens":9,"output_tokens":4,"image_tokens":7},"request_id":"r"}"#;
const LAST: &str = r#"{"output":{"choices":[{"message":{"content":[],"role":"assistant"},"finish_reason":"stop"}]},"usage":{"input_tokens":9,"output_tokens":5,"total_tokens":14,"image_tokens":7},"request_id":"r"}"#;

#[test]
fn a_native_stream_is_read_however_it_is_cut() {
    let provider = vendor(Protocol::Native);
    let plan = plan(&provider, request().with_raw());
    let stream = native_stream(&[FIRST, SECOND, THIRD, LAST]);
    let read = read_however_cut(&provider, &plan, &stream);
    assert_eq!((read.text().as_str(), read.reasoning().as_str()), ("一只狗\n", "Hm"));
    let end = read.end.unwrap();
    assert_eq!((end.finish.kind, end.request_id.as_deref()), (FinishKind::Stop, Some("r")));
    assert_eq!(end.usage.unwrap().total_tokens, 14, "usage is counted up, the last one holds");
    assert_eq!(end.raw.unwrap().json().unwrap().len(), 4);
}

#[test]
fn a_native_stream_may_end_with_text_or_lack_its_last_line_end() {
    let provider = vendor(Protocol::Native);
    let plan = plan(&provider, request());
    let last = THIRD.replace("\"null\"", "\"stop\"");
    let stream = native_stream(&[SECOND, &last]);
    for stream in [stream.as_str(), stream.trim_end()] {
        let read = read_however_cut(&provider, &plan, stream);
        assert_eq!(read.text(), "一只狗\n");
        assert!(read.end.is_ok());
    }
}

#[test]
fn frames_without_blank_lines_between_them_are_separate_events() {
    let provider = vendor(Protocol::Native);
    let plan = plan(&provider, request());
    let stream = native_stream(&[FIRST, SECOND, LAST]).replace("\n\n", "\n");
    let read = read_however_cut(&provider, &plan, &stream);
    assert_eq!(read.text(), "一只");
    assert_eq!(read.end.unwrap().usage.unwrap().output_tokens, 5);
}

#[test]
fn parallel_native_calls_keep_their_ids() {
    let frame = |calls: &str, finish: &str| {
        format!(
            r#"{{"output":{{"choices":[{{"message":{{"role":"assistant","content":[],"tool_calls":[{calls}]}},"finish_reason":"{finish}"}}]}},"request_id":"r"}}"#
        )
    };
    let stream = native_stream(&[
        &frame(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"f","arguments":""}}"#,
            "null",
        ),
        &frame(r#"{"index":0,"id":"","type":"function","function":{"arguments":"{\"x\":"}}"#, "null"),
        &frame(
            r#"{"index":1,"id":"call_b","type":"function","function":{"name":"g","arguments":"{}"}}"#,
            "null",
        ),
        &frame(r#"{"index":0,"id":"","type":"function","function":{"arguments":"1}"}}"#, "null"),
        &frame("", "tool_calls"),
    ]);
    let provider = vendor(Protocol::Native);
    let read = read_however_cut(&provider, &plan(&provider, request()), &stream);
    let mut arguments = [String::new(), String::new()];
    let mut ids = Vec::new();
    for event in &read.events {
        if let StreamEvent::ToolCall(delta) = event {
            arguments[delta.index].push_str(&delta.arguments);
            ids.extend(delta.id.clone());
        }
    }
    assert_eq!(arguments, [r#"{"x":1}"#, "{}"]);
    assert_eq!(ids, ["call_a", "call_b"]);
    assert_eq!(read.end.unwrap().finish.kind, FinishKind::ToolCalls);
}

#[test]
fn an_error_in_a_native_stream_has_the_status_of_its_comment() {
    let provider = vendor(Protocol::Native);
    let plan = plan(&provider, request());
    let error = "id:2\nevent:error\n:HTTP_STATUS/429\ndata:{\"code\":\"Throttling.RateQuota\",\"message\":\"..\",\"request_id\":\"r\"}\n\n";
    let stream = native_stream(&[SECOND]) + error;
    let read = read_however_cut(&provider, &plan, &stream);
    assert_eq!(read.text(), "一只");
    let error = read.end.unwrap_err();
    assert_eq!(
        (error.kind(), error.status(), error.is_retryable()),
        (ErrorKind::RateLimited, Some(429), true)
    );
    let unnamed = ":HTTP_STATUS/418\nevent:error\ndata:{\"code\":\"\",\"message\":\"odd\"}\n\n";
    assert_eq!(read_end(&provider, unnamed).status(), Some(418));
    let bare = "{\"code\":\"InternalError\",\"message\":\"..\"}\n";
    assert_eq!(read_end(&provider, bare).kind(), ErrorKind::Server);
}

fn read_end(provider: &QwenVl, stream: &str) -> Error {
    read(provider, &plan(provider, request()), &[stream.as_bytes()]).end.unwrap_err()
}

#[test]
fn native_streams_that_break_off_are_interrupted() {
    let provider = vendor(Protocol::Native);
    assert_eq!(read_end(&provider, "").kind(), ErrorKind::Interrupted);
    assert_eq!(read_end(&provider, &native_stream(&[FIRST, SECOND])).kind(), ErrorKind::Interrupted);
    let half = native_stream(&[FIRST]) + "id:2\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"cho";
    assert_eq!(read_end(&provider, &half).kind(), ErrorKind::Protocol);
}

#[test]
fn a_compatible_stream_is_read_however_it_is_cut() {
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"data: {{"choices":[{{"delta":{delta},"index":0,"logprobs":null,"finish_reason":{finish}}}],"object":"chat.completion.chunk","usage":null,"created":1,"system_fingerprint":null,"model":"qwen3-vl-plus","id":"chatcmpl-x"}}"#
        ) + "\n\n"
    };
    let usage = r#"data: {"choices":[],"object":"chat.completion.chunk","usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"image_tokens":7}},"created":1,"model":"qwen3-vl-plus","id":"chatcmpl-x"}"#;
    let stream = [
        chunk(r#"{"content":"","role":"assistant"}"#, "null"),
        chunk(r#"{"content":null,"reasoning_content":"Hm"}"#, "null"),
        ": keep-alive\n\n".to_owned(),
        chunk(r#"{"content":"一只","reasoning_content":null}"#, "null"),
        chunk(r#"{"content":"狗"}"#, "null"),
        chunk(r#"{"content":""}"#, "\"stop\""),
        format!("{usage}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let provider = vendor(Protocol::Compatible);
    let read = read_however_cut(&provider, &plan(&provider, request()), &stream);
    assert_eq!((read.text().as_str(), read.reasoning().as_str()), ("一只狗", "Hm"));
    let end = read.end.unwrap();
    assert_eq!(end.usage.unwrap().details.image, Some(7));
    assert_eq!(end.id.as_deref(), Some("chatcmpl-x"));
}

#[test]
fn a_compatible_stream_may_be_stopped_by_the_inspection() {
    let provider = vendor(Protocol::Compatible);
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"A\"},\"index\":0,\"finish_reason\":null}],\"id\":\"x\"}\n\n\
                  data: {\"error\":{\"code\":\"data_inspection_failed\",\"message\":\"..\",\"type\":\"x\"},\"id\":\"x\"}\n\n";
    let read = read_however_cut(&provider, &plan(&provider, request()), stream);
    assert_eq!(read.text(), "A");
    assert_eq!(read.end.unwrap_err().kind(), ErrorKind::ContentRefused);
}
