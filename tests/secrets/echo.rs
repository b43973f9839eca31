//! A server that repeats whole requests, keys and pictures included, wherever a reply has a place for words. It is also the
//! IAM that gives short-lived keys.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::needles::SHORT_KEY;

const IAM_PATH: &str = "/v1/BCE-BEARER/";

/// Where the request is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    Error,
    ErrorText,
    ErrorPage,
    ErrorUnderSuccess,
    /// Keys alone, each whole and by its parts.
    ErrorWithKeys,
    /// JSON that was written twice, slashes escaped.
    ErrorTwiceEscaped,
    /// The body of the request before its head.
    ErrorBodyFirst,
    Text,
    Page,
    OddAnswer,
    FrameAtOnce,
    FrameInBetween,
    NamedFrame,
    BareFrame,
    NoFrame,
    Location,
    ErrorHeaders,
    /// The ids of an answer that is good.
    AnswerHeaders,
    FinishReason,
    /// The IAM's refusal.
    Iam,
}

impl Place {
    pub(crate) const ALL: [Self; 20] = [
        Self::Error,
        Self::ErrorText,
        Self::ErrorPage,
        Self::ErrorUnderSuccess,
        Self::ErrorWithKeys,
        Self::ErrorTwiceEscaped,
        Self::ErrorBodyFirst,
        Self::Text,
        Self::Page,
        Self::OddAnswer,
        Self::FrameAtOnce,
        Self::FrameInBetween,
        Self::NamedFrame,
        Self::BareFrame,
        Self::NoFrame,
        Self::Location,
        Self::ErrorHeaders,
        Self::AnswerHeaders,
        Self::FinishReason,
        Self::Iam,
    ];
}

pub(crate) struct Echo {
    pub(crate) url: String,
    place: Arc<Mutex<Place>>,
    task: JoinHandle<()>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let place = Arc::new(Mutex::new(Place::Error));
        let task = tokio::spawn(accept(listener, Arc::clone(&place)));
        Self { url, place, task }
    }

    /// From now on repeats requests here.
    pub(crate) fn at(&self, place: Place) {
        *self.place.lock().unwrap() = place;
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, place: Arc<Mutex<Place>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let place = *place.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that hangs up early is no matter.
        tokio::spawn(async move { serve(socket, place).await.map_or((), drop) });
    }
}

async fn serve(mut socket: TcpStream, place: Place) -> io::Result<()> {
    let request = Request::read(&mut socket).await?;
    let reply = if !request.head.contains(IAM_PATH) {
        request.repeated(place)
    } else if place == Place::Iam {
        let told = json!({"code": request.keys(), "message": request.head, "requestId": request.keys()});
        document(403, &[], &told.to_string())
    } else {
        let life = json!({"createTime": "2026-01-01T00:00:00Z", "expireTime": "2999-01-01T00:00:00Z"});
        let mut key = json!({"userId": "u", "token": SHORT_KEY, "status": "enable"});
        key.as_object_mut().unwrap().extend(life.as_object().unwrap().clone());
        document(200, &[], &key.to_string())
    };
    socket.write_all(reply.as_bytes()).await?;
    socket.shutdown().await
}

struct Request {
    head: String,
    body: String,
}

impl Request {
    async fn read(socket: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let promised =
                    value(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
                if body.len() >= promised {
                    return Ok(Self { head: head.to_owned(), body: body.to_owned() });
                }
            }
            if socket.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The values of headers that hold keys, fit for one header.
    fn keys(&self) -> String {
        let keys = ["authorization", "x-canary", "x-bce-date"].map(|name| value(&self.head, name));
        keys.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn repeated(&self, place: Place) -> String {
        let Self { head, body } = self;
        let (whole, keys) = (format!("{head}\r\n\r\n{body}"), self.keys());
        let error = |words: &str| failure(&keys, words).to_string();
        let id = [format!("X-Request-Id: {keys}"), format!("Request-Id: {keys}")];
        let frames = |frames: &str| document(200, &["Content-Type: text/event-stream".to_owned()], frames);
        match place {
            Place::Error | Place::Iam => document(401, &[], &error(&whole)),
            Place::ErrorText => document(400, &[], &whole),
            Place::ErrorPage => page(502, &whole),
            Place::ErrorUnderSuccess => document(200, &[], &error(&whole)),
            Place::ErrorWithKeys => {
                let parts: Vec<&str> = keys.split(['.', '/', ' ']).collect();
                document(403, &[], &error(&format!("`{keys}`, {}", parts.join(", "))))
            }
            Place::ErrorTwiceEscaped => {
                let inner = json!({"request": body}).to_string().replace('/', "\\/");
                document(400, &[], &error(&inner))
            }
            Place::ErrorBodyFirst => document(400, &[], &error(&format!("{body} {head}"))),
            Place::Text => document(200, &[], &whole),
            Place::Page => page(200, &whole),
            Place::OddAnswer => {
                document(200, &[], &json!({"choices": whole, "usage": keys, "output": whole}).to_string())
            }
            Place::FrameAtOnce => frames(&format!("data: {}\n\n", error(&whole))),
            Place::FrameInBetween => frames(&format!("data: {}\n\ndata: {}\n\n", delta(None), error(&whole))),
            Place::NamedFrame => {
                frames(&format!("event: error\n:HTTP_STATUS/400\ndata: {}\n\n", error(&whole)))
            }
            Place::BareFrame => frames(&format!("{}\n\n", error(&whole))),
            Place::NoFrame => frames(&format!("data: {}\n\n", whole.replace(['\r', '\n'], " "))),
            Place::Location => {
                let beginning: String = body.chars().take(3_000).filter(char::is_ascii_graphic).collect();
                let place = keys.replace(' ', "-");
                let location = format!("Location: https://elsewhere.example/{place}/{beginning}?key={place}");
                document(307, &[location], "")
            }
            Place::ErrorHeaders => document(500, &id, ""),
            Place::AnswerHeaders => good(&self.body, &id, &json!("stop")),
            Place::FinishReason => good(&self.body, &[], &json!(keys)),
        }
    }
}

fn value<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// An error in the forms of all vendors together.
fn failure(keys: &str, words: &str) -> Value {
    json!({
        "error": {"code": keys, "message": words, "type": keys, "param": words},
        "code": keys, "message": words, "request_id": keys, "id": keys,
    })
}

/// An answer, or a piece of one, in the forms of all vendors together.
fn delta(finish: Option<&Value>) -> Value {
    json!({
        "choices": [{"index": 0, "delta": {"content": "text"}, "message": {"content": "text"},
                     "finish_reason": finish}],
        "output": {"choices": [{"message": {"content": [{"text": "text"}]}, "finish_reason": finish}]},
    })
}

fn good(request: &str, head: &[String], finish: &Value) -> String {
    let streams = request.contains("\"stream\":true") || request.contains("incremental_output");
    let answer = delta(Some(finish)).to_string();
    if !streams {
        return document(200, head, &answer);
    }
    let head = [head, &["Content-Type: text/event-stream".to_owned()]].concat();
    document(200, &head, &format!("data: {answer}\n\ndata: [DONE]\n\n"))
}

fn page(status: u16, words: &str) -> String {
    document(status, &["Content-Type: text/html".to_owned()], &format!("<html><p>{words}</p></html>"))
}

fn document(status: u16, lines: &[String], body: &str) -> String {
    let more: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "HTTP/1.1 {status} Echo\r\n{more}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
