//! A server that repeats whole requests, keys and pictures included, wherever a reply has a place for words. It is also the
//! IAM that gives short-lived keys.

use std::sync::{Arc, Mutex};

use polysight_testkit::{MockServer, ReceivedRequest, Reply, base64};
use serde_json::{Value, json};

use crate::secret::SHORT_KEY;

const IAM_PATH: &str = "/v1/BCE-BEARER/";
const EVENTS: &str = "Content-Type: text/event-stream";

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
    /// The code at the top level alone, as DashScope has it.
    FlatError,
    FlatErrorUnderSuccess,
    FlatFrame,
    /// Words that are cut where they are too long.
    ErrorCut,
    ContentEncoding,
    /// Ids in the head of a stream that has no end.
    StreamHeaders,
    /// Everything but letters and digits in percent-encoding.
    ErrorPercentEncoded,
    /// Wrapped over lines of 76 characters, as mail and PEM have them.
    ErrorInLines,
    /// Keys in base64, in lines.
    ErrorInBase64,
    /// Keys as the name of the model of an answer that is good.
    Model,
    /// The IAM's refusal.
    Iam,
}

impl Place {
    pub(crate) const ALL: [Self; 30] = [
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
        Self::FlatError,
        Self::FlatErrorUnderSuccess,
        Self::FlatFrame,
        Self::ErrorCut,
        Self::ContentEncoding,
        Self::StreamHeaders,
        Self::ErrorPercentEncoded,
        Self::ErrorInLines,
        Self::ErrorInBase64,
        Self::Model,
        Self::Iam,
    ];
}

/// The server, and where it repeats what it is sent.
pub(crate) struct Echo {
    server: MockServer,
    place: Arc<Mutex<Place>>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let place = Arc::new(Mutex::new(Place::Error));
        let current = Arc::clone(&place);
        let server = MockServer::with_handler(move |request| reply(request, *current.lock().unwrap())).await;
        Self { server, place }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    /// From now on repeats requests here.
    pub(crate) fn at(&self, place: Place) {
        *self.place.lock().unwrap() = place;
    }
}

fn reply(request: &ReceivedRequest, place: Place) -> Reply {
    if !request.head.contains(IAM_PATH) {
        return repeated(request, place);
    }
    if place == Place::Iam {
        let keys = keys(request);
        return Reply::json(
            403,
            json!({"code": keys, "message": request.head, "requestId": keys}).to_string(),
        );
    }
    let key = json!({
        "userId": "u", "token": SHORT_KEY, "status": "enable",
        "createTime": "2026-01-01T00:00:00Z", "expireTime": "2999-01-01T00:00:00Z",
    });
    Reply::json(200, key.to_string())
}

/// The values of headers that hold keys, fit for one header.
fn keys(request: &ReceivedRequest) -> String {
    let keys = ["authorization", "x-canary", "x-bce-date"].map(|name| request.header(name));
    keys.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn repeated(request: &ReceivedRequest, place: Place) -> Reply {
    let (head, body) = (&request.head, String::from_utf8_lossy(&request.body));
    let (whole, keys) = (format!("{head}\r\n\r\n{body}"), keys(request));
    let error = |words: &str| failure(&keys, words).to_string();
    let flat = json!({"code": keys, "message": whole, "request_id": keys}).to_string();
    let ids = [format!("X-Request-Id: {keys}"), format!("Request-Id: {keys}")];
    let ids = ids.each_ref().map(String::as_str);
    let document = |status, body: &str| Reply::document(status, &[], body);
    let frames = |frames: &str| Reply::document(200, &[EVENTS], frames);
    match place {
        Place::Error | Place::Iam => document(401, &error(&whole)),
        Place::ErrorText => document(400, &whole),
        Place::ErrorPage => page(502, &whole),
        Place::ErrorUnderSuccess => document(200, &error(&whole)),
        Place::ErrorWithKeys => {
            let parts: Vec<&str> = keys.split(['.', '/', ' ']).collect();
            document(403, &error(&format!("`{keys}`, {}", parts.join(", "))))
        }
        Place::ErrorTwiceEscaped => {
            let inner = json!({"request": body}).to_string().replace('/', "\\/");
            document(400, &error(&inner))
        }
        Place::ErrorBodyFirst => document(400, &error(&format!("{body} {head}"))),
        Place::Text => document(200, &whole),
        Place::Page => page(200, &whole),
        Place::OddAnswer => {
            document(200, &json!({"choices": whole, "usage": keys, "output": whole}).to_string())
        }
        Place::FrameAtOnce => frames(&format!("data: {}\n\n", error(&whole))),
        Place::FrameInBetween => frames(&format!("data: {}\n\ndata: {}\n\n", delta(None), error(&whole))),
        Place::NamedFrame => frames(&format!("event: error\n:HTTP_STATUS/400\ndata: {}\n\n", error(&whole))),
        Place::BareFrame => frames(&format!("{}\n\n", error(&whole))),
        Place::NoFrame => frames(&format!("data: {}\n\n", whole.replace(['\r', '\n'], " "))),
        Place::Location => {
            let beginning: String = body.chars().take(3_000).filter(char::is_ascii_graphic).collect();
            let key = keys.replace(' ', "-");
            let location = format!("Location: https://elsewhere.example/{key}/{beginning}?key={key}");
            Reply::document(307, &[&location], "")
        }
        Place::ErrorHeaders => Reply::document(500, &ids, ""),
        Place::AnswerHeaders => good(&body, &ids, &json!("stop")),
        Place::FinishReason => good(&body, &[], &json!(keys)),
        Place::FlatError => document(401, &flat),
        Place::FlatErrorUnderSuccess => Reply::document(200, &ids, &flat),
        Place::FlatFrame => frames(&format!(":HTTP_STATUS/400\ndata: {flat}\n\n")),
        Place::ErrorCut => document(400, &format!("{} {}", "word ".repeat(115), keys.repeat(3))),
        Place::ContentEncoding => {
            Reply::document(200, &[&format!("Content-Encoding: {}", keys.replace(' ', "-"))], "{}")
        }
        Place::ErrorPercentEncoded => document(400, &error(&percent_encoded(&format!("{keys} {body}")))),
        Place::ErrorInLines => document(400, &error(&in_lines(&format!("{keys} {body}"), 76))),
        Place::ErrorInBase64 => document(400, &error(&in_lines(&base64(keys.as_bytes()), 20))),
        Place::Model => good_of(&body, &[], &json!("stop"), Some(&keys)),
        Place::StreamHeaders => {
            let head = [&ids[..], &[EVENTS]].concat();
            Reply::document(200, &head, format!("data: {}\n\n", delta(None)))
        }
    }
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

fn good(request: &str, head: &[&str], finish: &Value) -> Reply {
    good_of(request, head, finish, None)
}

fn good_of(request: &str, head: &[&str], finish: &Value, model: Option<&str>) -> Reply {
    let streams = request.contains("\"stream\":true") || request.contains("incremental_output");
    let mut answer = delta(Some(finish));
    if let Some(model) = model {
        answer["model"] = json!(model);
    }
    let answer = answer.to_string();
    if !streams {
        return Reply::document(200, head, &answer);
    }
    Reply::document(200, &[head, &[EVENTS]].concat(), format!("data: {answer}\n\ndata: [DONE]\n\n"))
}

fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn in_lines(text: &str, length: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(length).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn page(status: u16, words: &str) -> Reply {
    Reply::document(status, &["Content-Type: text/html"], format!("<html><p>{words}</p></html>"))
}
