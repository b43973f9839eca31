//! What a checked request asks for, with defaults filled in.

use crate::chat::message::Message;
use crate::chat::tools::Function;
use crate::json::Json;
use crate::models::{ModelLimits, Thinking};

/// How reasoning is shown in the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reasoning {
    /// None is shown, and the vendor does not count it.
    Absent,
    /// The model could think and was told not to.
    Off,
    /// In `reasoning_content`.
    Apart,
    /// As a `<think>` block at the start of `content`.
    InAnswer,
}

/// A request that passed the checks.
#[derive(Debug)]
pub(crate) struct ChatRequest<'r> {
    /// The model id as the client wrote it.
    pub(crate) model: &'r str,
    pub(crate) messages: &'r [Message<'r>],
    pub(crate) max_tokens: u64,
    pub(crate) stop: Vec<&'r str>,
    pub(crate) reasoning: Reasoning,
    pub(crate) functions: Vec<Function<'r>>,
    pub(crate) wants_json: bool,
    pub(crate) stream: bool,
    pub(crate) tool_stream: bool,
    pub(crate) stream_usage: bool,
    pub(crate) request_id: Option<&'r str>,
}

/// Answer length where the request sets none and the model allows more.
const DEFAULT_MAX_TOKENS: u64 = 16_384;

impl<'r> ChatRequest<'r> {
    pub(crate) fn new(json: &'r Json, messages: &'r [Message<'r>], limits: &ModelLimits) -> Self {
        let flag = |key: &str| json.get(key).and_then(Json::bool).unwrap_or(false);
        let max_tokens = json.get("max_tokens").and_then(Json::number).and_then(serde_json::Number::as_u64);
        Self {
            model: json.get("model").and_then(Json::text).unwrap_or_default(),
            messages,
            max_tokens: max_tokens.unwrap_or(limits.max_output.min(DEFAULT_MAX_TOKENS)),
            stop: stop_words(json),
            reasoning: reasoning(json, limits.thinking),
            functions: if limits.tools { functions(json) } else { Vec::new() },
            wants_json: json
                .get("response_format")
                .and_then(|format| format.get("type")?.text())
                .is_some_and(|kind| kind.starts_with("json")),
            stream: flag("stream"),
            tool_stream: flag("tool_stream"),
            stream_usage: json
                .get("stream_options")
                .and_then(|options| options.get("include_usage")?.bool())
                .unwrap_or(false),
            request_id: json.get("request_id").and_then(Json::text),
        }
    }
}

fn stop_words(json: &Json) -> Vec<&str> {
    let words = match json.get("stop") {
        Some(Json::Text(word)) => vec![word.as_str()],
        Some(Json::List(words)) => words.iter().filter_map(Json::text).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

fn reasoning(json: &Json, thinking: Thinking) -> Reasoning {
    let disabled = json.get("thinking").and_then(|thinking| thinking.get("type")?.text()) == Some("disabled");
    match thinking {
        Thinking::None => Reasoning::Absent,
        Thinking::Switchable if disabled => Reasoning::Off,
        Thinking::Switchable | Thinking::Forced => Reasoning::Apart,
        Thinking::InAnswer => Reasoning::InAnswer,
    }
}

/// The functions that may be called; none where the caller forbids it.
fn functions(json: &Json) -> Vec<Function<'_>> {
    if json.get("tool_choice").and_then(Json::text) == Some("none") {
        return Vec::new();
    }
    let tools = json.get("tools").and_then(Json::list).unwrap_or_default();
    tools.iter().filter_map(Function::parse).collect()
}
