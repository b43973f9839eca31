//! What users of other gateways complain about.

use std::time::Duration;

use polysight_emulator::{Emulator, ErrorForm, Fault};
use polysight_testkit::noise;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{LONG, Served, about_picture, and, chat_request, question};

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let served = Served::start("").await;
    for fault in [
        Fault::TruncateAfter(400),
        Fault::ResetInBody(400),
        Fault::ErrorFrame { form: ErrorForm::Data, after: 1 },
        Fault::NetworkError,
        Fault::Sensitive,
        Fault::NoFinish,
    ] {
        let name = fault.to_string();
        served.emulator.answer("One two three four five six seven eight nine ten.").unwrap();
        served.emulator.script(fault);
        let reply = served.chat(&and(question("default"), "stream", true)).await;
        served.emulator.clear_answers();
        if reply.status == 200 {
            assert!(!reply.body.contains("[DONE]"), "{name}: {reply:?}");
            let last = reply.chunks().pop().unwrap();
            assert!(
                last["error"]["message"].is_string() && last["error"]["type"].is_string(),
                "{name}: {reply:?}"
            );
            assert!(
                last["error"]["code"].is_string() && last["error"]["polysight"]["kind"].is_string(),
                "{name}: {last}"
            );
        } else {
            reply.error();
        }
    }
}

#[tokio::test]
async fn a_stream_without_done_at_the_vendor_is_whole_when_it_has_a_finish_reason() {
    let served = Served::start("").await;
    served.emulator.script(Fault::NoDone);
    let reply = served.chat(&and(question("default"), "stream", true)).await;
    assert_eq!(reply.data().last(), Some(&"[DONE]"), "{reply:?}");
}

#[tokio::test]
async fn a_picture_of_more_than_two_megabytes_is_no_matter() {
    let served = Served::start("").await;
    let png = noise(1_000, 900);
    assert!(png.len() > 2 << 20);
    let reply = served.chat(&about_picture("qwen", &png)).await;
    assert_eq!(reply.status, 200, "{}", &reply.body[..reply.body.len().min(400)]);
}

#[tokio::test]
async fn a_link_stays_a_link() {
    let served = Served::start("").await;
    let body = json!({ "model": "qwen", "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": "https://h.example/a.png" } }, { "type": "text", "text": "what?" }
    ] }] });
    served.chat(&body).await;
    let sent = served.emulator.requests()[0].body.clone().unwrap().to_string();
    assert!(sent.contains("https://h.example/a.png") && !sent.contains("base64"), "{sent}");
}

#[tokio::test]
async fn reasoning_has_one_field_plain_and_streamed() {
    let served = Served::start("").await;
    let body = and(question("default"), "thinking", json!({ "type": "enabled" }));
    let answer = served.chat(&body).await.json();
    let message = &answer["choices"][0]["message"];
    assert!(message["reasoning_content"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    let reply = served.chat(&and(body, "stream", true)).await;
    let reasoning = |chunk: &serde_json::Value| chunk["choices"][0]["delta"]["reasoning_content"].is_string();
    assert!(reply.chunks().iter().any(reasoning) && !reply.body.contains("</think>"), "{reply:?}");
}

#[tokio::test]
async fn a_silent_vendor_gets_comments_and_a_dropped_client_hangs_up_on_it() {
    let served = Served::start("[gateway]\nkeep_alive = 0.05").await;
    served.emulator.script(Fault::StallBeforeFirstDelta);
    let mut stream = served.connect().await;
    stream.write_all(&chat_request(&and(question("default"), "stream", true).to_string(), "")).await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while seen.matches(": keep-alive").count() < 2 {
        let count = tokio::time::timeout(LONG, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    assert_eq!(served.emulator.load().in_flight, 1);
    drop(stream);
    hung_up(&served.emulator).await;
}

#[tokio::test]
async fn a_dropped_client_of_a_plain_call_hangs_up_too() {
    let served = Served::start("").await;
    served.emulator.script(Fault::StallBeforeHead);
    let mut stream = served.connect().await;
    stream.write_all(&chat_request(&question("default").to_string(), "")).await.unwrap();
    while served.emulator.load().in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    hung_up(&served.emulator).await;
}

async fn hung_up(emulator: &Emulator) {
    let gone = async {
        while emulator.load().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("the vendor's call ends");
}
