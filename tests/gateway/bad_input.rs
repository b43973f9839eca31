//! Bad input, each with its status. The gateway answers the next good request after each of them.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::client::{LONG, Served, about_picture, and, chat_request, question, read};

#[tokio::test]
async fn bad_requests_have_their_status() {
    let served = Served::start("[gateway]\nmax_body = 300000").await;
    let picture = polysight_testkit::picture(image::ImageFormat::Png, 64, 64);
    let mut cut = about_picture("default", &picture).to_string();
    let begin = cut.find("base64,").unwrap() + 7;
    let end = begin + cut[begin..].find('"').unwrap();
    cut.replace_range(end - 103..end, "");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let no_url =
        json!({ "model": "default", "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] });
    let post = |body: String| chat_request(&body, "");
    let with = |name, value: serde_json::Value| post(and(question("default"), name, value).to_string());
    let headers: String = (0..10_000).map(|index| format!("X-{index}: a\r\n")).collect();
    let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("a body over the limit", post("x".repeat(300_001)), 413, "body_too_large"),
        ("10,000 headers", chat_request("{}", &headers), 431, ""),
        ("JSON of depth 100,000", post(deep), 400, "invalid_json"),
        ("a part without URL", post(no_url.to_string()), 400, "image_url.url: it is missing"),
        ("a data URI cut off", post(cut), 400, "messages[0].content[1].image_url"),
        ("n: 3", with("n", json!(3)), 400, "n: 3 answers"),
        ("logprobs", with("logprobs", json!(true)), 400, "logprobs"),
        ("stream: yes", with("stream", json!("yes")), 400, "stream: this is a text"),
        ("no messages", with("messages", json!([])), 400, "messages: the list is empty"),
        ("no JSON", post("{".to_owned()), 400, "invalid_json"),
        (
            "no model",
            post(json!({ "messages": [{ "role": "user", "content": "a" }] }).to_string()),
            400,
            "model",
        ),
        ("a compressed body", chat_request("{}", "Content-Encoding: gzip\r\n"), 415, "unsupported_encoding"),
        (
            "GET of chat",
            b"GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec(),
            405,
            "method_not_allowed",
        ),
        (
            "an unknown path",
            b"GET /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec(),
            404,
            "not_found",
        ),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), 400, ""),
    ];
    for (name, request, status, words) in rows {
        let reply = served.send(&request).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        assert!(reply.body.contains(words), "{name}: {reply:?}");
        assert_eq!(served.chat(&question("default")).await.status, 200, "after {name}");
    }
}

#[tokio::test]
async fn a_body_of_a_gigabyte_is_refused_at_once() {
    let served = Served::start("").await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1073741824\r\n\r\n";
    let reply = served.send(head.as_bytes()).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (413, Some("body_too_large")));
}

#[tokio::test]
async fn a_chunked_body_has_the_same_limit() {
    let served = Served::start("[gateway]\nmax_body = 2000000").await;
    let mut stream = served.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, "x".repeat(65_536));
    for _ in 0..32 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
    assert_eq!(read(stream).await.status, 413);
    let whole = question("default").to_string();
    let request = format!("{head}{:x}\r\n{whole}\r\n0\r\n\r\n", whole.len());
    assert_eq!(served.send(request.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn half_a_body_and_then_silence_is_given_up() {
    let served = Served::start("[gateway]\nbody_timeout = 0.1").await;
    let mut stream = served.connect().await;
    let request = chat_request(&question("default").to_string(), "");
    stream.write_all(&request[..request.len() - 20]).await.unwrap();
    let reply = read(stream).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (408, Some("body_timeout")));
}

#[tokio::test]
async fn requests_for_which_there_is_no_room_wait_and_are_then_refused() {
    let served = Served::start(
        "[gateway]\nmax_body = 4096\nmax_bodies_in_flight = 4096\nmax_wait = 0.1\nbody_timeout = 10",
    )
    .await;
    let mut holding = served.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n{";
    holding.write_all(head.as_bytes()).await.unwrap();
    let refused = async {
        loop {
            let reply = served.chat(&question("default")).await;
            if reply.status != 200 {
                return reply;
            }
        }
    };
    let reply = tokio::time::timeout(LONG, refused).await.unwrap();
    assert_eq!((reply.status, reply.error()["code"].as_str()), (503, Some("no_room")));
    assert!(reply.header("retry-after").is_some());
    drop(holding);
    while served.chat(&question("default")).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed_and_hold_up_nobody() {
    let served = Served::start("[gateway]\nheader_timeout = 0.3\nmax_connections = 400").await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(served.connect().await);
    }
    assert_eq!(served.chat(&question("default")).await.status, 200);
    for stream in idle {
        let reply = read(stream).await;
        assert!(matches!(reply.status, 0 | 408), "{reply:?}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_page() {
    let served = Served::start("").await;
    let index = served.get("/", "").await;
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(index.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let tag = index.header("etag").unwrap();
    assert_eq!(served.get("/", &format!("If-None-Match: {tag}\r\n")).await.status, 304);
    assert_eq!(
        served.get("/app.js", "").await.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/..%2fCargo.toml",
        "//etc/passwd",
        "/page/index.html",
        "/./app.js",
        "/app.js%00",
        "/app.js/",
        "/style.css/../app.js",
        "/\\..\\Cargo.toml",
    ] {
        let reply = served.get(path, "").await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
}
