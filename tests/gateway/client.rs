//! A gateway before emulated vendors, and HTTP by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use polysight::{JsonValue, Polysight};
use polysight_emulator::{Emulator, Surface};
use polysight_gateway::{Gateway, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// No test waits longer for anything.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A gateway, and the vendors behind it.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) emulator: Emulator,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) server: JoinHandle<std::io::Result<()>>,
}

/// A config with every vendor at one emulator, and this much more.
pub(crate) fn config(emulator: &Emulator, more: &str) -> String {
    format!(
        r#"
        [providers.zhipu]
        backend = "zhipu"
        base_url = "{}"
        api_key = "id.secret"
        models = [{{ id = "blind", image = false, video = false }}]

        [providers.alibaba]
        backend = "qwen-vl"
        base_url = "{}"
        api_key = "sk-0123456789abcdef0123456789abcdef"

        [defaults]
        retry = false

        [roles.default]
        provider = "zhipu"
        model = "glm-4.6v"

        [roles.qwen]
        provider = "alibaba"
        model = "qwen3-vl-plus"

        [roles.blind]
        provider = "zhipu"
        model = "blind"

        [roles.steady]
        fallback = ["default", "qwen"]
        {more}
        "#,
        emulator.base_url(Surface::Zhipu),
        emulator.base_url(Surface::DashScopeCompatible),
    )
}

impl Served {
    pub(crate) async fn start(more: &str) -> Self {
        Self::with(Emulator::start().await.unwrap(), more).await
    }

    pub(crate) async fn with(emulator: Emulator, more: &str) -> Self {
        let text = config(&emulator, more);
        let polysight = Polysight::from_toml(&text).unwrap();
        let gateway = Gateway::new(polysight, Settings::from_toml(&text).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = gateway.clone().serve(listener, async { drop(stopped.await) });
        Self { gateway, address, emulator, stop: Some(stop), server: tokio::spawn(serving) }
    }

    /// Sends a chat request, and reads the reply to its end.
    pub(crate) async fn chat(&self, body: &JsonValue) -> Reply {
        self.post(&body.to_string(), "").await
    }

    /// The same with more headers, each with its line end.
    pub(crate) async fn post(&self, body: &str, headers: &str) -> Reply {
        self.send(&chat_request(body, headers)).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Reply {
        self.send(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
                .as_bytes(),
        )
        .await
    }

    /// Sends bytes, and reads the reply to its end.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Reply {
        exchange(self.connect().await, bytes).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Sends bytes over a connection, and reads the reply to its end.
pub(crate) async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> Reply {
    // A gateway that refuses early may have closed already.
    let _ = stream.write_all(bytes).await;
    read(stream).await
}

/// A chat request as bytes.
pub(crate) fn chat_request(body: &str, headers: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// Reads a reply to the end of the connection.
pub(crate) async fn read(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    // What had come before a reset counts.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the reply ends");
    Reply::of(&bytes)
}

/// A reply, its chunks put together.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
        let body = if is_chunked { joined(body) } else { body.to_owned() };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> JsonValue {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error object.
    pub(crate) fn error(&self) -> JsonValue {
        let error = self.json()["error"].clone();
        assert!(
            error["message"].is_string() && error["type"].is_string() && error["code"].is_string(),
            "{self:?}"
        );
        error
    }

    /// The data of the events of a stream, in order.
    pub(crate) fn data(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }

    /// The events of a stream without `[DONE]`.
    pub(crate) fn chunks(&self) -> Vec<JsonValue> {
        self.data()
            .into_iter()
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// The text of a streamed answer.
    pub(crate) fn text(&self) -> String {
        let chunks = self.chunks();
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }
}

fn joined(mut body: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or_default();
        let Some(piece) = rest.get(..size).filter(|piece| !piece.is_empty()) else { break };
        all.push_str(piece);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    all
}

/// A question to a role.
pub(crate) fn question(role: &str) -> JsonValue {
    json!({ "model": role, "messages": [{ "role": "user", "content": "What is it?" }] })
}

/// A question about a picture.
pub(crate) fn about_picture(role: &str, picture: &[u8]) -> JsonValue {
    let url = format!("data:image/png;base64,{}", polysight_testkit::base64(picture));
    json!({ "model": role, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is it?" }, { "type": "image_url", "image_url": { "url": url, "detail": "high" } }
    ] }] })
}

/// With one more field.
pub(crate) fn and(mut body: JsonValue, name: &str, value: impl Into<JsonValue>) -> JsonValue {
    body[name] = value.into();
    body
}
