//! The vendor says no: by a status, by a body under HTTP 200, in a stream.

use std::time::{Duration, SystemTime};

use ErrorKind::{
    Authentication, Config, InvalidRequest, Network, Overloaded, Permission, Protocol, RateLimited, Server,
};
use polysight::{Billed, ErrorKind};
use polysight_emulator::{ErrorForm, Fault};
use polysight_testkit::Step;
use serde_json::json;

use super::{EVENTS, FAIR, FIRST_BYTE, JSON, document, server};
use crate::table::codes::{Coded, Form};
use crate::table::row::{Advice, Ask, Outcome, Row, Text, broken_off, fault, faults, lost, refused};
use crate::table::target::Target;

pub(super) fn statuses(target: &Target) -> Vec<Row> {
    let page = |status: &str, outcome: Outcome| {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\n");
        let page = "<html><h1>Sorry</h1></html>";
        document(status, &head, page, &head, page).both(outcome)
    };
    let too_large =
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec();
    // What stands before the vendor got no reply from it, which may have been at work.
    let behind = |billed| refused(Server, Advice::Later).costing(billed);
    let head_broken = |head: &str| {
        server(&format!("a head that is none: {head:?}"), [Step::ReadRequest, Step::Send(head.into())])
            .both(lost(Network, Advice::Later))
    };
    let mut rows = vec![
        head_broken("HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}"),
        head_broken("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
        head_broken("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        head_broken("HTTP/1.1 two hundred\r\n\r\n{}"),
        head_broken("HTTP/9 200 OK\r\n\r\n{}"),
        head_broken("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
        fault(Fault::Html502).both(behind(Billed::Perhaps)),
        fault(Fault::Empty500).both(refused(Server, Advice::Later)),
        page("400 Bad Request", refused(InvalidRequest, Advice::Never)),
        page("401 Unauthorized", refused(Authentication, Advice::Never)),
        page("403 Forbidden", refused(Permission, Advice::Never)),
        page("404 Not Found", refused(Config, Advice::Never)),
        page("429 Too Many Requests", refused(RateLimited, Advice::Later)),
        page("503 Service Unavailable", refused(Overloaded, Advice::Later)),
        page("408 Request Timeout", behind(Billed::Perhaps)),
        page("502 Bad Gateway", behind(Billed::Perhaps)),
        page("504 Gateway Timeout", behind(Billed::Likely)),
        page("520 Unknown Error", behind(Billed::Perhaps)),
        page("521 Web Server Is Down", refused(Server, Advice::Later)),
        page("524 A Timeout Occurred", behind(Billed::Likely)),
        page("529 Overloaded", refused(Overloaded, Advice::Later)),
        page("302 Found", refused(Protocol, Advice::Never)),
        server("refused while the picture is on its way", [Step::ReadHead, Step::Send(too_large)])
            .asking(Ask::LargePicture)
            .both(refused(InvalidRequest, Advice::Never)),
        fault(Fault::status(418, "4711")).both(refused(InvalidRequest, Advice::Never)),
    ];
    rows.extend(unfinished(target));
    rows
}

/// Refusals that do not arrive whole. Where a stream is refused in the stream, they are streams that do not.
fn unfinished(target: &Target) -> Vec<Row> {
    let throttled = || target.fault_of(target.codes.rate_limited);
    let by_status = || refused(RateLimited, Advice::Later);
    let streamed = |outcome: Outcome, in_stream: Outcome| {
        if target.is_native() { in_stream } else { outcome }
    };
    let no_money = target.of_code(target.codes.no_balance);
    vec![
        faults("an error that is cut", [throttled(), Fault::TruncateAfter(20)])
            .plain(by_status())
            .streamed(streamed(by_status(), broken_off(Network, Advice::Later))),
        faults("an error that stalls", [throttled(), Fault::StallBeforeFirstDelta])
            .within(|limits| (limits.first_byte, limits.idle) = (FAIR, FAIR))
            .plain(by_status())
            .streamed(streamed(by_status(), broken_off(FIRST_BYTE, Advice::Never))),
        faults("an error promised as gzip", [target.fault_of(target.codes.no_balance), Fault::GzipPromised])
            .plain(no_money.clone())
            .streamed(streamed(no_money, broken_off(Protocol, Advice::Never))),
    ]
}

pub(super) fn under_200(target: &Target) -> Vec<Row> {
    let codes = &target.codes;
    let refusals = [
        ("rate limited", codes.rate_limited),
        ("no balance", codes.no_balance),
        ("refused", codes.refused),
        ("failed", codes.failed),
    ];
    let mut rows: Vec<Row> =
        refusals.into_iter().flat_map(|(what, code)| one_under_200(target, what, code)).collect();
    rows.push(fault(Fault::Html200).both(broken_off(Protocol, Advice::Never)));
    for form in [ErrorForm::Data, ErrorForm::Event, ErrorForm::BareLine] {
        for after in [0, 2] {
            let failed = refused(Server, Advice::Later);
            let failed = match after {
                0 if target.opens_with_role => failed.after(Text::Nothing),
                0 => failed,
                _ => failed.after(Text::Deltas(after)),
            };
            let unnamed = form == ErrorForm::Data && target.is_native();
            rows.push(
                fault(Fault::ErrorFrame { form, after })
                    .streamed(failed)
                    .unless(unnamed.then_some("every event of this protocol has a name")),
            );
        }
    }
    let words = r#"{"error":"no"}"#;
    rows.push(
        document("an error of words alone", JSON, words, EVENTS, format!("data: {words}\n\n"))
            .both(refused(Server, Advice::Later)),
    );
    rows
}

/// A refusal under HTTP 200, in every form, the vendor's own last.
fn one_under_200(target: &Target, what: &str, code: &str) -> Vec<Row> {
    let outcome = || target.of_code(code);
    let body = faults(format!("200 and an error body: {what}"), [Fault::ErrorBody200(code.to_owned())]);
    let flat = faults(format!("200 and a flat error: {what}"), [Fault::FlatError200(code.to_owned())]);
    let framed = |form: &str, error: serde_json::Value| {
        let stream = format!("{}data: {error}\n\n", target.frames(&target.deltas(&["one"])));
        document(format!("{form} error in a frame: {what}"), JSON, error.to_string(), EVENTS, stream)
    };
    let own = target.wire.error(code, "no").to_string();
    let own = document(
        format!("the vendor's own error in a stream: {what}"),
        JSON,
        own,
        EVENTS,
        target.stream_that_fails("one", code),
    );
    let after_one = |row: Row| row.plain(outcome()).streamed(outcome().after(Text::Exactly("one")));
    vec![
        body.both(outcome()),
        flat.both(outcome()),
        after_one(framed("flat", json!({"code": code, "msg": "no"}))),
        after_one(framed("nested", json!({"error": {"code": code, "message": "no"}}))),
        after_one(own),
    ]
}

pub(super) fn codes(target: &Target) -> Vec<Row> {
    target.code_table.iter().copied().flatten().map(|coded| of_code(coded).both(coded.outcome())).collect()
}

fn of_code(coded: &Coded) -> Row {
    let code = coded.code;
    match (coded.fault(), coded.form) {
        (Some(each), Form::With(status, words)) => {
            let last = words.rsplit(": ").next().unwrap_or_default();
            let words: String = last.chars().take(22).collect();
            faults(format!("{status} {code}: {words}.."), [each])
        }
        (Some(each), _) => fault(each),
        (None, _) => {
            let number: u64 = code.parse().unwrap();
            let body = json!({"error_code": number, "error_msg": "no", "id": "as-1"}).to_string();
            document(format!("error_code {code} under 200"), JSON, body.as_str(), JSON, body.as_str())
        }
    }
}

pub(super) fn retry_after(target: &Target) -> Vec<Row> {
    let in_seconds = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
    let codes = &target.codes;
    let throttled = |row: Row, advice| row.both(target.of_code(codes.rate_limited).advising(advice));
    let later = |what: &str, name: &str, value: &str, advice: Advice| {
        let fault = Fault::status(429, codes.rate_limited).with_header(name, value);
        throttled(faults(what, [fault]), advice)
    };
    let header = |name: &str, value: &str, advice| later(&format!("{name}: {value}"), name, value, advice);
    let mut rows = vec![
        header("Retry-After", "2", Advice::Wait(2_000, 2_000)),
        header("Retry-After", "0", Advice::Wait(0, 0)),
        header("Retry-After", "1.5", Advice::Wait(1_500, 1_500)),
        header("retry-after-ms", "300", Advice::Wait(300, 300)),
        later("Retry-After: a date", "Retry-After", &in_seconds(600), Advice::Wait(500_000, 600_000)),
        later("Retry-After: a date in the past", "Retry-After", &past, Advice::Wait(0, 0)),
        header("llm_provider-retry-after", "3", Advice::Wait(3_000, 3_000)),
        header("x-should-retry", "false", Advice::Never),
    ];
    for absurd in ["-1", "soon", "1e300", "NaN", "99999999999999999999", "Sat, 21 Nov 2099 09:00:00 GMT", ""]
    {
        rows.push(header("Retry-After", absurd, Advice::Later));
    }
    let no_money = Fault::status(429, codes.no_balance).with_header("Retry-After", "1");
    let left = Fault::status(429, codes.rate_limited).with_header("x-ratelimit-remaining-requests", "0");
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\nconnection: close\r\n";
    let ok = format!("{JSON}retry-after: 4\r\n");
    let error = target.wire.error(codes.rate_limited, "no").to_string();
    rows.extend([
        faults("Retry-After, but no balance", [no_money]).both(target.of_code(codes.no_balance)),
        document("Retry-After under 503", busy, "", busy, "")
            .both(refused(Overloaded, Advice::Wait(7_000, 7_000))),
        throttled(
            document("Retry-After beside an error under 200", &ok, error.as_str(), &ok, error.as_str()),
            Advice::Wait(4_000, 4_000),
        ),
        faults("the account's limits in the headers", [left])
            .both(target.of_code(codes.rate_limited).with_requests_left(0)),
    ]);
    rows
}
