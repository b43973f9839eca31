//! Faults in the words and the framing of the vendors other than Zhipu.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use polysight_emulator::{Emulator, ErrorForm, Fault, Surface};
use serde_json::{Value, json};

const TEXT: &str = "You asked: hello there";

fn body(surface: Surface, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "hello there"}]);
    match surface {
        Surface::DashScopeNative => {
            json!({"model": "qwen3-vl-plus", "input": {"messages": messages}, "parameters": {}})
        }
        Surface::Qianfan => with(talk("ernie-4.5-turbo-vl", messages), "stream", stream),
        _ => with(talk("qwen3-vl-plus", messages), "stream", stream),
    }
}

async fn answer(surface: Surface, stream: bool, fault: Fault) -> Answer {
    let emulator = Emulator::start().await.unwrap();
    emulator.script(fault);
    let headers: &[&str] = if stream { &[SSE] } else { &[] };
    ask_with(&emulator, surface, headers, &body(surface, stream)).await
}

const COMPATIBLE: Surface = Surface::DashScopeCompatible;
const NATIVE: Surface = Surface::DashScopeNative;
const VENDORS: [Surface; 3] = [COMPATIBLE, NATIVE, Surface::Qianfan];

#[tokio::test]
async fn codes_are_told_in_the_spelling_of_the_surface() {
    for code in ["Throttling.AllocationQuota", "insufficient_quota"] {
        let compatible = answer(COMPATIBLE, false, Fault::Code(code.into())).await;
        assert_eq!((compatible.status(), compatible.code().as_str()), (429, "insufficient_quota"));
        assert_eq!(compatible.json()["error"]["type"], "insufficient_quota");
        let native = answer(NATIVE, false, Fault::Code(code.into())).await;
        assert_eq!((native.status(), &native.json()["code"]), (429, &json!("Throttling.AllocationQuota")));
        assert!(native.json()["message"].as_str().unwrap().starts_with("Allocated quota exceeded"));
    }
    let older = answer(COMPATIBLE, false, Fault::Code("LimitRequests".into())).await;
    assert_eq!((older.status(), older.code().as_str()), (429, "LimitRequests"));
    let qianfan = answer(Surface::Qianfan, false, Fault::Code("tpm_rate_limit_exceeded".into())).await;
    assert_eq!((qianfan.status(), qianfan.message().as_str()), (429, "Rate limit reached for TPM"));
    assert_eq!(qianfan.json()["error"]["type"], "rate_limit_exceeded");
    let gateway = answer(Surface::Gateway, false, Fault::Code("Throttling.RateQuota".into())).await;
    assert_eq!((gateway.status(), gateway.json()["error"]["type"].as_str()), (429, Some("rate_limit_error")));
}

#[tokio::test]
async fn codes_of_streams_come_as_each_vendor_sends_them() {
    let native = answer(NATIVE, true, Fault::Code("Throttling.RateQuota".into())).await;
    assert_eq!(native.status(), 200);
    assert_eq!(native.native_events()[0].0, 429);
    let compatible = answer(COMPATIBLE, true, Fault::Code("Throttling.RateQuota".into())).await;
    assert_eq!(compatible.status(), 429);
    assert!(compatible.events()[0].contains(r#""code":"limit_requests""#));
    let qianfan = answer(Surface::Qianfan, true, Fault::Code("rpm_rate_limit_exceeded".into())).await;
    assert_eq!((qianfan.status(), qianfan.code().as_str()), (429, "rpm_rate_limit_exceeded"));
    // A status of one's own is a status in every framing.
    for surface in VENDORS {
        let answer = answer(surface, true, Fault::status(503, "x").with_header("Retry-After", "1")).await;
        assert_eq!((answer.status(), answer.header("retry-after").as_deref()), (503, Some("1")));
    }
}

#[tokio::test]
async fn errors_under_status_200_keep_the_vendors_shape() {
    let native = answer(NATIVE, false, Fault::ErrorBody200("DataInspectionFailed".into())).await;
    assert_eq!((native.status(), &native.json()["code"]), (200, &json!("DataInspectionFailed")));
    assert!(native.json().get("output").is_none());
    let qianfan = answer(Surface::Qianfan, false, Fault::ErrorBody200("internal_error".into())).await;
    assert_eq!((qianfan.status(), qianfan.json()["error"]["type"].as_str()), (200, Some("Internal_error")));
}

#[tokio::test]
async fn errors_arrive_in_mid_stream() {
    let fault = |form| Fault::ErrorFrame { form, after: 2 };
    let native = answer(NATIVE, true, fault(ErrorForm::Data)).await;
    let events = native.native_events();
    assert_eq!((events.len(), events[2].0, &events[2].1["code"]), (3, 500, &json!("InternalError")));
    let compatible = answer(COMPATIBLE, true, fault(ErrorForm::Data)).await;
    assert!(
        compatible.text().trim_end().lines().last().unwrap().starts_with(r#"data: {"error":{"message":"#)
    );
    let qianfan = answer(Surface::Qianfan, true, fault(ErrorForm::BareLine)).await;
    assert!(
        qianfan.text().trim_end().lines().last().unwrap().starts_with(r#"{"error":{"code":"internal_error""#)
    );
}

#[tokio::test]
async fn moderation_withdraws_answers_in_each_vendors_way() {
    let plain = answer(COMPATIBLE, false, Fault::Sensitive).await;
    assert_eq!((plain.status(), plain.code().as_str()), (400, "data_inspection_failed"));
    assert_eq!(plain.message(), "Output data may contain inappropriate content.");
    let stream = answer(COMPATIBLE, true, Fault::Sensitive).await;
    assert_eq!(stream.status(), 200);
    let events = stream.events();
    assert!(!stream.text().contains("finish_reason\":\"stop") && stream.text().contains("You aske"));
    assert!(events.len() > 2 && events.last().unwrap().contains("data_inspection_failed"), "{events:?}");
    let events = answer(NATIVE, true, Fault::Sensitive).await.native_events();
    assert_eq!(
        (events.last().unwrap().0, &events.last().unwrap().1["code"]),
        (400, &json!("DataInspectionFailed"))
    );

    let filtered = answer(Surface::Qianfan, false, Fault::Sensitive).await;
    assert_eq!(filtered.json()["choices"][0]["finish_reason"], "content_filter");
    for flag in 1..=4 {
        let answer = answer(Surface::Qianfan, true, Fault::Flag(flag)).await;
        let last = answer.chunks().pop().unwrap();
        assert_eq!(
            (&last["choices"][0]["flag"], &last["choices"][0]["ban_round"]),
            (&json!(flag), &json!(-1))
        );
        assert_eq!(answer.streamed("content") == TEXT, flag < 3, "{flag}");
    }
}

#[tokio::test]
async fn inference_fails_halfway() {
    for surface in [COMPATIBLE, Surface::Qianfan] {
        let plain = answer(surface, false, Fault::NetworkError).await;
        assert_eq!((plain.status(), plain.code().as_str()), (500, "internal_error"));
        let events = answer(surface, true, Fault::NetworkError).await.events();
        assert!(events.len() > 1 && events.last().unwrap().contains("internal_error"), "{events:?}");
    }
}

#[tokio::test]
async fn the_older_finish_reason_of_baidu_can_be_asked_for() {
    let reply = answer(Surface::Qianfan, false, Fault::FinishReason("normal".into())).await.json();
    assert_eq!(reply["choices"][0]["finish_reason"], "normal");
}

#[tokio::test]
async fn native_streams_are_damaged_like_others() {
    let text = async |fault| answer(NATIVE, true, fault).await.text();
    assert!(text(Fault::NoUsage).await.contains("output") && !text(Fault::NoUsage).await.contains("usage"));
    assert!(!text(Fault::NoFinish).await.contains(r#""finish_reason":"stop""#));
    assert_eq!(text(Fault::EmptyStream).await, "");
    assert!(text(Fault::CrLf).await.contains("id:1\r\nevent:result\r\n:HTTP_STATUS/200\r\ndata:{"));
    assert!(text(Fault::KeepAliveComments).await.starts_with(": keep-alive\n\nid:1\n"));
    assert!(text(Fault::NullChoices).await.contains(r#""output":{"choices":null}"#));
    assert!(text(Fault::EmptyChoices).await.contains(r#""output":{"choices":[]}"#));
    assert!(text(Fault::HugeLine(100_000)).await.lines().any(|line| line.len() > 99_000));
    let answer = answer(NATIVE, true, Fault::InvalidUtf8).await;
    assert!(String::from_utf8(answer.body().0).is_err());
}

#[tokio::test]
async fn every_fault_of_the_wire_reaches_every_surface() {
    for surface in VENDORS {
        let cut = answer(surface, true, Fault::TruncateAfter(300)).await;
        assert_eq!((cut.body().0.len(), cut.body().1, cut.end), (300, false, End::Closed));
        assert_eq!(answer(surface, false, Fault::ResetBeforeHead).await.end, End::Reset);
        assert_eq!(answer(surface, false, Fault::Html502).await.status(), 502);
        assert_eq!(answer(surface, false, Fault::Empty500).await.text(), "");
        assert!(
            serde_json::from_str::<Value>(&answer(surface, false, Fault::InvalidJson).await.text()).is_err()
        );
    }
}

#[tokio::test]
async fn quotas_and_faults_leave_no_trace_in_each_other() {
    let emulator = Emulator::builder().quotas(true).start().await.unwrap();
    let body = with(talk("qvq-max", json!([{"role": "user", "content": "hi"}])), "stream", true);
    for _ in 0..70 {
        emulator.script(Fault::Code("ModelUnavailable".into()));
        assert_eq!(ask(&emulator, COMPATIBLE, &body).await.status(), 503);
    }
    assert_eq!(ask(&emulator, COMPATIBLE, &body).await.status(), 200);
}
