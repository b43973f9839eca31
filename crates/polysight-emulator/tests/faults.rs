//! Every fault, seen from the other end of the socket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, ErrorForm, Fault};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn emulator_with(fault: Fault) -> Emulator {
    let emulator = Emulator::start().await.unwrap();
    emulator.script(fault);
    emulator
}

async fn plain(fault: Fault) -> Answer {
    chat(&emulator_with(fault).await, &question("hello there")).await
}

async fn stream(fault: Fault) -> Answer {
    chat(&emulator_with(fault).await, &streamed("hello there")).await
}

/// The reply as far as it comes, for faults that leave the connection open.
async fn silent(fault: Fault, body: &Value) -> Answer {
    chat_until_silent(&emulator_with(fault).await, body).await
}

const TEXT: &str = "You asked: hello there";

#[tokio::test]
async fn each_chat_request_takes_one_scripted_fault() {
    let emulator = emulator_with(Fault::Code("1302".into())).await;
    emulator.script(Fault::Code("1305".into()));
    let codes = [chat(&emulator, &question("a")).await.code(), chat(&emulator, &question("b")).await.code()];
    assert_eq!(codes, ["1302", "1305"]);
    assert_eq!(chat(&emulator, &question("c")).await.status(), 200);
    emulator.script_together([]);
    emulator.script_together([Fault::NoDone, Fault::CrLf]);
    assert!(chat(&emulator, &streamed("d")).await.text().contains("[DONE]"));
    let both = chat(&emulator, &streamed("e")).await.text();
    assert!(both.contains("\r\n\r\n") && !both.contains("[DONE]"));
}

#[tokio::test]
async fn a_request_may_name_its_faults_and_leaves_the_script_alone() {
    let emulator = emulator_with(Fault::Empty500).await;
    let body = streamed("hello there").to_string();
    let headers = [KEY, "x-polysight-fault: no-done", "x-polysight-fault: crlf"];
    let named = send(&emulator, "POST", CHAT, &headers, body.as_bytes()).await;
    assert!(named.text().contains("\r\n\r\n") && !named.text().contains("[DONE]"));
    let wrong = send(&emulator, "POST", CHAT, &[KEY, "x-polysight-fault: nonsense"], b"{}").await;
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().contains("nonsense"));
    assert_eq!(chat(&emulator, &question("x")).await.status(), 500);
}

#[tokio::test]
async fn errors_come_in_the_asked_form() {
    let answer = plain(Fault::status(429, "1302").with_header("Retry-After", "2")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (429, "1302"));
    assert_eq!(answer.header("retry-after").as_deref(), Some("2"));
    assert_eq!(answer.message(), "您的账户已达到速率限制，请您控制请求频率");

    let answer = plain(Fault::Code("1113".into())).await;
    assert_eq!((answer.status(), answer.message().as_str()), (429, "余额不足或无可用资源包,请充值。"));

    let answer = stream(Fault::ErrorBody200("1305".into())).await;
    assert_eq!((answer.status(), answer.code().as_str()), (200, "1305"));
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));

    let answer = plain(Fault::FlatError200("500".into())).await;
    assert_eq!((answer.status(), &answer.json()["code"]), (200, &json!("500")));

    let answer = plain(Fault::Html502).await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().starts_with("<html>"));

    let answer = plain(Fault::Html200).await;
    assert_eq!((answer.status(), answer.header("content-type").as_deref()), (200, Some("text/html")));

    let answer = plain(Fault::Empty500).await;
    assert_eq!((answer.status(), answer.text().as_str()), (500, ""));

    let answer = plain(Fault::RedirectTo("http://127.0.0.1:1/elsewhere".into())).await;
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.header("location").as_deref(), Some("http://127.0.0.1:1/elsewhere"));
}

#[tokio::test]
async fn every_business_code_can_be_asked_for() {
    let emulator = Emulator::start().await.unwrap();
    for code in (1000..1330)
        .map(|code| code.to_string())
        .filter(|code| format!("code={code}").parse::<Fault>().is_ok())
    {
        emulator.script(Fault::Code(code.clone()));
        let answer = chat(&emulator, &question("x")).await;
        assert_eq!(answer.code(), code);
        assert!(answer.status() >= 400 && !answer.message().is_empty(), "{code}");
    }
}

#[tokio::test]
async fn connections_end_before_in_and_after_the_head() {
    for fault in [Fault::ResetBeforeHead, Fault::ResetInHead, Fault::ResetAfterHead] {
        let answer = plain(fault.clone()).await;
        assert_eq!(answer.end, End::Reset, "{fault}");
        assert_eq!(answer.raw.is_empty(), fault == Fault::ResetBeforeHead, "{fault}");
        assert_eq!(answer.raw.ends_with(b"\r\n\r\n"), fault == Fault::ResetAfterHead, "{fault}");
    }
    let closed = plain(Fault::CloseBeforeHead).await;
    assert_eq!((closed.end, closed.raw.len()), (End::Closed, 0));
}

#[tokio::test]
async fn bodies_end_early() {
    let answer = plain(Fault::TruncateAfter(40)).await;
    assert_eq!((answer.end, answer.raw.len() - answer.head().len() - 4), (End::Closed, 40));

    let answer = stream(Fault::TruncateAfter(300)).await;
    let (body, complete) = answer.body();
    assert_eq!((answer.end, body.len(), complete), (End::Closed, 300, false));

    let answer = stream(Fault::ResetInBody(300)).await;
    assert_eq!((answer.body().0.len(), answer.end), (300, End::Reset));

    for body in [question("x"), streamed("x")] {
        let answer = chat(&emulator_with(Fault::EofInCharacter).await, &body).await;
        let (bytes, complete) = answer.body();
        assert!(!complete && bytes.last().is_some_and(|byte| *byte >= 0xC0), "{body}");
        let answer = chat(&emulator_with(Fault::ChunkedCut).await, &body).await;
        assert!(answer.header("transfer-encoding").is_some() && !answer.body().1, "{body}");
    }
}

#[tokio::test]
async fn lengths_and_codings_lie() {
    let answer = plain(Fault::WrongContentLength(7)).await;
    assert!(!answer.body().1 && answer.end == End::Closed);
    let answer = plain(Fault::WrongContentLength(-7)).await;
    assert!(serde_json::from_slice::<Value>(&answer.body().0).is_err());
    let answer = plain(Fault::GzipPromised).await;
    assert_eq!(
        (answer.header("content-encoding").as_deref(), answer.content().as_str()),
        (Some("gzip"), TEXT)
    );
}

#[tokio::test]
async fn heads_come_slowly_or_without_end() {
    let started = Instant::now();
    assert_eq!(plain(Fault::SlowHeaders(Duration::from_millis(5))).await.content(), TEXT);
    assert!(started.elapsed() >= Duration::from_millis(30));

    let emulator = emulator_with(Fault::EndlessHeaders).await;
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(&request("POST", CHAT, &[KEY], question("x").to_string().as_bytes())).await.unwrap();
    let mut head = vec![0; 1 << 20];
    socket.read_exact(&mut head).await.unwrap();
    assert!(!head.windows(4).any(|window| window == b"\r\n\r\n"));
}

#[tokio::test]
async fn replies_are_late() {
    let started = Instant::now();
    assert_eq!(plain(Fault::Delay(Duration::from_millis(40))).await.content(), TEXT);
    assert!(started.elapsed() >= Duration::from_millis(40));
    let started = Instant::now();
    assert_eq!(stream(Fault::DelayDeltas(Duration::from_millis(10))).await.streamed("content"), TEXT);
    assert!(started.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn streams_stall_where_they_are_told() {
    let body = streamed("hello there");
    let emulator = emulator_with(Fault::StallBeforeHead).await;
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(&request("POST", CHAT, &[KEY], body.to_string().as_bytes())).await.unwrap();
    let answer = read_until_silent(&mut socket).await;
    assert_eq!((answer.end, answer.raw.len()), (End::Silent, 0));

    let answer = silent(Fault::StallBeforeFirstDelta, &body).await;
    assert_eq!((answer.status(), answer.body().0.len()), (200, 0));
    assert_eq!(answer.end, End::Silent);

    let answer = silent(Fault::StallBetweenDeltas(2), &body).await;
    assert_eq!((answer.events().len(), &answer.end), (2, &End::Silent));

    let answer = silent(Fault::StallAfterLast, &body).await;
    assert_eq!(answer.end, End::Silent);
    assert!(answer.text().contains(r#""finish_reason":"stop""#) && !answer.text().contains("[DONE]"));
}

#[tokio::test]
async fn uploads_are_reset() {
    let emulator = emulator_with(Fault::ResetDuringUpload(10)).await;
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    let body = "x".repeat(200_000);
    let _ = socket.write_all(&request("POST", CHAT, &[KEY], body.as_bytes())).await;
    let answer = read_all(&mut socket).await;
    assert_eq!((answer.end, answer.raw.len()), (End::Reset, 0));
    assert_eq!(emulator.requests()[0].body_bytes, 10);
}

#[tokio::test]
async fn streams_lack_their_ends() {
    let answer = stream(Fault::NoDone).await;
    assert!(!answer.text().contains("[DONE]") && answer.text().contains("finish_reason"));
    let answer = stream(Fault::NoFinish).await;
    assert!(answer.text().contains("[DONE]") && !answer.text().contains("finish_reason"));
    let answer = stream(Fault::NoUsage).await;
    assert!(answer.text().contains("finish_reason") && !answer.text().contains("usage"));
    let answer = stream(Fault::EmptyStream).await;
    assert_eq!((answer.status(), answer.text().as_str(), answer.body().1), (200, "", true));
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    let answer = stream(Fault::NoFinalBlankLine).await;
    assert!(answer.text().ends_with("data: [DONE]\n") && !answer.text().ends_with("\n\n"));
}

#[tokio::test]
async fn errors_arrive_in_mid_stream() {
    for (form, start) in [
        (ErrorForm::Data, "data: {\"error\""),
        (ErrorForm::Event, "event: error\ndata: {\"error\""),
        (ErrorForm::BareLine, "{\"error\""),
    ] {
        let text = stream(Fault::ErrorFrame { form, after: 2 }).await.text();
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 3, "{text}");
        assert!(events[2].starts_with(start), "{text}");
    }
}

#[tokio::test]
async fn frames_are_damaged() {
    let text = stream(Fault::GluedFrame).await.text();
    let glued = text.split("\n\n").find(|event| event.matches("data: ").count() == 2).expect("a glued frame");
    let (cut, whole) = glued.trim_start_matches("data: ").split_once("data: ").unwrap();
    assert!(serde_json::from_str::<Value>(cut).is_err());
    let whole: Value = serde_json::from_str(whole).unwrap();
    let first: Value =
        serde_json::from_str(text.split("\n\n").next().unwrap().trim_start_matches("data: ")).unwrap();
    assert_ne!(whole["id"], first["id"]);

    let events = stream(Fault::InvalidJson).await.events();
    let broken =
        events.iter().filter(|event| *event != "[DONE]" && serde_json::from_str::<Value>(event).is_err());
    assert_eq!(broken.count(), 1);
    let answer = plain(Fault::InvalidJson).await;
    assert!(answer.body().1 && serde_json::from_str::<Value>(&answer.text()).is_err());

    assert!(stream(Fault::DuplicateChunk).await.streamed("content").len() > TEXT.len());
    let events = stream(Fault::AfterDone).await.events();
    assert_eq!(events.iter().rev().nth(1).map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn chunks_without_choices_arrive() {
    let chunks = stream(Fault::UsageFrame).await.chunks();
    let last = chunks.last().unwrap();
    assert!(last["choices"] == json!([]) && last["usage"]["total_tokens"].is_u64());
    assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.get("usage").is_none()));
    let chunks = stream(Fault::NullChoices).await.chunks();
    assert_eq!(chunks.iter().filter(|chunk| chunk["choices"].is_null()).count(), 1);
}

#[tokio::test]
async fn lines_are_written_in_every_legal_way() {
    let ordinary = stream(Fault::DelayDeltas(Duration::ZERO)).await.streamed("content");
    assert_eq!(ordinary, TEXT);
    let normal = |text: String| {
        let text = text.replace("\r\n", "\n").replace('\r', "\n").replace("data: {\ndata: \"", "data: {\"");
        let lines = text.trim_start_matches('\u{FEFF}').lines().filter_map(|line| line.strip_prefix("data:"));
        let chunks = lines.filter_map(|data| serde_json::from_str::<Value>(data.trim_start()).ok());
        chunks
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect::<String>()
    };
    for (fault, mark) in [
        (Fault::CrLf, "\r\n\r\n"),
        (Fault::Cr, "}\r\r"),
        (Fault::Bom, "\u{FEFF}data: "),
        (Fault::NoSpaceAfterColon, "data:{"),
        (Fault::MultiLineData, "data: {\ndata: \""),
        (Fault::KeepAliveComments, ": keep-alive\n\ndata: "),
        (Fault::EventFields, "id: 0\nevent: message\ndata: "),
        (Fault::SplitEvery(1), "data: "),
    ] {
        let answer = stream(fault.clone()).await;
        assert!(answer.text().contains(mark), "{fault}: {}", answer.text());
        assert_eq!(normal(answer.text()), TEXT, "{fault}");
    }
}

#[tokio::test]
async fn a_split_reply_arrives_in_many_reads() {
    let emulator = emulator_with(Fault::SplitEvery(7)).await;
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(&request("POST", CHAT, &[KEY], streamed("x").to_string().as_bytes())).await.unwrap();
    let (mut reads, mut raw) = (0, Vec::with_capacity(1 << 16));
    while socket.read_buf(&mut raw).await.unwrap() > 0 {
        reads += 1;
    }
    assert!(reads > 50, "{reads} reads");
}

#[tokio::test]
async fn bodies_and_lines_are_huge() {
    let answer = plain(Fault::HugeBody(300_000)).await;
    assert_eq!((answer.body().0.len(), answer.content().as_str()), (300_000, TEXT));
    let answer = stream(Fault::HugeBody(300_000)).await;
    assert_eq!(answer.body().0.len(), 300_000);
    assert!(answer.text().contains("[DONE]"));
    let answer = stream(Fault::HugeLine(200_000)).await;
    assert_eq!(answer.text().lines().map(str::len).max(), Some(200_000));
    assert!(answer.streamed("content").ends_with(TEXT.trim_start_matches("You a")));
}

#[tokio::test]
async fn text_holds_odd_characters() {
    for body in [question("x"), streamed("x")] {
        let answer = chat(&emulator_with(Fault::InvalidUtf8).await, &body).await;
        assert!(answer.body().1 && String::from_utf8(answer.body().0).is_err(), "{body}");
        let answer = chat(&emulator_with(Fault::UnicodeLineSeparators).await, &body).await;
        assert!(answer.text().contains('\u{2028}') && answer.text().contains('\u{85}'), "{body}");
    }
}

#[tokio::test]
async fn answers_are_withdrawn_or_break_off() {
    let chunks = stream(Fault::Sensitive).await.chunks();
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "sensitive");
    assert_eq!(last["choices"][0]["delta"]["content"], "");
    assert_eq!(last["content_filter"], json!([{"role": "assistant", "level": 1}]));

    let answer = plain(Fault::NetworkError).await;
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "network_error");
    assert!(TEXT.starts_with(&answer.content()) && answer.content().len() < TEXT.len());

    let answer = plain(Fault::FinishReason("model_context_window_exceeded".into())).await;
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "model_context_window_exceeded");

    let emulator = emulator_with(Fault::EmptyAnswer).await;
    let reply = chat(&emulator, &with(question("x"), "model", "glm-5.3-flash")).await.json();
    let message = &reply["choices"][0]["message"];
    assert!(
        message["content"] == ""
            && message["reasoning_content"].as_str().is_some_and(|text| !text.is_empty())
    );
    assert_eq!(reply["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn json_has_unexpected_shapes() {
    let reply = plain(Fault::UnknownEnums).await.json();
    assert_eq!(reply["choices"][0]["message"]["role"], "oracle");
    let text = plain(Fault::NullsEverywhere).await.text();
    assert!(text.contains(r#""content_filter":null"#) && text.contains(r#""tool_calls":null"#), "{text}");
    assert!(text.contains(TEXT), "{text}");
    let chunks = stream(Fault::NullsEverywhere).await.chunks();
    assert!(chunks[0].get("usage").is_some_and(Value::is_null));
    assert_eq!(plain(Fault::EmptyChoices).await.json()["choices"], json!([]));
    let reply = plain(Fault::ContentList).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], json!([{"type": "text", "text": TEXT}]));

    let tools = json!([{"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {"a": {"type": "boolean"}}}}}]);
    let emulator = emulator_with(Fault::ArgumentsObject).await;
    let reply = chat(&emulator, &with(with(question("x"), "model", "glm-4.6v"), "tools", tools)).await.json();
    assert_eq!(reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], json!({"a": true}));
}

#[tokio::test]
async fn asynchronous_tasks_fail() {
    let emulator = Emulator::builder().async_polls(0).start().await.unwrap();
    emulator.script(Fault::TaskFails);
    let body = question("x").to_string();
    let path = "/api/paas/v4/async/chat/completions";
    let id = send(&emulator, "POST", path, &[KEY], body.as_bytes()).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let reply = send(&emulator, "GET", &format!("/api/paas/v4/async-result/{id}"), &[KEY], b"").await.json();
    assert_eq!((&reply["task_status"], reply.get("choices")), (&json!("FAIL"), None));
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_by_its_header() {
    // A PNG that claims 60,000 x 60,000 pixels: 14 GB decoded.
    let mut bomb = picture(2, 2, ImageFormat::Png);
    bomb[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let emulator = Emulator::start().await.unwrap();
    let answer = chat(&emulator, &parts("glm-4.6v", json!([image_part(base64(&bomb))]))).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "1210"));
}
