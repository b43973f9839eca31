//! What a checked request asks for, with defaults filled in.

use std::borrow::Cow;

use crate::chat::grounding::Seen;
use crate::chat::message::{Message, Role};
use crate::chat::prompt::Prompt;
use crate::chat::schema_values::schema_in;
use crate::chat::tools::Function;
use crate::json::Json;
use crate::models::{ModelLimits, Thinking};
use crate::tokens;
use crate::tokens::image_tokens::Size;

/// How reasoning is shown in the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reasoning {
    /// None is shown, and the vendor does not count it.
    Absent,
    /// The model could think, and the request switched it off.
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
    pub(crate) limit: Limit,
    pub(crate) prompt: Prompt,
    pub(crate) stop: Vec<&'r str>,
    pub(crate) reasoning: Reasoning,
    pub(crate) functions: Vec<Function<'r>>,
    /// Whether a call is demanded.
    pub(crate) must_call: bool,
    pub(crate) wants_json: bool,
    /// The JSON Schema of the answer, wherever it stands.
    pub(crate) schema: Option<Cow<'r, Json>>,
    /// What an OCR model is to fill in, with the values as texts.
    pub(crate) form: Option<&'r Json>,
    pub(crate) stream: bool,
    pub(crate) tool_stream: bool,
    pub(crate) stream_usage: bool,
    pub(crate) request_id: Option<&'r str>,
    /// The sizes in which the model sees the pictures.
    pub(crate) seen: Seen,
}

/// How long an answer may get, in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) tokens: u64,
    /// Whether reasoning counts too.
    pub(crate) covers_reasoning: bool,
    /// Where reasoning is broken off; the answer follows all the same.
    pub(crate) reasoning: Option<u64>,
}

/// What the vendor and the model make of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) limit: Limit,
    pub(crate) reasoning: Reasoning,
    /// Whether tools are heeded.
    pub(crate) tools: bool,
    /// Whether `response_format` is heeded; vendors without JSON modes take it, and ignore it.
    pub(crate) json_modes: bool,
    pub(crate) prompt: Prompt,
}

/// Answer length where the request sets none and the model allows more.
const DEFAULT_MAX_TOKENS: u64 = 16_384;

impl Limit {
    /// The limit of a request that sets this one, for a model that allows so much.
    pub(crate) fn of(wanted: Option<u64>, most: u64) -> Self {
        let tokens = wanted.unwrap_or(most.min(DEFAULT_MAX_TOKENS));
        Self { tokens, covers_reasoning: true, reasoning: None }
    }
}

impl Terms {
    /// What one of Zhipu's models makes of a request, at Zhipu or behind a gateway.
    pub(crate) fn of_zhipu(json: &Json, messages: &[Message<'_>], model: &ModelLimits) -> Self {
        Self {
            limit: Limit::of(whole_number(json, "max_tokens"), model.max_output),
            reasoning: zhipu_reasoning(json, model.thinking),
            tools: model.tools,
            json_modes: model.pictures == 0,
            prompt: Prompt { text: tokens::zhipu::prompt(messages, Some(model)), ..Prompt::default() },
        }
    }
}

fn zhipu_reasoning(json: &Json, thinking: Thinking) -> Reasoning {
    let disabled = json.get("thinking").and_then(|thinking| thinking.get("type")?.text()) == Some("disabled");
    match thinking {
        Thinking::None => Reasoning::Absent,
        Thinking::Switchable if disabled => Reasoning::Off,
        Thinking::Switchable | Thinking::Forced => Reasoning::Apart,
        Thinking::InAnswer => Reasoning::InAnswer,
    }
}

impl<'r> ChatRequest<'r> {
    /// Reads the parameters in `json`.
    pub(crate) fn new(model: &'r str, json: &'r Json, messages: &'r [Message<'r>], terms: Terms) -> Self {
        let flag = |key: &str| json.get(key).and_then(Json::bool).unwrap_or(false);
        Self {
            model,
            messages,
            limit: terms.limit,
            prompt: terms.prompt,
            stop: stop_words(json),
            reasoning: terms.reasoning,
            functions: if terms.tools { functions(json) } else { Vec::new() },
            must_call: json.get("tool_choice").is_some_and(is_demand),
            wants_json: (terms.json_modes && wants_json(json)) || messages.iter().any(asks_for_object),
            schema: schema(json.get("response_format").filter(|_| terms.json_modes), messages),
            form: None,
            stream: flag("stream"),
            tool_stream: flag("tool_stream"),
            stream_usage: json
                .get("stream_options")
                .and_then(|options| options.get("include_usage")?.bool())
                .unwrap_or(false),
            request_id: json.get("request_id").and_then(Json::text),
            seen: Seen::default(),
        }
    }

    /// The same with the sizes in which the model sees the pictures.
    pub(crate) fn with_seen(self, sizes: Vec<Option<Size>>) -> Self {
        Self { seen: Seen { sizes }, ..self }
    }
}

/// A parameter that is a whole number.
pub(crate) fn whole_number(json: &Json, name: &str) -> Option<u64> {
    json.get(name)?.number()?.as_u64()
}

/// Whether the answer is to be an object.
pub(crate) fn wants_json(json: &Json) -> bool {
    let format = json.get("response_format").and_then(|format| format.get("type")?.text());
    format.is_some_and(|kind| kind.starts_with("json"))
}

fn is_demand(choice: &Json) -> bool {
    choice.text() == Some("required") || choice.get("function").is_some()
}

/// Whether the words of a message ask for an object.
fn asks_for_object(message: &Message<'_>) -> bool {
    message.role != Role::Assistant && message.texts().any(|text| text.contains("JSON object"))
}

/// The schema of `response_format`, else one that stands in a message, the last one first.
fn schema<'r>(format: Option<&'r Json>, messages: &[Message<'_>]) -> Option<Cow<'r, Json>> {
    let format = format.and_then(|format| format.get("json_schema")?.get("schema"));
    let in_text = || messages.iter().rev().flat_map(Message::texts).find_map(schema_in);
    format.map(Cow::Borrowed).or_else(|| in_text().map(Cow::Owned))
}

fn stop_words(json: &Json) -> Vec<&str> {
    let words = match json.get("stop") {
        Some(Json::Text(word)) => vec![word.as_str()],
        Some(Json::List(words)) => words.iter().filter_map(Json::text).collect(),
        _ => Vec::new(),
    };
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

/// The functions that may be called: none where the caller forbids it, one where the caller names it.
fn functions(json: &Json) -> Vec<Function<'_>> {
    let choice = json.get("tool_choice");
    if choice.and_then(Json::text) == Some("none") {
        return Vec::new();
    }
    let named = choice.and_then(|choice| choice.get("function")?.get("name")?.text());
    let tools = json.get("tools").and_then(Json::list).unwrap_or_default();
    let functions = tools.iter().filter_map(Function::parse);
    functions.filter(|function| named.is_none_or(|name| function.name == name)).collect()
}
