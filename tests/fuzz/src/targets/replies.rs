//! Each vendor's plain replies and errors.

use bytes::Bytes;
use polysight_core::Error;
use polysight_testkit::Wire;
use polysight_wire::ReplyHead;
use serde_json::json;

use crate::display::{CANARY, check_line, check_response, check_secret};
use crate::input;
use crate::wires::{dialect, plan, reply};

pub(crate) fn zhipu(data: &[u8]) {
    check(Wire::Zhipu, data);
}

pub(crate) fn qwen(data: &[u8]) {
    check(Wire::QwenVl, data);
}

pub(crate) fn qwen_native(data: &[u8]) {
    check(Wire::QwenVlNative, data);
}

pub(crate) fn ernie(data: &[u8]) {
    check(Wire::Ernie, data);
}

/// An answer that is called good ended well; an error may be shown, whatever words and media it was made of.
fn check(wire: Wire, data: &[u8]) {
    let (head, body) = reply(data);
    let seed = input::hash(data);
    decode(wire, &head, &body, seed & 1 == 1);
    for status in [head.status, 400, 401, 413, 429, 500, 503] {
        let head = ReplyHead::new(status, (*head.headers).clone());
        check_error(&head, dialect(wire).decode_error(&head, &body));
    }
    let words = String::from_utf8_lossy(&body);
    for body in hostile(&words, data) {
        decode(wire, &head, &body, false);
        let error = dialect(wire).decode_error(&head, &body);
        check_error(&head, error.clone());
        check_secret(&error);
    }
}

fn decode(wire: Wire, head: &ReplyHead, body: &Bytes, limited: bool) {
    let plan = plan(wire, limited, true);
    match dialect(wire).decode(plan, head, body) {
        Ok(response) => check_response(&response, limited),
        Err(error) => check_error(head, error),
    }
}

fn check_error(head: &ReplyHead, error: Error) {
    let retry = head.retry_after(std::time::SystemTime::UNIX_EPOCH);
    assert!(retry.is_none_or(|wait| wait.as_secs() <= 86_400), "{retry:?}");
    check_line(&head.advise(error));
}

/// Failures in every shape whose words hold a signed link and a picture.
fn hostile(words: &str, data: &[u8]) -> Vec<Bytes> {
    let signed = format!("{words} https://cdn.example/a.jpg?sign={CANARY}&x=1 data:image/png;base64,");
    let words = signed + &"iVBORw0KGgo/".repeat(10 + data.len() % 40) + words;
    [
        json!({"error": {"code": words, "message": words, "type": words}, "request_id": words}),
        json!({"code": "1210", "message": words, "request_id": words}),
        json!({"error_code": 17, "error_msg": words, "id": words}),
        json!({"error": words}),
        json!({"detail": [{"msg": words, "loc": [words], "type": "x", "input": CANARY}]}),
        json!({"choices": [{"message": {"content": ""}, "finish_reason": words}]}),
        json!({"output": {"choices": [{"message": {"content": []}, "finish_reason": words}]}}),
    ]
    .into_iter()
    .map(|body| Bytes::from(body.to_string()))
    .collect()
}
