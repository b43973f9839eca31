//! Acme's side of the wire: a server that decodes what arrived and answers with the facts of it.
//!
//! It shares no type and no number with the client's half: a mistake in one must show.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::facts::{Facts, bytes_of};
use crate::{MockServer, ReceivedRequest, Reply, Step, sha256};

/// What goes wrong with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeFault {
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
pub struct AcmeRequest {
    /// The body, media included.
    pub body: Value,
    /// SHA-256 of the media, in order of arrival.
    pub media: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    faults: VecDeque<AcmeFault>,
    requests: Vec<AcmeRequest>,
}

/// A running server; it stops when it is dropped.
#[derive(Debug)]
pub struct AcmeServer {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

/// The key that it takes.
pub const KEY: &str = "acme-123";

impl AcmeServer {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let server = MockServer::with_handler(move |request| reply(request, &shared)).await;
        Self { server, state }
    }

    /// The address to configure.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.server.url("/v9")
    }

    /// Puts a fault at the end of the queue; each request takes one.
    pub fn script(&self, fault: AcmeFault) {
        locked(&self.state).faults.push_back(fault);
    }

    /// The requests that arrived, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<AcmeRequest> {
        locked(&self.state).requests.clone()
    }

    /// Forgets the requests that arrived.
    pub fn clear_requests(&self) {
        locked(&self.state).requests.clear();
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.server.open_connections()
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reply(request: &ReceivedRequest, state: &Mutex<State>) -> Reply {
    let body = request.json();
    let media = media_of(&body).iter().map(|bytes| sha256(bytes)).collect();
    let fault = {
        let mut state = locked(state);
        state.requests.push(AcmeRequest { body: body.clone(), media });
        state.faults.pop_front()
    };
    let refusal = match fault {
        Some(AcmeFault::Silence) => return Reply::nothing().then(Step::Hang),
        Some(AcmeFault::Refuse(no)) => Some((no, "as scripted")),
        _ if request.header("x-acme-key") != Some(KEY) => Some((1, "the key is unknown")),
        _ => refusal(&body),
    };
    if let Some((no, why)) = refusal {
        return Reply::json(400, json!({"fault": {"no": no, "why": why}}).to_string());
    }
    let answer = answer(&body, fault);
    if body["drip"] == true { drip(&answer, fault) } else { Reply::json(200, answer.to_string()) }
}

/// The answer drop by drop: each with a few characters, calls one by one, the end last.
fn drip(answer: &Value, fault: Option<AcmeFault>) -> Reply {
    let mut drops = Vec::new();
    for part in ["pondered", "said"] {
        let text: Vec<char> = answer[part].as_str().unwrap_or_default().chars().collect();
        drops.extend(text.chunks(7).map(|piece| json!({part: String::from_iter(piece)})));
    }
    drops.extend(answer["asks"].as_array().into_iter().flatten().map(|call| json!({"asks": [call]})));
    let event = |drop: &Value| format!("event: drop\ndata: {drop}\n\n");
    if fault == Some(AcmeFault::Stall) {
        return Reply::events().pieces(drops.iter().take(2).map(event)).then(Step::Hang);
    }
    let close = json!({"ended": answer["ended"], "spent": answer["spent"], "ticket": answer["ticket"]});
    let events = Reply::events().pieces(drops.iter().map(event));
    events.piece(format!("event: close\ndata: {close}\n\n")).end()
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

fn answer(body: &Value, fault: Option<AcmeFault>) -> Value {
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
        Some(AcmeFault::SayNothing) => said.clear(),
        Some(AcmeFault::Hide) => {
            said = said.chars().take(said.chars().count() / 2).collect();
            ended = "hidden";
        }
        Some(AcmeFault::Cut) => ended = "cut",
        _ => {}
    }
    let pondered = if body["ponder"] == true { facts.reasoning() } else { String::new() };
    json!({
        "eye": body["eye"], "ticket": body["ticket"], "said": said, "pondered": pondered, "asks": asks,
        "ended": ended, "spent": [facts.weight(), spent + pondered.split(' ').count()],
    })
}
