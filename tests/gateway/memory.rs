//! What a large request takes in memory, by counts. A program of its own, since it counts what the process allocates.

#![allow(clippy::unwrap_used, reason = "a test that finds something else than it expects must stop")]

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polysight::Polysight;
use polysight_gateway::{Gateway, Settings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ANSWER: &str = r#"{"id":"a","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yes"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// A vendor that reads and answers without keeping anything.
async fn vendor(listener: TcpListener) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        let mut left = length.unwrap();
        while left > 0 {
            left -= stream.read(&mut buffer).await.unwrap();
        }
        let reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

/// The most that was held between request and answer.
async fn most_held(address: std::net::SocketAddr, request: &[u8]) -> usize {
    let done = Arc::new(AtomicBool::new(false));
    let region = Region::new(ALLOCATOR);
    let watch = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                let change = region.change();
                most = most.max(change.bytes_allocated.saturating_sub(change.bytes_deallocated));
                std::thread::sleep(Duration::from_micros(200));
            }
            most
        }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    done.store(true, Ordering::Relaxed);
    assert!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
    watch.join().unwrap()
}

#[tokio::test]
async fn a_request_takes_little_more_than_its_body() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", upstream.local_addr().unwrap());
    tokio::spawn(vendor(upstream));
    let text = format!(
        "[providers.a]\nbackend = \"openai\"\nbase_url = \"{base}\"\napi_key = \"key-of-a\"\n[roles.default]\nprovider = \"a\"\n\
         model = \"m\""
    );
    let gateway =
        Gateway::new(Polysight::from_toml(&text).unwrap(), Settings::from_toml(&text).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(gateway.serve(listener, std::future::pending()));
    let url = format!(
        "data:image/png;base64,{}",
        polysight_testkit::base64(&polysight_testkit::bulky_png(16 << 20))
    );
    for slash in ["/", "\\/"] {
        let url = url.replace('/', slash);
        let body = format!(
            r#"{{"model": "default", "messages": [{{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "{url}"}}}}]}}]}}"#
        );
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let bytes = most_held(address, request.as_bytes()).await;
        let share = bytes as f64 / body.len() as f64;
        println!("slashes as {slash}: {bytes} bytes held for a body of {}: {share:.3} bodies", body.len());
        assert!(share < 1.2, "{share:.3} bodies");
    }
}
