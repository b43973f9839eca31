//! What the tests share.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of tests for production code; here a failure is to end the test"
)]

use std::collections::HashMap;

use http::HeaderMap;
use polysight_core::{ApiKey, ChatRequest, Image, Plan, ResponseMeta, Result, StreamEvent, VisionProvider};
use polysight_qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect, Events, Mode, Progress, ProviderOptions, ReplyHead, WireRequest};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A PNG of 16 x 16 pixels.
pub(crate) const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

pub(crate) fn options() -> ProviderOptions {
    ProviderOptions::new("qwen").with_api_key(ApiKey::new("sk-test").unwrap())
}

pub(crate) fn vendor(protocol: Protocol) -> QwenVl {
    QwenVl::new(options(), &QwenVlSettings::new().with_protocol(protocol)).unwrap()
}

pub(crate) fn deployment(name: &str) -> QwenVl {
    let options = options().with_deployment(name).with_base_url("https://host.example/v1".parse().unwrap());
    QwenVl::new(options, &QwenVlSettings::new()).unwrap()
}

pub(crate) fn plan(provider: &QwenVl, request: ChatRequest) -> Plan {
    provider.plan(&request).unwrap()
}

pub(crate) fn encoded(provider: &QwenVl, request: ChatRequest, mode: Mode) -> WireRequest {
    provider.inner().dialect().encode(&plan(provider, request), mode).unwrap()
}

pub(crate) fn body(provider: &QwenVl, request: ChatRequest, mode: Mode) -> Value {
    let body = encoded(provider, request, mode).body;
    let bytes = body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, body.len(), "the length promised");
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn image(url: &str) -> Image {
    Image::from_url(url).unwrap()
}

pub(crate) fn png() -> Image {
    Image::from_base64(PNG_BASE64).unwrap()
}

/// 2 and 2.0 are the same number of JSON.
pub(crate) fn normalised(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(items) => items.into_iter().map(normalised).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, normalised(value))).collect(),
        other => other,
    }
}

pub(crate) fn head(status: u16, headers: &[(&'static str, &'static str)]) -> ReplyHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    ReplyHead::new(status, map)
}

/// What a stream gave: its events made into lines, and how it ended.
pub(crate) struct Read {
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) end: Result<ResponseMeta>,
}

impl Read {
    pub(crate) fn text(&self) -> String {
        self.events.iter().fold(String::new(), |mut all, event| {
            if let StreamEvent::Text(piece) = event {
                all.push_str(piece);
            }
            all
        })
    }

    pub(crate) fn reasoning(&self) -> String {
        self.events.iter().fold(String::new(), |mut all, event| {
            if let StreamEvent::Reasoning(piece) = event {
                all.push_str(piece);
            }
            all
        })
    }
}

/// Reads a stream that arrives in these pieces.
pub(crate) fn read(provider: &QwenVl, plan: &Plan, pieces: &[&[u8]]) -> Read {
    let mut decoder =
        provider.inner().dialect().decoder(plan, &head(200, &[("content-type", "text/event-stream")]));
    let mut sse = SseReader::default();
    let mut events = Events::new();
    let mut drain = |sse: &mut SseReader, events: &mut Events| -> Result<bool> {
        while let Some(item) = sse.next_item().unwrap() {
            if decoder.read(item, events)? == Progress::Done {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut fed = Ok(false);
    for piece in pieces {
        sse.push(bytes::Bytes::copy_from_slice(piece));
        fed = drain(&mut sse, &mut events);
        if !matches!(fed, Ok(false)) {
            break;
        }
    }
    if matches!(fed, Ok(false)) {
        sse.finish();
        fed = drain(&mut sse, &mut events);
    }
    let end = fed.and_then(|_| decoder.finish(&mut events));
    Read { events: events.into(), end }
}

/// Reads a stream cut at every byte, asserts that all cuts give the same, and gives that.
pub(crate) fn read_however_cut(provider: &QwenVl, plan: &Plan, stream: &str) -> Read {
    let bytes = stream.as_bytes();
    let whole = read(provider, plan, &[bytes]);
    let shown = |read: &Read| {
        let end = match &read.end {
            Ok(end) => format!("{end:?}"),
            Err(error) => format!("{error:?}"),
        };
        format!("{:?} {end}", read.events)
    };
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(shown(&read(provider, plan, &[left, right])), shown(&whole), "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(shown(&read(provider, plan, &single)), shown(&whole), "byte by byte");
    whole
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENTS: &str = "text/event-stream;charset=UTF-8";

/// One request as it arrived.
pub(crate) struct Arrived {
    pub(crate) start: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Answers each connection with the next reply (status, type, body), and gives what arrived. `{host}` in a reply is the server's address.
pub(crate) async fn serve(
    replies: Vec<(u16, &'static str, &'static str)>,
) -> (String, tokio::task::JoinHandle<Vec<Arrived>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let named = host.clone();
    let served = tokio::spawn(async move {
        let mut arrived = Vec::new();
        for (status, kind, reply) in replies {
            let (mut socket, _) = listener.accept().await.unwrap();
            arrived.push(receive(&mut socket).await);
            let body = reply.replace("{host}", &named);
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            socket.write_all((head + &body).as_bytes()).await.unwrap();
        }
        arrived
    });
    (host, served)
}

async fn receive(socket: &mut tokio::net::TcpStream) -> Arrived {
    let mut bytes = Vec::new();
    let mut block = [0; 4_096];
    let split = loop {
        let count = socket.read(&mut block).await.unwrap();
        bytes.extend_from_slice(&block[..count]);
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        assert!(count > 0, "the head broke off");
    };
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let mut lines = head.lines();
    let start = lines.next().unwrap().to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes[split + 4..].to_vec();
    while body.len() < length {
        let count = socket.read(&mut block).await.unwrap();
        assert!(count > 0, "the body broke off");
        body.extend_from_slice(&block[..count]);
    }
    Arrived { start, headers, body }
}
