//! What the tests share: providers without a server, and a server of a few lines.

use std::sync::{Arc, LazyLock, Mutex};

use polysight_core::{ApiKey, ChatRequest, Image, Plan, VisionProvider as _};
use polysight_ernie::{Ernie, ErnieSettings};
use polysight_wire::{Mode, ProviderOptions};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A PNG of 16 x 16 pixels, as base64.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

pub(crate) const KEY: &str = "bce-v3/ALTAK-0123456789/0123456789abcdef";

pub(crate) fn options() -> ProviderOptions {
    ProviderOptions::new("ernie").with_api_key(ApiKey::new(KEY).unwrap())
}

/// The vendor itself, made once: reading the system's certificates takes a while.
pub(crate) fn vendor() -> &'static Ernie {
    static VENDOR: LazyLock<Ernie> = LazyLock::new(|| Ernie::new(options(), &ErnieSettings::new()).unwrap());
    &VENDOR
}

/// Another deployment.
pub(crate) fn deployed(deployment: &str) -> Ernie {
    let url = "http://server.example/v1".parse().unwrap();
    Ernie::new(options().with_deployment(deployment).with_base_url(url), &ErnieSettings::new()).unwrap()
}

pub(crate) fn picture() -> Image {
    Image::from_bytes(base64_simd::STANDARD.decode_to_vec(PNG).unwrap()).unwrap()
}

pub(crate) fn linked(name: &str) -> Image {
    Image::from_url(&format!("https://img.example.com/{name}")).unwrap()
}

/// The body that a request becomes.
pub(crate) fn body(ernie: &Ernie, request: ChatRequest, mode: Mode) -> Value {
    let wire = ernie.inner().preview(&planned(ernie, request), mode).unwrap();
    let bytes = wire.body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, wire.body.len(), "the length promised is the length sent");
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn planned(ernie: &Ernie, request: ChatRequest) -> Plan {
    ernie.plan(&request).unwrap()
}

/// A request as it came over the socket.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Status, media type and body of a reply.
pub(crate) type Reply = (u16, &'static str, String);

/// A server on loopback that answers by a function of the request and keeps what it received.
pub(crate) struct Server {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serve(socket, &answer, &kept).await;
            }
        });
        Self { url, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(socket: TcpStream, answer: &(dyn Fn(&Received) -> Reply + Sync), kept: &Mutex<Vec<Received>>) {
    let mut socket = BufReader::new(socket);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Received { line: lines[0].clone(), headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    socket.read_exact(&mut request.body).await.unwrap();
    let (status, media_type, body) = answer(&request);
    kept.lock().unwrap().push(request);
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nx-baidu-request-id: rid-1\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}
