//! Acme's side of the wire: a small server on loopback that decodes what arrived and answers with the facts of it.
//!
//! It shares no type and no number with the client's half: a mistake in one must show.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::facts::{Facts, bytes_of};
use crate::sha256;

/// What goes wrong with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToyFault {
    /// It is refused with this number.
    Refuse(u32),
    /// Nothing is sent, and the connection stays open.
    Silence,
    /// A stream stops for good after its first drops.
    Stall,
    /// The answer holds no text.
    SayNothing,
    /// The answer is withdrawn halfway.
    Hide,
    /// The answer meets the vendor's own limit.
    Cut,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct ToyRequest {
    /// The body, media included.
    pub body: Value,
    /// SHA-256 of the media, in order of arrival.
    pub media: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<ToyFault>,
    requests: Vec<ToyRequest>,
}

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub struct ToyServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

/// The key that it takes.
pub const KEY: &str = "acme-123";

impl ToyServer {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state, task })
    }

    /// The address to configure.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v9", self.address)
    }

    /// Puts a fault at the end of the queue; each request takes one.
    pub fn script(&self, fault: ToyFault) {
        self.lock().faults.push_back(fault);
    }

    /// The requests that arrived, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ToyRequest> {
        self.lock().requests.clone()
    }

    /// Forgets the requests that arrived.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ToyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request and closes. Whatever breaks on the way is the client's to notice.
async fn serve(socket: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut socket = BufReader::new(socket);
    let (key, body) = read_request(&mut socket).await?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let media = media_of(&body).iter().map(|bytes| sha256(bytes)).collect();
    let fault = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(ToyRequest { body: body.clone(), media });
        state.faults.pop_front()
    };
    if fault == Some(ToyFault::Silence) {
        return wait_for_end(&mut socket).await;
    }
    let refusal = match fault {
        Some(ToyFault::Refuse(no)) => Some((no, "as scripted")),
        _ if key != KEY => Some((1, "who are you?")),
        _ => refusal(&body),
    };
    if let Some((no, why)) = refusal {
        let text = json!({"fault": {"no": no, "why": why}}).to_string();
        return write(&mut socket, "400 Bad Request", "application/json", &text).await;
    }
    let answer = answer(&body, fault);
    if body["drip"] == true {
        return drip(&mut socket, &answer, fault).await;
    }
    write(&mut socket, "200 OK", "application/json", &answer.to_string()).await
}

/// The key and the body.
async fn read_request(socket: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-acme-key") => value.clone_into(&mut key),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some((key, body))
}

async fn wait_for_end(socket: &mut BufReader<TcpStream>) -> Option<()> {
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.ok().map(|_| ())
}

async fn write(socket: &mut BufReader<TcpStream>, status: &str, kind: &str, text: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    socket.write_all(head.as_bytes()).await.ok()?;
    socket.write_all(text.as_bytes()).await.ok()?;
    socket.shutdown().await.ok()
}

/// The answer drop by drop: each with a few characters, calls one by one, the end last.
async fn drip(socket: &mut BufReader<TcpStream>, answer: &Value, fault: Option<ToyFault>) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await.ok()?;
    let mut drops = Vec::new();
    for part in ["pondered", "said"] {
        let text: Vec<char> = answer[part].as_str().unwrap_or_default().chars().collect();
        drops.extend(text.chunks(7).map(|piece| json!({part: String::from_iter(piece)})));
    }
    drops.extend(answer["asks"].as_array().into_iter().flatten().map(|call| json!({"asks": [call]})));
    for (index, piece) in drops.iter().enumerate() {
        if fault == Some(ToyFault::Stall) && index == 2 {
            return wait_for_end(socket).await;
        }
        socket.write_all(format!("event: drop\ndata: {piece}\n\n").as_bytes()).await.ok()?;
    }
    let close = json!({"ended": answer["ended"], "spent": answer["spent"], "ticket": answer["ticket"]});
    socket.write_all(format!("event: close\ndata: {close}\n\n").as_bytes()).await.ok()?;
    socket.shutdown().await.ok()
}

/// What the vendor refuses.
fn refusal(body: &Value) -> Option<(u32, &'static str)> {
    let eye = body["eye"].as_str().unwrap_or_default();
    let most = match eye {
        "acme-eye" => 2_048,
        "acme-ear" => 1_024,
        _ => return Some((2, "no such eye")),
    };
    if body.get("words").is_some_and(|words| words.as_u64().is_none_or(|words| words > most)) {
        return Some((3, "too many words"));
    }
    if body.get("heat").is_some_and(|heat| heat.as_u64().is_none_or(|heat| heat > 20)) {
        return Some((3, "too much heat"));
    }
    let readable = parts(body).filter_map(|part| part.get("photo")).all(|photo| {
        photo.get("at").is_some() || bytes_of(photo).is_some_and(|bytes| image::guess_format(&bytes).is_ok())
    });
    if readable { None } else { Some((3, "a photo that is none")) }
}

fn parts(body: &Value) -> impl Iterator<Item = &Value> {
    let turns = body["turns"].as_array().into_iter().flatten();
    turns.flat_map(|turn| turn["has"].as_array().into_iter().flatten())
}

fn media_of(body: &Value) -> Vec<Vec<u8>> {
    let media = parts(body).flat_map(|part| {
        let single = ["photo", "film"].into_iter().filter_map(|name| part.get(name));
        single.chain(part["stills"].as_array().into_iter().flatten())
    });
    media.filter_map(bytes_of).collect()
}

fn answer(body: &Value, fault: Option<ToyFault>) -> Value {
    let facts = Facts::of(body);
    let asks = facts.calls(body);
    let mut said = match (asks.is_empty(), body["form"] == "json") {
        (false, _) => String::new(),
        (true, true) => json!({"question": facts.question}).to_string(),
        (true, false) => facts.text(),
    };
    let mut ended = if asks.is_empty() { "done" } else { "asks" };
    let stops = body["until"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(end) = stops.filter_map(|stop| said.find(stop)).min() {
        said.truncate(end);
    }
    let words: Vec<&str> = said.split_inclusive(' ').collect();
    let allowed = body["words"].as_u64().map_or(usize::MAX, |most| most as usize);
    if words.len() > allowed {
        ended = "cut";
    }
    let spent = words.len().min(allowed);
    let mut said: String = words.into_iter().take(allowed).collect();
    match fault {
        Some(ToyFault::SayNothing) => said.clear(),
        Some(ToyFault::Hide) => {
            said = said.chars().take(said.chars().count() / 2).collect();
            ended = "hidden";
        }
        Some(ToyFault::Cut) => ended = "cut",
        _ => {}
    }
    let pondered = if body["ponder"] == true { facts.reasoning() } else { String::new() };
    json!({
        "eye": body["eye"], "ticket": body["ticket"], "said": said, "pondered": pondered, "asks": asks,
        "ended": ended, "spent": [facts.weight(), spent + pondered.split(' ').count()],
    })
}
