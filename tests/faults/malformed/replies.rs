//! Malformed replies to a plain call: the right kind, status, code, id and advice, and nothing shown that is secret.

use polysight::{ErrorKind, TimeoutPhase, Transport};
use polysight_testkit::{MockServer, Reply, Step, Wire, calls};
use serde_json::{Value, json};

use crate::report::{Report, advice, leak};
use crate::{Transports, question};

use ErrorKind::{
    Authentication, Billing, ContentRefused, InvalidRequest, MediaFetchFailed, ModelNotFound, Network,
    Overloaded, Permission, Protocol, QuotaExhausted, RateLimited, Server, Timeout,
};

/// An error in each vendor's words: status, code, kind, advice. In the order of [`Wire::ALL`].
type Row = (&'static str, [(u16, &'static str, ErrorKind, &'static str); 4]);

const CODED: [Row; 12] = [
    (
        "e400",
        [
            (400, "1214", InvalidRequest, "never"),
            (400, "invalid_parameter_error", InvalidRequest, "never"),
            (400, "InvalidParameter", InvalidRequest, "never"),
            (400, "invalid_argument", InvalidRequest, "never"),
        ],
    ),
    (
        "e401",
        [
            (401, "1000", Authentication, "never"),
            (401, "invalid_api_key", Authentication, "never"),
            (401, "InvalidApiKey", Authentication, "never"),
            (401, "invalid_iam_token", Authentication, "never"),
        ],
    ),
    (
        "e403",
        [
            (403, "1220", Permission, "never"),
            (403, "access_denied", Permission, "never"),
            (403, "AccessDenied.Unpurchased", Billing, "never"),
            (403, "account_overdue", Billing, "never"),
        ],
    ),
    (
        "e404",
        [
            (404, "1211", ModelNotFound, "never"),
            (404, "model_not_found", ModelNotFound, "never"),
            (404, "ModelNotFound", ModelNotFound, "never"),
            (404, "invalid_model", ModelNotFound, "never"),
        ],
    ),
    (
        "e413",
        [
            (413, "1210", InvalidRequest, "never"),
            (413, "invalid_request_error", InvalidRequest, "never"),
            (413, "BadRequest.TooLarge", InvalidRequest, "never"),
            (413, "request_too_large", InvalidRequest, "never"),
        ],
    ),
    (
        "e429",
        [
            (429, "1302", RateLimited, "later"),
            (429, "limit_requests", RateLimited, "later"),
            (429, "Throttling.RateQuota", RateLimited, "later"),
            (429, "rpm_rate_limit_exceeded", RateLimited, "later"),
        ],
    ),
    (
        "e429 money",
        [
            (429, "1113", Billing, "never"),
            (400, "Arrearage", Billing, "never"),
            (403, "AllocationQuota.FreeTierOnly", Billing, "never"),
            (429, "17", QuotaExhausted, "never"),
        ],
    ),
    (
        "e500",
        [
            (500, "500", Server, "later"),
            (500, "internal_error", Server, "later"),
            (500, "InternalError.Algo", Server, "later"),
            (500, "internal_error", Server, "later"),
        ],
    ),
    (
        "e503",
        [
            (503, "1305", Overloaded, "later"),
            (503, "ServiceUnavailable", Overloaded, "later"),
            (503, "ModelServingError", Overloaded, "later"),
            (503, "cluster_rate_limit_exceeded", Overloaded, "later"),
        ],
    ),
    (
        "e504",
        [
            (504, "1234", Server, "later"),
            (504, "request_timeout", Server, "later"),
            (504, "RequestTimeOut", Server, "later"),
            (504, "dispatch_internal_error", Server, "later"),
        ],
    ),
    (
        "e400-filter",
        [
            (400, "1301", ContentRefused, "never"),
            (400, "data_inspection_failed", ContentRefused, "never"),
            (400, "DataInspectionFailed", ContentRefused, "never"),
            (403, "user_setting_unsafe", ContentRefused, "never"),
        ],
    ),
    (
        "e400-fetch",
        [
            (400, "1210", MediaFetchFailed, "never"),
            (400, "InvalidURL.Timeout", MediaFetchFailed, "later"),
            (400, "BadRequest.InputDownloadFailed", MediaFetchFailed, "later"),
            (400, "invalid_image_url", MediaFetchFailed, "never"),
        ],
    ),
];

/// The words beside a code.
fn words(case: &str, wire: Wire) -> &'static str {
    match (case, wire) {
        ("e400-fetch", Wire::Zhipu) => "图片输入格式/解析错误",
        ("e400-fetch", _) => "cannot be downloaded",
        _ => "something is amiss",
    }
}

const JSON: [&str; 2] = ["Content-Type: application/json", "x-request-id: req-7"];

/// The id that requests go out with, to vendors that take one.
const SENT: &str = "order-4711";

/// The id that a failure has where the vendor tells none.
fn sent(wire: Wire) -> &'static str {
    match wire {
        Wire::Zhipu | Wire::Ernie => SENT,
        _ => "",
    }
}

/// A failure in one line: kind, status, code, id, advice.
fn line(kind: ErrorKind, status: u16, code: &str, id: &str, retry: &str) -> String {
    format!("{kind:?} {status} {code} {id} {retry}")
}

async fn outcome(wire: Wire, reply: Reply, transport: Transport) -> String {
    let server = MockServer::with_reply(reply).await;
    let provider = wire.provider(wire.options(&server.url(""), transport));
    match calls::plain(&*provider, question().with_request_id(SENT)).await {
        Ok(response) => format!("`{}` {}", response.text, response.finish.raw),
        Err(error) => {
            assert_eq!(error.provider(), Some(wire.name()));
            assert!(!error.to_string().contains('\n'));
            let (code, id) = (error.code().unwrap_or_default(), error.request_id().unwrap_or_default());
            line(error.kind(), error.status().unwrap_or(0), code, id, &advice(error.retry())) + &leak(&error)
        }
    }
}

/// Case, reply, limits, what is wanted.
type Case = (&'static str, Reply, fn(&Transports) -> &Transport, String);

fn long(all: &Transports) -> &Transport {
    &all.long
}

fn coded(place: usize, wire: Wire) -> Vec<Case> {
    let cases = CODED.iter().map(|(case, rows)| -> Case {
        let (status, code, kind, retry) = rows[place];
        let reply = Reply::document(status, &JSON, wire.error(code, words(case, wire)).to_string());
        (*case, reply, long, line(kind, status, code, "req-7", retry))
    });
    cases.collect()
}

/// What comes in no vendor's words.
fn foreign(wire: Wire) -> Vec<Case> {
    let sent = sent(wire);
    let page =
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    let cut = &JSON[..1];
    vec![
        (
            "e502-html",
            Reply::document(502, &["Content-Type: text/html", "x-request-id: req-7"], page),
            long,
            line(Server, 502, "", "req-7", "later"),
        ),
        ("e500-empty", Reply::document(500, &JSON, ""), long, line(Server, 500, "", "req-7", "later")),
        (
            "e503-text",
            Reply::document(503, &["x-request-id: req-7"], "upstream connect error"),
            long,
            line(Overloaded, 503, "", "req-7", "later"),
        ),
        (
            "e413-html",
            Reply::document(413, &["x-request-id: req-7"], "<html><h1>413 Too Large</h1></html>"),
            long,
            line(InvalidRequest, 413, "", "req-7", "never"),
        ),
        (
            "e302",
            Reply::document(302, &["Location: https://elsewhere.example/?key=canary"], ""),
            long,
            line(Protocol, 302, "", sent, "never"),
        ),
        (
            "html200",
            Reply::document(200, &["Content-Type: text/html"], page),
            long,
            line(Protocol, 200, "", sent, "never"),
        ),
        ("ok-empty", Reply::document(200, cut, ""), long, line(Protocol, 200, "", sent, "later")),
        ("reset", Reply::nothing().then(Step::Reset), long, line(Network, 0, "", sent, "later")),
        ("eof", Reply::nothing(), long, line(Network, 0, "", sent, "later")),
        (
            "hang",
            Reply::nothing().then(Step::Hang),
            |all| &all.short_first_byte,
            line(Timeout(TimeoutPhase::FirstByte), 0, "", sent, "never"),
        ),
    ]
}

/// Status 200, and yet no answer; or one that only looks odd.
fn good_looking(wire: Wire) -> Vec<Case> {
    let (error, code) = wire.throttled();
    let (id, sent) = ("req-7", sent(wire));
    let own_id = match wire {
        Wire::QwenVl => "chatcmpl-7",
        Wire::Ernie => "as-7",
        _ => id,
    };
    let ok = |body: &Value| Reply::document(200, &JSON, body.to_string());
    let mut no_choices = wire.reply(&json!("x"));
    let choices = if wire == Wire::QwenVlNative {
        &mut no_choices["output"]["choices"]
    } else {
        &mut no_choices["choices"]
    };
    *choices = json!([]);
    let whole = wire.reply(&json!("Hello")).to_string();
    let (status_line, half) =
        ("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", &whole[..whole.len() / 2]);
    vec![
        ("biz200", ok(&error), long, line(RateLimited, 200, code, id, "later")),
        (
            "biz200-flat",
            ok(&json!({"code": code, "msg": "slow down", "request_id": id})),
            long,
            line(RateLimited, 200, code, id, "later"),
        ),
        ("badjson", Reply::document(200, &JSON, half), long, line(Protocol, 200, "", "req-7", "later")),
        ("ok-empty-choices", ok(&no_choices), long, line(Protocol, 200, "", own_id, "never")),
        ("ok-content-null", ok(&wire.reply(&Value::Null)), long, "`` stop".to_owned()),
        (
            "ok-content-list",
            ok(&wire.reply(&json!([{"type": "text", "text": "a"}, {"text": "b"}]))),
            long,
            "`ab` stop".to_owned(),
        ),
        (
            "reset in body",
            Reply::nothing().send(status_line).send(half).then(Step::Reset),
            long,
            line(Network, 0, "", sent, "later"),
        ),
        (
            "cut body",
            Reply::nothing().send(status_line).send(half),
            long,
            line(Network, 0, "", sent, "later"),
        ),
        (
            "hang in body",
            Reply::nothing().send(status_line).send(half).then(Step::Hang),
            |all| &all.short_idle,
            line(Timeout(TimeoutPhase::Idle), 0, "", sent, "never"),
        ),
    ]
}

/// The id in a body of [`Wire::throttled`], or the caller's.
fn body_id(wire: Wire) -> &'static str {
    match wire {
        Wire::Zhipu => SENT,
        _ => "req-7",
    }
}

/// An error whose body is there, though its end is not.
fn unended(wire: Wire) -> Vec<Case> {
    let (error, code) = wire.throttled();
    let id = body_id(wire);
    let wanted = || line(RateLimited, 429, code, id, "later");
    let begun = Reply::chunked(429, &JSON[..1]).piece(error.to_string());
    vec![
        ("e429 cut", begun.clone(), long, wanted()),
        ("e429 reset", begun.clone().then(Step::Reset), long, wanted()),
        ("e429 hang", begun.then(Step::Hang), |all| &all.short_idle, wanted()),
    ]
}

/// What headers say about trying again.
fn advised(wire: Wire) -> Vec<Case> {
    let (error, code) = wire.throttled();
    let id = body_id(wire);
    let with = |header| Reply::document(429, &["Content-Type: application/json", header], error.to_string());
    let wanted = |retry| line(RateLimited, 429, code, id, retry);
    vec![
        ("retry-after", with("Retry-After: 2"), long, wanted("2 s")),
        ("retry-after-ms", with("Retry-After-Ms: 300"), long, wanted("0.3 s")),
        ("retry-after past", with("Retry-After: Sat, 21 Nov 2015 09:00:00 GMT"), long, wanted("0 s")),
        ("retry-after odd", with("Retry-After: soon"), long, wanted("later")),
        ("should-retry false", with("x-should-retry: false"), long, wanted("never")),
    ]
}

#[tokio::test]
async fn malformed_replies_become_the_right_error_and_show_no_secret() {
    let mut report = Report::new("malformed replies", Wire::ALL.map(Wire::name));
    let transports = Transports::new();
    let mut running = Vec::new();
    for (place, wire) in Wire::ALL.into_iter().enumerate() {
        let all = [coded(place, wire), foreign(wire), good_looking(wire), unended(wire), advised(wire)];
        for (case, reply, transport, wanted) in all.concat() {
            let transport = transport(&transports).clone();
            running.push((wire, case, tokio::spawn(outcome(wire, reply, transport)), wanted));
        }
    }
    for (wire, case, task, wanted) in running {
        report.compare(case, wire.name(), task.await.unwrap(), wanted);
    }
    report.close();
}
