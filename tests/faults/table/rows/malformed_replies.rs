//! Replies byte by byte: errors under every status, bodies that are no answer, good ones in other forms than the vendor's.

use ErrorKind::{InvalidRequest, MediaFetchFailed, Network, Overloaded, Protocol, Server};
use polysight::{Billed, ErrorKind};
use polysight_testkit::{ANSWER, Reply, Step, Wire};
use serde_json::{Value, json};

use super::{FAIR, FIRST_BYTE, IDLE, callers_id, replied};
use crate::table::codes::Coded;
use crate::table::row::{Advice, Ask, Outcome, Row, Text, answer, broken_off, lost, refused};
use crate::table::target::Target;

/// Statuses and codes of like failures, a column for each of [`Wire::ALL`].
const CODES: &str = "\
    400:1214 400:invalid_parameter_error 400:InvalidParameter             400:invalid_argument
    401:1000 401:invalid_api_key         401:InvalidApiKey                401:invalid_iam_token
    403:1220 403:access_denied           403:AccessDenied.Unpurchased     403:account_overdue
    404:1211 404:model_not_found         404:ModelNotFound                404:invalid_model
    413:1210 413:invalid_request_error   413:BadRequest.TooLarge          413:request_too_large
    429:1302 429:limit_requests          429:Throttling.RateQuota         429:rpm_rate_limit_exceeded
    429:1113 400:Arrearage               403:AllocationQuota.FreeTierOnly 429:17
    500:500  500:internal_error          500:InternalError.Algo           500:internal_error
    503:1305 503:ServiceUnavailable      503:ModelServingError            503:cluster_rate_limit_exceeded
    504:1234 504:request_timeout         504:RequestTimeOut               504:dispatch_internal_error
    400:1301 400:data_inspection_failed  400:DataInspectionFailed         403:user_setting_unsafe";

/// The media of a request that cannot be fetched: code, words and advice of each of [`Wire::ALL`].
const NOT_FETCHED: [(&str, &str, Advice); 4] = [
    ("1210", "图片输入格式/解析错误", Advice::Never),
    ("InvalidURL.Timeout", "cannot be downloaded", Advice::Later),
    ("BadRequest.InputDownloadFailed", "cannot be downloaded", Advice::Later),
    ("invalid_image_url", "cannot be downloaded", Advice::Never),
];

const JSON: [&str; 2] = ["Content-Type: application/json", "x-request-id: req-7"];

fn row(name: &str, reply: Reply, outcome: Outcome) -> Row {
    replied(format!("reply: {name}"), reply.clone(), reply).asking(Ask::Identified).both(outcome)
}

pub(super) fn all(target: &Target) -> Vec<Row> {
    let mut rows = foreign(target);
    rows.extend(under_200(target));
    rows.extend(unended(target));
    rows.extend(advised(target));
    rows
}

/// Errors in the vendor's own words.
pub(super) fn coded(target: &Target) -> Vec<Row> {
    let column = Wire::ALL.iter().position(|wire| wire.name() == target.name);
    let Some(column) = column else { return Vec::new() };
    let codes = CODES.lines().map(|line| line.split_whitespace().nth(column).unwrap());
    let mut rows: Vec<Row> = codes
        .map(|entry| {
            let (status, code) = entry.split_once(':').unwrap();
            let error = target.wire.error(code, "something is amiss").to_string();
            // `request_too_large` is in no table: the status decides.
            let by_status = || refused(InvalidRequest, Advice::Never);
            let outcome = target.find(code).map_or_else(by_status, Coded::outcome);
            let outcome = outcome.naming(status.parse().unwrap(), code, "req-7");
            row(entry, Reply::document(status.parse().unwrap(), &JSON, error), outcome)
        })
        .collect();
    let (code, words, advice) = NOT_FETCHED[column];
    let error = target.wire.error(code, words).to_string();
    let outcome = refused(MediaFetchFailed, advice).naming(400, code, "req-7");
    rows.push(row("media not fetched", Reply::document(400, &JSON, error), outcome));
    rows
}

/// What comes in no vendor's words.
fn foreign(target: &Target) -> Vec<Row> {
    let id = callers_id(target);
    let page =
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    let html = ["Content-Type: text/html", "x-request-id: req-7"];
    let lost = || lost(Network, Advice::Later).naming(0, "", id);
    vec![
        row("502, a page", Reply::document(502, &html, page), later(Server, 502).costing(Billed::Perhaps)),
        row("500, empty", Reply::document(500, &JSON, ""), later(Server, 500)),
        row("503, text", Reply::document(503, &JSON[1..], "upstream connect error"), later(Overloaded, 503)),
        row(
            "413, a page",
            Reply::document(413, &JSON[1..], "<html><h1>413 Too Large</h1></html>"),
            refused(InvalidRequest, Advice::Never).naming(413, "", "req-7"),
        ),
        row(
            "302",
            Reply::document(302, &["Location: https://elsewhere.example/?key=canary"], ""),
            refused(Protocol, Advice::Never).naming(302, "", id),
        ),
        row(
            "200, a page",
            Reply::document(200, &html[..1], page),
            broken_off(Protocol, Advice::Never).naming(200, "", id),
        ),
        row(
            "200, empty",
            Reply::document(200, &JSON[..1], ""),
            broken_off(Protocol, Advice::Later).naming(200, "", id),
        ),
        row("reset", Reply::nothing().then(Step::Reset), lost()),
        row("closed", Reply::nothing(), lost()),
        row(
            "silent",
            Reply::nothing().then(Step::Hang),
            broken_off(FIRST_BYTE, Advice::Never).naming(0, "", id),
        )
        .within(|limits| limits.first_byte = FAIR),
    ]
}

fn later(kind: ErrorKind, status: u16) -> Outcome {
    refused(kind, Advice::Later).naming(status, "", "req-7")
}

/// Status 200, and yet no answer; or one in an unusual form.
fn under_200(target: &Target) -> Vec<Row> {
    let (id, code) = (callers_id(target), target.codes.rate_limited);
    let error = target.wire.error(code, "slow down");
    let ok = |body: &Value| Reply::document(200, &JSON, body.to_string());
    let answered = |content: Value| ok(&target.wire.reply(&content));
    let mut no_choices = target.wire.reply(&json!("x"));
    let choices =
        if target.is_native() { &mut no_choices["output"]["choices"] } else { &mut no_choices["choices"] };
    *choices = json!([]);
    let own_id = match target.wire {
        Wire::QwenVl => "chatcmpl-7",
        Wire::Ernie => "as-7",
        _ => "req-7",
    };
    let whole = target.reply(ANSWER);
    let half = &whole[..whole.len() / 2];
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    let begun = || Reply::nothing().send(head).send(half);
    let throttled = || target.of_code(code).naming(200, code, "req-7");
    let cut = || broken_off(Network, Advice::Later).naming(0, "", id);
    vec![
        row("200, an error", ok(&error), throttled()),
        row(
            "200, a flat error",
            ok(&json!({"code": code, "msg": "slow down", "request_id": "req-7"})),
            throttled(),
        ),
        row(
            "200, half of the JSON",
            Reply::document(200, &JSON, half),
            broken_off(Protocol, Advice::Later).naming(200, "", "req-7").after(said_in(half)),
        ),
        row("200, no choices", ok(&no_choices), broken_off(Protocol, Advice::Never).naming(200, "", own_id)),
        row("200, content null", answered(Value::Null), answer(Text::Nothing)),
        row(
            "200, content in a list",
            answered(json!([{"type": "text", "text": "a"}, {"text": "b"}])),
            answer(Text::Exactly("ab")),
        ),
        row("reset in the body", begun().then(Step::Reset), cut()),
        row("closed in the body", begun(), cut()),
        row(
            "silent in the body",
            begun().then(Step::Hang),
            broken_off(IDLE, Advice::Never).naming(0, "", id),
        )
        .within(|limits| limits.idle = FAIR),
    ]
}

/// What a part of a reply holds of its text.
fn said_in(half: &str) -> Text {
    if half.contains(ANSWER) { Text::Exactly(ANSWER) } else { Text::Nothing }
}

/// An error whose body is there, though its end is not.
fn unended(target: &Target) -> Vec<Row> {
    let (outcome, error) = throttled(target);
    let begun = Reply::chunked(429, &JSON[..1]).piece(error);
    vec![
        row("429, cut", begun.clone(), outcome.clone()),
        row("429, reset", begun.clone().then(Step::Reset), outcome.clone()),
        row("429, silent", begun.then(Step::Hang), outcome).within(|limits| limits.idle = FAIR),
    ]
}

/// The vendor's error for too many requests, and what must come of it under 429 without an id in the head.
fn throttled(target: &Target) -> (Outcome, String) {
    let code = target.codes.rate_limited;
    let id = if target.wire == Wire::Zhipu { callers_id(target) } else { "req-7" };
    (target.of_code(code).naming(429, code, id), target.wire.error(code, "slow down").to_string())
}

/// What headers say about a retry.
fn advised(target: &Target) -> Vec<Row> {
    let (outcome, error) = throttled(target);
    let advised = |header: &str, advice| {
        let reply = Reply::document(429, &[JSON[0], header], &error);
        row(&format!("429, {header}"), reply, outcome.clone().advising(advice))
    };
    vec![
        advised("Retry-After: 2", Advice::Wait(2_000, 2_000)),
        advised("Retry-After-Ms: 300", Advice::Wait(300, 300)),
        advised("Retry-After: Sat, 21 Nov 2015 09:00:00 GMT", Advice::Wait(0, 0)),
        advised("Retry-After: soon", Advice::Later),
        advised("x-should-retry: false", Advice::Never),
    ]
}
