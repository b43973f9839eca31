//! One call, and whether its outcome is the expected one.

use std::sync::{Arc, LazyLock};

use polysight::{
    ChatRequest, ChatResponse, Error, ErrorKind, Image, Message, StreamEvent, Thinking, ToolDefinition,
    Usage, VisionProvider,
};
use polysight_emulator::Emulator;
use polysight_testkit::calls::{self, Way};
use polysight_testkit::{CANARY, bulky_png, noise};

use super::retries::Recorder;
use super::row::{Ask, CALLERS_ID, Limits, Outcome, Reference};
use super::target::Target;

/// What a call came to: the text that was seen, and the error if there was one.
pub(super) struct Observed {
    pub(super) text: String,
    pub(super) error: Option<Error>,
    /// Of an answer: its finish reason, and the tokens of its usage.
    end: Option<(String, Option<[u64; 3]>)>,
    /// How often a retry asked.
    pub(super) attempts: usize,
}

/// Makes one call, and counts what a retry would make of its failure. Every call of the table comes through here with its provider.
pub(super) async fn call(
    provider: &Arc<dyn VisionProvider>,
    request: ChatRequest,
    way: Way,
    findings: &mut Vec<String>,
) -> Observed {
    let recorder = Recorder::new(provider);
    let observed = call_once(&recorder, request, way, findings).await;
    let (attempts, listed) = recorder.attempts();
    if observed.error.is_some() && listed + 1 != attempts {
        findings.push(format!("{attempts} attempts, of which the error lists {listed} as earlier"));
    }
    Observed { attempts, ..observed }
}

async fn call_once(
    provider: &dyn VisionProvider,
    request: ChatRequest,
    way: Way,
    findings: &mut Vec<String>,
) -> Observed {
    let result = match way {
        Way::Plain => calls::plain(provider, request).await,
        Way::Collected => calls::streamed(provider, request).await,
        Way::Streamed => return read_stream(provider, request, findings).await,
    };
    match result {
        Ok(response) => {
            let end = (response.finish.raw.clone(), response.usage.map(tokens));
            Observed { text: shown_of(&response), error: None, end: Some(end), attempts: 0 }
        }
        Err(error) => {
            let text = error.partial().map(|partial| partial.text.clone()).unwrap_or_default();
            Observed { text, error: Some(error), end: None, attempts: 0 }
        }
    }
}

/// Reads a stream event by event, and on after its end.
async fn read_stream(
    provider: &dyn VisionProvider,
    request: ChatRequest,
    findings: &mut Vec<String>,
) -> Observed {
    let mut observed = Observed { text: String::new(), error: None, end: None, attempts: 0 };
    let mut stream = match calls::open(provider, request).await {
        Ok(stream) => stream,
        // What came as a document stands on the error.
        Err(error) => {
            let text = error.partial().map(|partial| partial.text.clone()).unwrap_or_default();
            return Observed { text, error: Some(error), ..observed };
        }
    };
    let mut ends = 0;
    while let Some(event) = stream.next_event().await {
        if ends > 0 {
            findings.push(format!("something comes after the end: {event:?}"));
        }
        match event {
            Ok(StreamEvent::End(end)) => {
                ends += 1;
                observed.end = Some((end.finish.raw.clone(), end.usage.map(tokens)));
            }
            Ok(event) => observed.text.push_str(&shown(&event)),
            Err(error) => {
                ends += 1;
                observed.error = Some(error);
            }
        }
    }
    if ends != 1 || stream.next_event().await.is_some() {
        findings.push(format!("the stream ends {ends} times"));
    }
    if observed.error.as_ref().is_some_and(|error| error.partial().is_some()) {
        findings.push("the error repeats what was handed out".to_owned());
    }
    observed
}

pub(super) fn request(target: &Target, ask: Ask) -> ChatRequest {
    let hello = || ChatRequest::new([Message::user("Say 你好, and why.")]);
    let model = |model: Option<&'static str>| model.unwrap_or(target.model);
    match ask {
        Ask::Hello => hello(),
        Ask::Reasoning => hello().with_model(model(target.reasoning_model)).with_thinking(Thinking::On),
        Ask::Tool => {
            let schema = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
            let tool = ToolDefinition::new("get_weather", "Weather for a city", schema);
            hello().with_model(model(target.tool_model)).with_tools([tool])
        }
        Ask::Picture => ChatRequest::ask("What is it?", [PICTURES.0.clone()]),
        Ask::LargePicture => ChatRequest::ask("What is it?", [PICTURES.1.clone()]),
        Ask::Identified => {
            let question = Message::user(format!("What does the {CANARY} in the picture sing?"));
            ChatRequest::new([question]).with_request_id(CALLERS_ID)
        }
    }
}

fn tokens(usage: Usage) -> [u64; 3] {
    [usage.input_tokens, usage.output_tokens, usage.total_tokens]
}

/// Made once: making them takes longer than sending them.
static PICTURES: LazyLock<(Image, Image)> = LazyLock::new(|| {
    (Image::from_bytes(noise(150, 150)).unwrap(), Image::from_bytes(bulky_png(4 << 20)).unwrap())
});

/// What a reader of the stream has seen of the answer.
fn shown(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Text(text) => text.clone(),
        StreamEvent::ToolCall(call) => {
            format!("{}{}", call.name.as_deref().unwrap_or_default(), call.arguments)
        }
        _ => String::new(),
    }
}

fn shown_of(response: &ChatResponse) -> String {
    let calls = response.tool_calls.iter().map(|call| format!("{}{}", call.name, call.arguments));
    std::iter::once(response.text.clone()).chain(calls).collect()
}

/// The answers without faults.
pub(super) struct References(Vec<(Ask, Reference)>);

impl References {
    pub(super) async fn of(target: &Target) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let provider = target.provider(&format!("http://{}", emulator.address()), &Limits::default());
        // The emulator answers neither.
        let mut references =
            vec![(Ask::LargePicture, Reference::default()), (Ask::Identified, Reference::default())];
        let asks = [
            (Ask::Hello, true),
            (Ask::Picture, true),
            (Ask::Reasoning, target.reasoning_model.is_some()),
            (Ask::Tool, target.tool_model.is_some()),
        ];
        for (ask, _) in asks.into_iter().filter(|(_, offered)| *offered) {
            let mut deltas = Vec::new();
            let mut stream = calls::open(&*provider, request(target, ask)).await.unwrap();
            while let Some(event) = stream.next_event().await {
                deltas.extend(Some(shown(&event.unwrap())).filter(|text| !text.is_empty()));
            }
            let name = target.name;
            assert!(deltas.len() > 3 || ask == Ask::Tool, "{name}, {ask:?}: {deltas:?}");
            references.push((ask, Reference { deltas }));
        }
        Self(references)
    }

    pub(super) fn of_ask(&self, ask: Ask) -> &Reference {
        &self.0.iter().find(|(known, _)| *known == ask).unwrap().1
    }
}

/// What a call came to, as the table shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) kind: String,
    pub(super) advice: String,
    pub(super) billed: String,
    pub(super) partial: String,
    pub(super) attempts: String,
}

/// Compares what came with what must come: a line of the table, and what is wrong.
pub(super) fn judge(
    target: &Target,
    ask: Ask,
    expected: &Outcome,
    observed: &Observed,
    reference: &Reference,
    findings: &mut Vec<String>,
) -> Cell {
    let expected_text = match (expected, &observed.error) {
        (Outcome::Answer(text), None) => Some(text),
        (Outcome::Error(failure), Some(error)) => failure.matches(error).then_some(&failure.text),
        _ => None,
    };
    let expected_text = expected_text.filter(|text| reference.allows(text, &observed.text));
    if expected_text.is_none() {
        findings.push(format!("expected {expected:?}, observed {}", description(observed)));
    }
    if let Some(error) = &observed.error {
        let lines = format!("{error}\n{error:?}").lines().count();
        let shown = polysight_testkit::shown(error);
        if shown.contains(CANARY) || lines != 2 || error.provider() != Some(target.name) {
            findings.push(format!("the error shows a secret, has a line break or no provider: {shown}"));
        }
    }
    let usual_end = Some(("stop".to_owned(), Some([10, 4, 14])));
    if ask == Ask::Identified && observed.error.is_none() && observed.end != usual_end {
        findings.push(format!("the answer ends with {:?}", observed.end));
    }
    if observed.attempts != expected.attempts() {
        findings.push(format!("expected {} attempts, observed {}", expected.attempts(), observed.attempts));
    }
    let attempts = observed.attempts.to_string();
    let partial = expected_text.map_or_else(|| format!("{:?}", observed.text), ToString::to_string);
    match (&observed.error, expected) {
        (None, _) => {
            let (kind, nothing) = ("answer".to_owned(), "-".to_owned());
            Cell { kind, advice: nothing.clone(), billed: nothing, partial, attempts }
        }
        (Some(error), expected) => {
            let advice = match expected {
                Outcome::Error(failure) if expected_text.is_some() => failure.advice().to_string(),
                _ => format!("{:?}", error.retry()),
            };
            Cell { kind: kind_of(error), advice, billed: error.billed().to_string(), partial, attempts }
        }
    }
}

/// All that is known of an outcome, for the finding.
fn description(observed: &Observed) -> String {
    match &observed.error {
        None => format!("the answer {:?}", observed.text),
        Some(error) => format!(
            "{:?}, {:?}, billed {}, status {:?}, code {:?}, id {:?}, scope {:?}, limits {:?}, after {:?}: {error:?}",
            error.kind(),
            error.retry(),
            error.billed(),
            error.status(),
            error.code(),
            error.request_id(),
            error.rate_limit_scope(),
            error.rate_limits(),
            observed.text
        ),
    }
}

/// The kind, with the limit that passed or was met.
fn kind_of(error: &Error) -> String {
    let kind = match error.kind() {
        ErrorKind::Timeout(phase) => format!("timeout ({phase:?})"),
        kind => kind.name().to_owned(),
    };
    match error.rate_limit_scope() {
        Some(throttle) => format!("{kind} ({throttle})"),
        None => kind,
    }
}
