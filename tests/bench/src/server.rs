//! The server that every client talks to, in a process of its own.
//!
//! The first segment of the path says what to answer, so that a client needs nothing but a base URL. Bodies are thrown
//! away inside the kernel, so that the server is not what limits; the scripted server of the tests reads them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use serde_json::{Value, json};

use crate::{corpus, usage};

/// Length of a plain answer, in words of the corpus.
pub const ANSWER_WORDS: usize = 24;

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A plain reply.
    Answer,
    /// What pictures arrived.
    Check,
    /// A stream of deltas in HTTP chunks of so many bytes; 0: a chunk for each event.
    Deltas { count: usize, chunk: usize },
    /// A stream of one delta, which tells when it was sent.
    First,
    /// A stream with a pause before each delta, as of a model that generates.
    Slow { count: usize, pause_ms: usize },
}

impl Scenario {
    /// As the first segment of a path.
    pub fn segment(self) -> String {
        match self {
            Self::Answer => "answer".to_owned(),
            Self::Check => "check".to_owned(),
            Self::Deltas { count, chunk } => format!("deltas-{count}-{chunk}"),
            Self::First => "first".to_owned(),
            Self::Slow { count, pause_ms } => format!("slow-{count}-{pause_ms}"),
        }
    }
}

impl FromStr for Scenario {
    type Err = io::Error;

    fn from_str(segment: &str) -> io::Result<Self> {
        let mut parts = segment.split('-');
        let name = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        match (name, number(), number()) {
            ("answer", None, None) => Ok(Self::Answer),
            ("check", None, None) => Ok(Self::Check),
            ("first", None, None) => Ok(Self::First),
            ("deltas", Some(count), Some(chunk)) => Ok(Self::Deltas { count, chunk }),
            ("slow", Some(count), Some(pause_ms)) => Ok(Self::Slow { count, pause_ms }),
            _ => Err(bad("no such scenario")),
        }
    }
}

/// Streams that were made, by scenario.
type Made = Arc<Mutex<HashMap<String, Arc<Vec<u8>>>>>;

/// Answers on a socket until the process ends.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    let made = Made::default();
    loop {
        let (stream, _) = listener.accept()?;
        let made = Arc::clone(&made);
        let connection = move || {
            // A client that hangs up is no fault of the server's.
            let _ = Connection { stream, unread: Vec::new(), made }.run();
        };
        std::thread::Builder::new().stack_size(128 << 10).spawn(connection)?;
    }
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    made: Made,
}

impl Connection {
    fn run(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        while let Some((scenario, length)) = self.head()? {
            let body = match scenario {
                Scenario::Check => self.body(length)?,
                _ => self.discard(length).map(|()| Vec::new())?,
            };
            self.answer(scenario, &body)?;
        }
        Ok(())
    }

    /// Reads a request's head; `None` when the client has hung up.
    fn head(&mut self) -> io::Result<Option<(Scenario, usize)>> {
        let mut space = [0; 4096];
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            match self.stream.read(&mut space)? {
                0 => return Ok(None),
                count => self.unread.extend_from_slice(&space[..count]),
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let segment = head.split('/').nth(1).unwrap_or_default();
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length = length.and_then(|text| text.trim().parse().ok()).ok_or_else(|| bad("no length"))?;
        Ok(Some((segment.parse()?, length)))
    }

    fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = std::mem::take(&mut self.unread);
        let have = body.len();
        body.resize(length, 0);
        self.stream.read_exact(&mut body[have..])?;
        Ok(body)
    }

    fn discard(&mut self, length: usize) -> io::Result<()> {
        let mut left = length.saturating_sub(std::mem::take(&mut self.unread).len());
        let mut space = vec![0; left.min(1 << 20)];
        while left > 0 {
            let wanted = left.min(space.len());
            match recv(self.stream.as_raw_fd(), &mut space[..wanted], MsgFlags::MSG_TRUNC)? {
                0 => return Err(bad("the body broke off")),
                count => left -= count,
            }
        }
        Ok(())
    }

    fn answer(&mut self, scenario: Scenario, body: &[u8]) -> io::Result<()> {
        match scenario {
            Scenario::Answer => self.plain(&corpus::text(ANSWER_WORDS)),
            Scenario::Check => self.plain(&arrived(body)?),
            Scenario::Deltas { count, chunk } => {
                let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                let stream = made.entry(scenario.segment()).or_insert_with(|| Arc::new(deltas(count, chunk)));
                let stream = Arc::clone(stream);
                drop(made);
                self.stream.write_all(&stream)
            }
            Scenario::Slow { count, pause_ms } => self.slow(count, pause_ms),
            Scenario::First => {
                self.stream.write_all(STREAM_HEAD.as_bytes())?;
                std::thread::sleep(Duration::from_millis(3));
                let mut first = Vec::new();
                push_chunk(
                    &mut first,
                    event(json!({"content": usage::now_ns().to_string()}), None).as_bytes(),
                );
                self.stream.write_all(&first)?;
                std::thread::sleep(Duration::from_millis(1));
                let mut rest = Vec::new();
                push_chunk(&mut rest, ending().as_bytes());
                rest.extend_from_slice(b"0\r\n\r\n");
                self.stream.write_all(&rest)
            }
        }
    }

    fn slow(&mut self, count: usize, pause_ms: usize) -> io::Result<()> {
        self.stream.write_all(STREAM_HEAD.as_bytes())?;
        for place in 0..count {
            std::thread::sleep(Duration::from_millis(pause_ms as u64));
            let mut piece = Vec::new();
            push_chunk(&mut piece, event(json!({"content": corpus::word(place)}), None).as_bytes());
            self.stream.write_all(&piece)?;
        }
        let mut rest = Vec::new();
        push_chunk(&mut rest, ending().as_bytes());
        rest.extend_from_slice(b"0\r\n\r\n");
        self.stream.write_all(&rest)
    }

    fn plain(&mut self, text: &str) -> io::Result<()> {
        let reply = document(text);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n", reply.len());
        self.stream.write_all(&[head.as_bytes(), reply.as_bytes()].concat())
    }
}

/// The type of a plain reply.
pub const JSON: &str = "application/json; charset=UTF-8";

/// The body of a plain reply.
pub fn document(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    json!({
        "id": ID, "created": 1_763_712_000, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801},
    })
    .to_string()
}

const ID: &str = "20261121104512f3c1d7a5b2e4c60a";
const MODEL: &str = "bench-vl";
const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream;charset=UTF-8\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

fn event(delta: Value, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    let event = json!({"id": ID, "created": 1_763_712_000, "model": MODEL, "choices": [choice]});
    format!("data: {event}\n\n")
}

fn ending() -> String {
    let choice = json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 1234, "completion_tokens": 567, "total_tokens": 1801});
    let event =
        json!({"id": ID, "created": 1_763_712_000, "model": MODEL, "choices": [choice], "usage": usage});
    format!("data: {event}\n\ndata: [DONE]\n\n")
}

/// A whole reply, with the chunks of HTTP cut as asked.
fn deltas(count: usize, chunk: usize) -> Vec<u8> {
    let events =
        (0..count).map(|place| event(json!({"role": "assistant", "content": corpus::word(place)}), None));
    let events = events.chain([ending()]);
    let mut reply = STREAM_HEAD.as_bytes().to_vec();
    if chunk == 0 {
        for event in events {
            push_chunk(&mut reply, event.as_bytes());
        }
    } else {
        let mut body = Vec::new();
        for event in events {
            body.extend_from_slice(event.as_bytes());
            while let Some(piece) = body.get(..chunk) {
                push_chunk(&mut reply, piece);
                body.drain(..chunk);
            }
        }
        if !body.is_empty() {
            push_chunk(&mut reply, &body);
        }
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    reply
}

fn push_chunk(reply: &mut Vec<u8>, piece: &[u8]) {
    let mut length = String::new();
    let _ = write!(length, "{:x}\r\n", piece.len());
    reply.extend_from_slice(length.as_bytes());
    reply.extend_from_slice(piece);
    reply.extend_from_slice(b"\r\n");
}

/// The fingerprints of the pictures in a request.
fn arrived(body: &[u8]) -> io::Result<String> {
    let body: Value = serde_json::from_slice(body)?;
    let parts = body["messages"][0]["content"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for part in parts {
        let Some(url) = part["image_url"]["url"].as_str() else { continue };
        let base64 = url.strip_prefix("data:image/jpeg;base64,").ok_or_else(|| bad("no data URI"))?;
        let picture = base64_simd::STANDARD.decode_to_vec(base64).map_err(|_| bad("no base64"))?;
        found.push(corpus::fingerprint(&picture));
    }
    Ok(found.join(" "))
}

fn bad(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
