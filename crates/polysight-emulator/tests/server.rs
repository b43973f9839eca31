//! The server as an HTTP server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Fault};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn kept_alive(body: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nHost: local\r\n{KEY}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn serves_pipelined_requests_of_one_connection_in_order() {
    let emulator = Emulator::start().await.unwrap();
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    let (first, second) = (question("first").to_string(), streamed("second").to_string());
    let third = question("third").to_string();
    let all = [kept_alive(&first), kept_alive(&second), kept_alive(&third)].concat();
    socket.write_all(all.as_bytes()).await.unwrap();
    let answer = read_all(&mut socket).await;
    let text = String::from_utf8(answer.raw).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    assert!(place("asked: first") < place("0\r\n\r\n") && place("0\r\n\r\n") < place("asked: third"));
    assert_eq!(answer.end, End::Silent);
}

#[tokio::test]
async fn reads_chunked_bodies_and_says_continue() {
    let emulator = Emulator::start().await.unwrap();
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\n{KEY}\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    socket.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    for part in question("in chunks").to_string().as_bytes().chunks(7) {
        socket.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await.unwrap();
        socket.write_all(part).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_all(&mut socket).await.content(), "You asked: in chunks");
}

#[tokio::test]
async fn refuses_other_paths_and_methods() {
    let emulator = Emulator::start().await.unwrap();
    for (method, path, status) in [
        ("GET", "/", 404),
        ("POST", "/chat/completions", 404),
        ("GET", CHAT, 405),
        ("OPTIONS", CHAT, 405),
        ("HEAD", CHAT, 405),
        ("POST", "/api/paas/v4/models", 405),
    ] {
        let answer = send(&emulator, method, path, &[KEY], b"").await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
        assert_eq!(answer.raw.ends_with(b"\r\n\r\n"), method == "HEAD", "{method} {path}");
    }
    assert_eq!(emulator.requests().len(), 6);
}

#[tokio::test]
async fn a_refused_upload_still_gets_its_answer() {
    let emulator = Emulator::start().await.unwrap();
    let body = vec![b'x'; 3_000_000];
    assert_eq!(send(&emulator, "POST", "/nowhere", &[], &body).await.status(), 404);
}

#[tokio::test]
async fn answers_rubbish_with_400() {
    let emulator = Emulator::start().await.unwrap();
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(b"hello\r\n\r\n").await.unwrap();
    let answer = read_all(&mut socket).await;
    assert_eq!((answer.status(), answer.end), (400, End::Closed));
}

#[tokio::test]
async fn serves_many_connections_at_once() {
    let emulator = Emulator::start().await.unwrap();
    let body =
        parts("glm-4.6v", json!([image_part(base64(&picture(20, 20, ImageFormat::Png))), text_part("x")]));
    let body = with(body, "stream", true).to_string();
    let mut sockets = Vec::new();
    // All connections are open, each with half a request, before the first is answered.
    for _ in 0..256 {
        let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
        let request = request("POST", CHAT, &[KEY], body.as_bytes());
        let (start, rest) = request.split_at(request.len() / 2);
        socket.write_all(start).await.unwrap();
        sockets.push((socket, rest.to_vec()));
    }
    let mut replies = tokio::task::JoinSet::new();
    for (mut socket, rest) in sockets {
        replies.spawn(async move {
            socket.write_all(&rest).await.unwrap();
            let mut raw = Vec::new();
            socket.read_to_end(&mut raw).await.unwrap();
            Answer { raw, end: End::Closed }
        });
    }
    while let Some(answer) = replies.join_next().await {
        assert!(answer.unwrap().streamed("content").contains("PNG, 20x20 px"));
    }
    assert_eq!(emulator.requests().len(), 256);
}

#[tokio::test]
async fn counts_requests_in_flight() {
    let emulator = Emulator::builder().max_in_flight(1).start().await.unwrap();
    emulator.script(Fault::StallAfterLast);
    let mut busy = TcpStream::connect(emulator.address()).await.unwrap();
    busy.write_all(&request("POST", CHAT, &[KEY], streamed("x").to_string().as_bytes())).await.unwrap();
    read_all(&mut busy).await;
    let answer = chat(&emulator, &question("x")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (429, "1302"));
    drop(busy);
    for _ in 0..50 {
        if chat(&emulator, &question("x")).await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the seat was never given back");
}

#[tokio::test]
async fn counts_requests_within_a_window_and_turns_away_what_is_too_much() {
    let window = Duration::from_secs(60);
    let emulator = Emulator::builder().max_requests(2, window).start().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(chat(&emulator, &question("x")).await.status());
    }
    assert_eq!(statuses, [200, 200, 429]);
    let load = emulator.load();
    assert_eq!((load.requests, load.over_limit, load.most_in_window, load.most_in_flight), (3, 1, 3, 1));
    assert_eq!(load.in_flight, 0, "an answer that was read is no longer in flight");
}

#[tokio::test]
async fn random_faults_come_after_those_of_the_script() {
    let emulator = Emulator::builder().random_faults(1.0, 7, [Fault::Empty500]).start().await.unwrap();
    emulator.script_together([]);
    assert_eq!(chat(&emulator, &question("x")).await.status(), 200);
    assert_eq!(chat(&emulator, &question("x")).await.status(), 500);
    assert_eq!(emulator.load().faulty, 1);
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let emulator = Emulator::start().await.unwrap();
    let bytes = vec![7; 6 * 1024 * 1024];
    let answer = chat(&emulator, &parts("glm-4v", json!([image_part(base64(&bytes))]))).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "1210"));
    let requests = emulator.requests();
    assert_eq!(requests[0].media[0].bytes, bytes.len());
    assert!(requests[0].body_bytes > bytes.len());
}

#[tokio::test]
async fn no_number_in_a_fault_ends_the_server() {
    let emulator = Emulator::start().await.unwrap();
    let mut tried = 0;
    for number in ["99999999999", "18446744073709551615", "9223372036854775807"] {
        for name in Fault::catalogue().iter().map(|entry| entry.name) {
            let texts = [
                format!("{name}={number}"),
                format!("{name}=data:{number}"),
                format!("{name}={number}|a: b"),
            ];
            for fault in texts.iter().filter_map(|text| text.parse::<Fault>().ok()) {
                for body in [question("x"), streamed("x")] {
                    emulator.script(fault.clone());
                    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
                    socket
                        .write_all(&request("POST", CHAT, &[KEY], body.to_string().as_bytes()))
                        .await
                        .unwrap();
                    let mut some = [0; 4_096];
                    let _ = tokio::time::timeout(Duration::from_millis(10), socket.read(&mut some)).await;
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 60, "{tried}: most faults that take a number take this one");
    assert_eq!(chat(&emulator, &question("x")).await.status(), 200);
}

#[tokio::test]
async fn one_request_of_many_large_pictures_is_decoded_within_a_budget() {
    // Plain grey: 6000 x 6000 pixels in some kilobytes. One of them is what one request may cost.
    let bomb = image::GrayImage::from_pixel(6_000, 6_000, image::Luma([200]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    bomb.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let bomb = image_part(base64(bytes.get_ref()));
    let mut list = vec![bomb; 50];
    list.push(text_part("x"));
    // A model without limits of its own: others refuse so many pictures once they are measured.
    let emulator = Emulator::builder().any_model(true).start().await.unwrap();
    let body = parts("any", json!(list)).to_string();
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    socket.write_all(&request("POST", "/v1/chat/completions", &[KEY], body.as_bytes())).await.unwrap();
    let mut raw = Vec::new();
    socket.read_to_end(&mut raw).await.unwrap();
    let text = String::from_utf8(raw).unwrap();
    assert_eq!(text.matches("6000x6000 px").count(), 50, "{text}");
    assert_eq!(text.matches("mean colour #c8c8c8").count(), 1, "the others are measured by their headers");
}

#[tokio::test]
async fn stops_when_shut_down_or_dropped() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    emulator.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
    let mut rest = Vec::new();
    assert!(matches!(idle.read_to_end(&mut rest).await, Ok(0) | Err(_)));

    let emulator = Emulator::start().await.unwrap();
    let address = emulator.address();
    drop(emulator);
    for _ in 0..50 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("it still listens");
}

#[tokio::test]
async fn listens_on_the_port_that_it_is_told() {
    // Another program may take the port in between: more than one is tried.
    for _ in 0..5 {
        let free = Emulator::start().await.unwrap();
        let address = free.address();
        free.shutdown().await;
        if let Ok(emulator) = Emulator::builder().port(address.port()).start().await {
            assert_eq!(emulator.address(), address);
            assert_eq!(chat(&emulator, &question("x")).await.status(), 200);
            return;
        }
    }
    panic!("no port could be had");
}
