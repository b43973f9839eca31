//! Replies in the shapes that the vendor's pages, recordings and users show, cut anywhere.

use bytes::Bytes;
use http::HeaderMap;
use polysight_core::{
    ChatRequest, ChatResponse, Error, ErrorKind, FinishKind, Message, Plan, ResponseMeta, Result, SafetyRole,
    StreamEvent, VisionProvider,
};
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect, Events, Progress, ReplyHead, StreamDecoder};

use super::zhipu;

fn plan(model: &str) -> Plan {
    zhipu().plan(&ChatRequest::new([Message::user("?")]).with_model(model).with_raw()).unwrap()
}

fn head() -> ReplyHead {
    ReplyHead::new(200, HeaderMap::new())
}

fn plain(model: &str, body: &str) -> Result<ChatResponse> {
    zhipu().inner().dialect().decode(&plan(model), &head(), &Bytes::copy_from_slice(body.as_bytes()))
}

/// What a stream gave: its text, its reasoning, its other events counted, and its end.
#[derive(Debug)]
struct Read {
    text: String,
    reasoning: String,
    end: Result<ResponseMeta>,
}

fn streamed(model: &str, pieces: &[&[u8]]) -> Read {
    let mut decoder = zhipu().inner().dialect().decoder(&plan(model), &head());
    let mut reader = SseReader::new(1 << 20);
    let mut events = Events::new();
    let end = feed(&mut reader, &mut *decoder, pieces, &mut events);
    let (mut text, mut reasoning) = (String::new(), String::new());
    for event in events {
        match event {
            StreamEvent::Text(piece) => text.push_str(&piece),
            StreamEvent::Reasoning(piece) => reasoning.push_str(&piece),
            _ => {}
        }
    }
    Read { text, reasoning, end }
}

fn feed(
    reader: &mut SseReader,
    decoder: &mut dyn StreamDecoder,
    pieces: &[&[u8]],
    events: &mut Events,
) -> Result<ResponseMeta> {
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece));
        while let Some(item) = reader.next_item().unwrap() {
            if decoder.read(item, events)? == Progress::Done {
                return decoder.finish(events);
            }
        }
    }
    reader.finish();
    while let Some(item) = reader.next_item().unwrap() {
        if decoder.read(item, events)? == Progress::Done {
            break;
        }
    }
    decoder.finish(events)
}

/// The early shape: no `object`, ids of 19 digits, no details of usage.
const EARLY_REPLY: &str = r#"{
"created": 1703487403, "id": "8239375684858666781", "model": "glm-4v-plus", "request_id": "8239375684858666781",
"choices": [{"finish_reason": "stop", "index": 0, "message": {"content": "海面上有一座小岛。", "role": "assistant"}}],
"usage": {"completion_tokens": 37, "prompt_tokens": 1037, "total_tokens": 1074}
}"#;

/// The early stream, as its page shows it: the mark of the end is promised and not shown.
const EARLY_STREAM: &str = concat!(
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"下\"}}]}\n\n",
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"角\"}}]}\n\n",
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"有一个\"}}]}\n\n",
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"树木\"}}]}\n\n",
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"。\"}}]}\n\n",
    "data: {\"id\":\"8305986882425703351\",\"created\":1705476637,\"model\":\"glm-4v-plus\",\"choices\":",
    "[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],",
    "\"usage\":{\"prompt_tokens\":1037,\"completion_tokens\":37,\"total_tokens\":1074}}\n\n",
);

#[test]
fn the_early_reply_is_read() {
    let response = plain("glm-4v-plus", EARLY_REPLY).unwrap();
    assert_eq!(response.text, "海面上有一座小岛。");
    assert_eq!(response.id.as_deref(), Some("8239375684858666781"));
    assert_eq!(response.request_id.as_deref(), Some("8239375684858666781"));
    assert_eq!(response.created, Some(1_703_487_403));
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (1_037, 37, 1_074));
    assert!(response.raw.is_some());
}

#[test]
fn the_early_stream_is_read_however_it_is_cut() {
    let bytes = EARLY_STREAM.as_bytes();
    let check = |pieces: &[&[u8]], what: &str| {
        let read = streamed("glm-4v-plus", pieces);
        let end = read.end.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(read.text, "下角有一个树木。", "{what}");
        assert_eq!(end.finish.kind, FinishKind::Stop, "{what}");
        assert_eq!(end.usage.unwrap().total_tokens, 1_074, "{what}");
        assert_eq!(end.id.as_deref(), Some("8305986882425703351"), "{what}");
    };
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        check(&[left, right], &format!("cut at {cut}"));
    }
    check(&bytes.chunks(1).collect::<Vec<_>>(), "byte by byte");
    let with_mark = format!("{EARLY_STREAM}data: [DONE]\n\n");
    check(&[with_mark.as_bytes()], "with the mark of the end");
    check(&[EARLY_STREAM.trim_end().as_bytes()], "without the last empty line");
    check(&[EARLY_STREAM.replace('\n', "\r\n").as_bytes()], "with CRLF");
}

#[test]
fn the_early_reply_cut_anywhere_is_an_error_and_no_panic() {
    for cut in 0..EARLY_REPLY.len() {
        if let Some(part) = EARLY_REPLY.get(..cut) {
            let error = plain("glm-4v-plus", part).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "cut at {cut}");
        }
    }
}

#[test]
fn a_stream_cut_before_its_finish_reason_is_interrupted() {
    let whole = EARLY_STREAM.as_bytes();
    let last = EARLY_STREAM.rfind("data: ").unwrap();
    for cut in [0, 10, 200, last, last + 40] {
        let error = streamed("glm-4v-plus", &[&whole[..cut]]).end.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Protocol),
            "cut at {cut}: {error}"
        );
        assert!(error.is_retryable(), "cut at {cut}");
    }
    let marked = format!("{}data: [DONE]\n\n", &EARLY_STREAM[..last]);
    assert_eq!(streamed("glm-4v-plus", &[marked.as_bytes()]).end.unwrap_err().kind(), ErrorKind::Interrupted);
}

fn reply(message: &str, finish: &str) -> String {
    format!(
        r#"{{"choices":[{{"finish_reason":"{finish}","index":0,"message":{message}}}],"created":1791482096,
        "id":"20261009015456dfa744dc7c144abe","model":"glm-4.6v","object":"chat.completion","request_id":"my-request",
        "usage":{{"completion_tokens":12,"completion_tokens_details":{{"reasoning_tokens":5}},"prompt_tokens":1037,
        "prompt_tokens_details":{{"cached_tokens":4}},"total_tokens":1049}}}}"#
    )
}

#[test]
fn the_present_shape_is_read_with_its_details() {
    let response =
        plain("glm-4.6v", &reply(r#"{"content":"A","reasoning_content":"B","role":"assistant"}"#, "stop"));
    let response = response.unwrap();
    assert_eq!((response.text.as_str(), response.reasoning.as_str()), ("A", "B"));
    let details = response.usage.unwrap().details;
    assert_eq!((details.cached, details.reasoning), (Some(4), Some(5)));
    assert_eq!(response.request_id.as_deref(), Some("my-request"));
}

#[test]
fn content_may_be_a_string_a_list_or_null() {
    let text = |message: &str| plain("glm-4.6v", &reply(message, "stop")).unwrap().text;
    assert_eq!(text(r#"{"content":"a\u4e00"}"#), "a一");
    assert_eq!(text(r#"{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#), "ab");
    assert_eq!(text(r#"{"content":null}"#), "");
    assert_eq!(text(r#"{}"#), "");
    assert_eq!(text(r#"{"content":17,"tool_calls":null,"audio":{},"refusal":null}"#), "17");
}

#[test]
fn reasoning_inside_the_text_is_parted_from_it() {
    let body = reply(r#"{"content":"<think>let me see</think>\n\nA cat."}"#, "stop");
    let response = plain("glm-4.1v-thinking-flash", &body).unwrap();
    assert_eq!((response.reasoning.as_str(), response.text.as_str()), ("let me see", "A cat."));
    let other = plain("glm-4.6v", &body).unwrap();
    assert!(other.text.starts_with("<think>"), "only models that are known for it");
    let chunk =
        |content: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n");
    let stream = ["<thi", "nk>a", "b</th", "ink>", "\\n\\nA ", "cat"].map(chunk).concat()
        + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let read = streamed("glm-4.1v-thinking-flash", &[stream.as_bytes()]);
    assert_eq!((read.reasoning.as_str(), read.text.as_str()), ("ab", "A cat"));
    assert!(read.end.is_ok());
}

#[test]
fn tool_calls_may_have_arguments_as_text_or_object() {
    for arguments in [r#""{\"city\":\"北京\"}""#, r#"{"city":"北京"}"#] {
        let message = format!(
            r#"{{"content":null,"tool_calls":[{{"id":"c1","type":"function","index":0,
            "function":{{"name":"get_weather","arguments":{arguments}}}}}]}}"#
        );
        let response = plain("glm-4.6v", &reply(&message, "tool_calls")).unwrap();
        assert_eq!(response.tool_calls[0].arguments, r#"{"city":"北京"}"#);
        assert_eq!(response.finish.kind, FinishKind::ToolCalls);
    }
}

#[test]
fn endings_that_are_no_answers_are_errors_with_what_had_arrived() {
    for (finish, kind, retryable) in [
        ("sensitive", ErrorKind::ContentRefused, false),
        ("network_error", ErrorKind::Interrupted, true),
        ("model_context_window_exceeded", ErrorKind::ContextTooLong, false),
        ("length", ErrorKind::Interrupted, false),
        ("something_new", ErrorKind::Interrupted, false),
    ] {
        let error = plain("glm-4.6v", &reply(r#"{"content":"half"}"#, finish)).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable(), error.code()), (kind, retryable, Some(finish)));
        assert_eq!(error.partial().unwrap().text, "half");
        assert_eq!(error.request_id(), Some("my-request"));
        let stream = format!(
            "data: {{\"id\":\"x\",\"choices\":[{{\"delta\":{{\"content\":\"half\"}}}}]}}\n\n\
             data: {{\"id\":\"x\",\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"{finish}\"}}]}}\n\ndata: [DONE]\n\n"
        );
        assert_eq!(streamed("glm-4.6v", &[stream.as_bytes()]).end.unwrap_err().kind(), kind, "{finish}");
    }
}

#[test]
fn the_content_audit_labels_replies_streams_and_errors() {
    let body = reply(r#"{"content":""}"#, "sensitive").replacen(
        '{',
        r#"{"content_filter":[{"role":"assistant","level":1}],"#,
        1,
    );
    let label = |error: &Error| (error.safety()[0].role, error.safety()[0].level);
    assert_eq!(label(&plain("glm-4.6v", &body).unwrap_err()), (SafetyRole::Assistant, Some(1)));
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"sensitive\"}],\
                  \"content_filter\":[{\"role\":\"history\",\"level\":0}]}\n\ndata: [DONE]\n\n";
    let error = streamed("glm-4.6v", &[stream.as_bytes()]).end.unwrap_err();
    assert_eq!(label(&error), (SafetyRole::History, Some(0)));
    let body = br#"{"contentFilter":[{"level":1,"role":"user"}],"error":{"code":"1301","message":"unsafe"}}"#;
    let error = zhipu().inner().dialect().decode_error(&ReplyHead::new(400, HeaderMap::new()), body);
    assert_eq!((error.kind(), label(&error)), (ErrorKind::ContentRefused, (SafetyRole::User, Some(1))));
}

#[test]
fn status_200_is_not_success() {
    for (body, kind) in [
        (r#"{"error":{"code":"1305","message":"busy"}}"#, ErrorKind::Overloaded),
        (r#"{"code":1000,"msg":"bad key","success":false}"#, ErrorKind::Authentication),
        (r#"{"choices":[]}"#, ErrorKind::Protocol),
        (r#"{"choices":null,"id":"x"}"#, ErrorKind::Protocol),
        ("<html>login</html>", ErrorKind::Protocol),
        ("", ErrorKind::Protocol),
    ] {
        assert_eq!(plain("glm-4.6v", body).unwrap_err().kind(), kind, "{body}");
    }
}

#[test]
fn errors_inside_a_stream_end_it_in_every_form() {
    let start = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    for frame in [
        "data: {\"error\":{\"code\":\"1305\",\"message\":\"busy\"}}\n\n",
        "event: error\ndata: {\"code\":\"1305\",\"message\":\"busy\"}\n\n",
        "{\"error\":{\"code\":\"1305\",\"message\":\"busy\"}}\n\n",
    ] {
        let read = streamed("glm-4.6v", &[format!("{start}{frame}").as_bytes()]);
        let error = read.end.unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), read.text.as_str()),
            (ErrorKind::Overloaded, Some("1305"), "half")
        );
    }
    let glued = format!("{start}data: {{\"choices\":[{{\"delta\":{{\"contdata: {{\"choices\":[]}}\n\n");
    let error = streamed("glm-4.6v", &[glued.as_bytes()]).end.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Protocol, true));
}

#[test]
fn oddities_of_compatible_servers_are_data_and_no_failures() {
    let chunks = [
        r#"{"choices":[{"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{"content":"a","reasoning":""},"finish_reason":""}],"usage":null,"x":{"y":[1]}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
        r#"{"choices":null}"#,
        r#"{"choices":[{"delta":{"content":"b","tool_calls":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":"3"}}"#,
        r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    ];
    let stream = chunks.map(|chunk| format!("data:{chunk}\n\n")).concat();
    let read = streamed("glm-4.6v", &[stream.as_bytes()]);
    let end = read.end.unwrap();
    assert_eq!(read.text, "ab");
    assert_eq!(end.usage.unwrap().total_tokens, 5, "the last count holds");
    assert_eq!(end.raw.unwrap().frames().len(), 6);
}
