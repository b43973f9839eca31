//! A small HTTP client of our own: tests must see replies as they are, broken ones too.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of tests for production code; here a failure is to end the test"
)]

use std::io::Cursor;
use std::time::Duration;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const CHAT: &str = "/api/paas/v4/chat/completions";
pub(crate) const KEY: &str = "Authorization: Bearer id.secret";

pub(crate) const DASHSCOPE_KEY: &str = "Authorization: Bearer sk-test";
pub(crate) const QIANFAN_KEY: &str = "Authorization: Bearer bce-v3/ALTAK-test/0f";
pub(crate) const SSE: &str = "X-DashScope-SSE: enable";

/// How the connection ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Closed,
    Reset,
    /// Nothing came for 100 ms.
    Silent,
}

/// All that the server sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) raw: Vec<u8>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn head(&self) -> String {
        let end = find(&self.raw, b"\r\n\r\n").unwrap_or(self.raw.len());
        String::from_utf8_lossy(&self.raw[..end]).into_owned()
    }

    pub(crate) fn status(&self) -> u16 {
        self.head().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.head().lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// The body without the framing, and whether it was complete as the framing has it.
    pub(crate) fn body(&self) -> (Vec<u8>, bool) {
        let start = find(&self.raw, b"\r\n\r\n").map_or(self.raw.len(), |at| at + 4);
        let rest = &self.raw[start..];
        if self.header("transfer-encoding").is_some() {
            return dechunk(rest);
        }
        let length = self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        (rest[..rest.len().min(length)].to_vec(), rest.len() >= length)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body().0).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn content(&self) -> String {
        self.json()["choices"][0]["message"]["content"].as_str().expect("content").to_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Data of the events of a well-formed stream.
    pub(crate) fn events(&self) -> Vec<String> {
        self.text()
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").expect(event).to_owned())
            .collect()
    }

    /// Status and data of the events of DashScope's own streams.
    pub(crate) fn native_events(&self) -> Vec<(u16, Value)> {
        let text = self.text();
        let events = text.split_terminator("\n\n").enumerate().map(|(index, event)| {
            let lines: Vec<&str> = event.lines().collect();
            let [id, name, status, data] = lines.as_slice() else { panic!("{event}") };
            assert_eq!(*id, format!("id:{}", index + 1));
            let status = status.strip_prefix(":HTTP_STATUS/").expect(event).parse().unwrap();
            assert_eq!(*name, if status == 200 { "event:result" } else { "event:error" });
            (status, serde_json::from_str(data.strip_prefix("data:").expect(event)).expect(event))
        });
        events.collect()
    }

    /// The chunks of a stream; the last event must be `[DONE]`.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let mut events = self.events();
        assert_eq!(events.pop().as_deref(), Some("[DONE]"));
        events.iter().map(|event| serde_json::from_str(event).expect(event)).collect()
    }

    /// The text of all deltas under a key.
    pub(crate) fn streamed(&self, key: &str) -> String {
        self.chunks().iter().filter_map(|chunk| chunk["choices"][0]["delta"][key].as_str()).collect()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = find(rest, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            body.extend(&rest[..rest.len().min(size)]);
            return (body, false);
        }
        body.extend(&rest[..size]);
        rest = &rest[size + 2..];
    }
    (body, false)
}

/// Reads until the connection ends or falls silent. A busy machine gets time to begin.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Answer {
    let begun = timeout(Duration::from_secs(10), stream.readable()).await;
    assert!(begun.is_ok(), "nothing came");
    read_until_silent(stream).await
}

pub(crate) async fn read_until_silent(stream: &mut TcpStream) -> Answer {
    let mut raw = Vec::new();
    loop {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {
            Ok(Ok(0)) => return Answer { raw, end: End::Closed },
            Ok(Ok(read)) => raw.extend(&buffer[..read]),
            Ok(Err(_)) => return Answer { raw, end: End::Reset },
            Err(_) => return Answer { raw, end: End::Silent },
        }
    }
}

pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// Sends one request over a connection of its own; waits as long as the reply takes.
pub(crate) async fn send(
    emulator: &Emulator,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Answer {
    send_raw(emulator, &request(method, path, headers, body)).await
}

/// Sends these bytes over a connection of its own; waits as long as the reply takes.
pub(crate) async fn send_raw(emulator: &Emulator, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    let _ = stream.write_all(request).await;
    let mut raw = Vec::new();
    let end = match timeout(Duration::from_secs(30), stream.read_to_end(&mut raw)).await {
        Ok(Ok(_)) => End::Closed,
        Ok(Err(_)) => End::Reset,
        Err(_) => End::Silent,
    };
    Answer { raw, end }
}

/// A chat request to Zhipu's interface with a good key.
pub(crate) async fn chat(emulator: &Emulator, body: &Value) -> Answer {
    send(emulator, "POST", CHAT, &[KEY], body.to_string().as_bytes()).await
}

/// The same, given up when nothing comes for 100 ms.
pub(crate) async fn chat_until_silent(emulator: &Emulator, body: &Value) -> Answer {
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    stream.write_all(&request("POST", CHAT, &[KEY], body.to_string().as_bytes())).await.unwrap();
    read_all(&mut stream).await
}

/// A chat request to a surface, with a key in the form of its vendor.
pub(crate) async fn ask(emulator: &Emulator, surface: Surface, body: &Value) -> Answer {
    ask_with(emulator, surface, &[], body).await
}

/// The same, with more headers.
pub(crate) async fn ask_with(
    emulator: &Emulator,
    surface: Surface,
    headers: &[&str],
    body: &Value,
) -> Answer {
    let (path, key) = match surface {
        Surface::DashScopeNative => ("/api/v1/services/aigc/multimodal-generation/generation", DASHSCOPE_KEY),
        Surface::DashScopeCompatible => ("/compatible-mode/v1/chat/completions", DASHSCOPE_KEY),
        Surface::Qianfan => ("/v2/chat/completions", QIANFAN_KEY),
        Surface::Gateway => ("/v1/chat/completions", KEY),
        _ => (CHAT, KEY),
    };
    send(emulator, "POST", path, &[&[key], headers].concat(), body.to_string().as_bytes()).await
}

/// Requests that a surface must refuse, each with status, code and a part of the text.
pub(crate) async fn expect_refusals(
    emulator: &Emulator,
    surface: Surface,
    wrong: Vec<(Value, u16, &'static str, &'static str)>,
) {
    for (body, status, code, text) in wrong {
        let answer = ask(emulator, surface, &body).await;
        let shown: String = body.to_string().chars().take(300).collect();
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{shown}\n{}", answer.text());
        assert!(answer.message().contains(text), "{shown}\n{}", answer.text());
    }
}

/// Requests that a surface must answer.
pub(crate) async fn expect_answers(
    emulator: &Emulator,
    surface: Surface,
    right: impl IntoIterator<Item = Value>,
) {
    for body in right {
        let answer = ask(emulator, surface, &body).await;
        let shown: String = body.to_string().chars().take(300).collect();
        assert_eq!(answer.status(), 200, "{shown}\n{}", answer.text());
    }
}

pub(crate) async fn gateway(emulator: &Emulator, body: &Value) -> Answer {
    let path = format!("{}/chat/completions", Surface::Gateway.prefix());
    send(emulator, "POST", &path, &["Authorization: Bearer any-token"], body.to_string().as_bytes()).await
}

pub(crate) fn data_uri(bytes: &[u8], format: &str) -> String {
    format!("data:{format};base64,{}", base64(bytes))
}

/// A PNG of this size in a data URI.
pub(crate) fn png(width: u32, height: u32) -> String {
    data_uri(&picture(width, height, ImageFormat::Png), "image/png")
}

/// A request to a model with these messages.
pub(crate) fn talk(model: &str, messages: Value) -> Value {
    json!({"model": model, "messages": messages})
}

/// A request in DashScope's own spelling.
pub(crate) fn native(model: &str, content: Value, parameters: Value) -> Value {
    json!({"model": model, "input": {"messages": [{"role": "user", "content": content}]}, "parameters": parameters})
}

/// A request that asks one question, of a model that does not think.
pub(crate) fn question(text: &str) -> Value {
    json!({"model": "glm-4v-plus", "messages": [{"role": "user", "content": text}]})
}

/// A request with one user message of these parts.
pub(crate) fn parts(model: &str, parts: Value) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": parts}]})
}

/// The same request with one field set.
pub(crate) fn with(mut body: Value, key: &str, value: impl Into<Value>) -> Value {
    body[key] = value.into();
    body
}

pub(crate) fn streamed(text: &str) -> Value {
    with(question(text), "stream", true)
}

pub(crate) fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image: DynamicImage = RgbImage::from_pixel(width, height, Rgb([10, 200, 30])).into();
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

pub(crate) fn image_part(url: impl Into<String>) -> Value {
    json!({"type": "image_url", "image_url": {"url": url.into()}})
}

pub(crate) fn video_part(url: impl Into<String>) -> Value {
    json!({"type": "video_url", "video_url": {"url": url.into()}})
}

pub(crate) fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The start of an MP4 file of this duration.
pub(crate) fn video(seconds: u32) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], payload: &[u8]| {
        [&u32::try_from(payload.len() + 8).unwrap().to_be_bytes(), kind.as_slice(), payload].concat()
    };
    let header = [[0_u8; 12].as_slice(), &1000_u32.to_be_bytes(), &(seconds * 1000).to_be_bytes()].concat();
    [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"moov", &boxed(b"mvhd", &header))].concat()
}
