//! Completions in the shapes in which they are sent.

use crate::chat::completion::{Completion, Usage};
use crate::chat::tools::ToolCall;
use crate::http::PieceKind;
use crate::json::Json;
use crate::tokens;

/// Which fields stand where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Zhipu in 2026: with `object` and token details.
    Zhipu2026,
    /// Zhipu until 2025: neither.
    ZhipuLegacy,
    /// Plain OpenAI, as gateways answer: `finish_reason` is null until the end, the role comes once.
    OpenAi,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slicing {
    /// Arguments of tool calls in several deltas.
    pub(crate) tool_pieces: bool,
    /// A last frame with usage and no choices (OpenAI shape only).
    pub(crate) usage_frame: bool,
}

/// Tokens of text in one delta.
const TOKENS_PER_DELTA: usize = 2;
/// Characters of tool arguments in one delta.
const ARGUMENTS_PER_DELTA: usize = 8;

/// The body of a plain reply.
pub(crate) fn whole(completion: &Completion, shape: Shape) -> Json {
    match shape {
        Shape::Zhipu2026 => Json::object([
            ("choices", vec![whole_choice(completion)].into()),
            ("created", completion.created.into()),
            ("id", completion.id.as_str().into()),
            ("model", completion.model.as_str().into()),
            ("object", "chat.completion".into()),
            ("request_id", completion.request_id.as_str().into()),
            ("usage", sorted_usage(completion.usage, true)),
        ]),
        Shape::ZhipuLegacy => Json::object([
            ("created", completion.created.into()),
            ("id", completion.id.as_str().into()),
            ("model", completion.model.as_str().into()),
            ("request_id", completion.request_id.as_str().into()),
            ("choices", vec![whole_choice(completion)].into()),
            ("usage", sorted_usage(completion.usage, false)),
        ]),
        Shape::OpenAi => Json::object([
            ("id", completion.id.as_str().into()),
            ("object", "chat.completion".into()),
            ("created", completion.created.into()),
            ("model", completion.model.as_str().into()),
            ("choices", vec![openai_choice(completion)].into()),
            ("usage", usage(completion.usage, true)),
        ]),
    }
    .with("content_filter", completion.filtered.then(content_filter))
}

/// The chunks of a streamed reply, without the closing `[DONE]`.
pub(crate) fn chunks(completion: &Completion, shape: Shape, slicing: Slicing) -> Vec<(PieceKind, Json)> {
    let mut chunks: Vec<_> = deltas(completion, slicing.tool_pieces)
        .into_iter()
        .enumerate()
        .map(|(index, delta)| {
            // Zhipu repeats the role in every delta, OpenAI says it once.
            let delta = with_role(delta, index == 0 || shape != Shape::OpenAi);
            (PieceKind::Delta, chunk(completion, shape, delta))
        })
        .collect();
    chunks.push((PieceKind::Finish, finish_chunk(completion, shape)));
    if shape == Shape::OpenAi && slicing.usage_frame {
        let frame = envelope(completion, shape, Json::List(Vec::new()));
        chunks.push((PieceKind::Other, frame.with("usage", Some(usage(completion.usage, true)))));
    }
    chunks
}

/// The answer bit by bit: `reasoning_content`, `content`, `tool_calls`.
pub(crate) fn deltas(completion: &Completion, tool_pieces: bool) -> Vec<Json> {
    let mut deltas = Vec::new();
    if let Some(reasoning) = &completion.reasoning {
        deltas.extend(slices(reasoning).map(|text| Json::object([("reasoning_content", text.into())])));
    }
    deltas.extend(slices(&completion.content).map(|text| Json::object([("content", text.into())])));
    deltas.extend(call_deltas(&completion.calls, tool_pieces));
    deltas
}

/// Tokens in alphabetical order, as Zhipu's plain replies have them.
fn sorted_usage(usage: Usage, details: bool) -> Json {
    let (reasoning, cached) = usage_details(usage, details);
    Json::object([("completion_tokens", usage.completion.into())])
        .with("completion_tokens_details", reasoning)
        .with("prompt_tokens", Some(usage.prompt.total()))
        .with("prompt_tokens_details", cached)
        .with("total_tokens", Some(usage.total()))
}

/// Tokens in the order of chunks and of OpenAI.
fn usage(usage: Usage, details: bool) -> Json {
    let (reasoning, cached) = usage_details(usage, details);
    Json::object([
        ("prompt_tokens", usage.prompt.total().into()),
        ("completion_tokens", usage.completion.into()),
        ("total_tokens", usage.total().into()),
    ])
    .with("prompt_tokens_details", cached)
    .with("completion_tokens_details", reasoning)
}

fn usage_details(usage: Usage, details: bool) -> (Option<Json>, Option<Json>) {
    let reasoning = usage.reasoning.filter(|_| details);
    (
        reasoning.map(|tokens| Json::object([("reasoning_tokens", tokens.into())])),
        details.then(|| Json::object([("cached_tokens", 0_u64.into())])),
    )
}

fn content_filter() -> Json {
    vec![Json::object([("role", "assistant".into()), ("level", 1_u64.into())])].into()
}

fn whole_choice(completion: &Completion) -> Json {
    let message = Json::object([("content", completion.content.as_str().into())])
        .with("reasoning_content", completion.reasoning.as_deref())
        .with("role", Some("assistant"))
        .with("tool_calls", tool_calls(&completion.calls));
    Json::object([
        ("finish_reason", completion.finish.as_str().into()),
        ("index", 0_u64.into()),
        ("message", message),
    ])
}

fn openai_choice(completion: &Completion) -> Json {
    let mut message = message(completion);
    if !completion.calls.is_empty() && completion.content.is_empty() {
        message.set("content", Json::Null);
    }
    Json::object([
        ("index", 0_u64.into()),
        ("message", message),
        ("finish_reason", completion.finish.as_str().into()),
    ])
}

/// The whole answer as OpenAI has it.
pub(crate) fn message(completion: &Completion) -> Json {
    Json::object([("role", "assistant".into()), ("content", completion.content.as_str().into())])
        .with("reasoning_content", completion.reasoning.as_deref())
        .with("tool_calls", tool_calls(&completion.calls))
}

/// Calls as a plain reply has them; `None` where there are none.
pub(crate) fn tool_calls(calls: &[ToolCall]) -> Option<Json> {
    let list = || calls.iter().map(|call| started_call(call, call.arguments.clone())).collect::<Vec<_>>();
    (!calls.is_empty()).then(|| list().into())
}

/// A call with its name and the first part of its arguments, which travel as a JSON string.
fn started_call(call: &ToolCall, arguments: String) -> Json {
    let function = Json::object([("name", call.name.as_str().into()), ("arguments", arguments.into())]);
    Json::object([("id", call.id.as_str().into()), ("type", "function".into()), ("function", function)])
}

/// A call as it stands in a delta, where it is known by its index.
pub(crate) fn numbered(index: usize, call: Json) -> Json {
    let Json::Object(entries) = call else { return call };
    Json::Object(std::iter::once(("index".to_owned(), index.into())).chain(entries).collect())
}

/// Tool calls as deltas: all in one, or name first and then the arguments bit by bit.
fn call_deltas(calls: &[ToolCall], pieces: bool) -> Vec<Json> {
    if calls.is_empty() {
        return Vec::new();
    }
    let delta = |calls: Vec<Json>| Json::object([("tool_calls", calls.into())]);
    let started =
        |(index, call): (usize, &ToolCall), arguments| numbered(index, started_call(call, arguments));
    if !pieces {
        let complete = |(index, call): (usize, &ToolCall)| started((index, call), call.arguments.clone());
        return vec![delta(calls.iter().enumerate().map(complete).collect())];
    }
    let mut deltas = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        deltas.push(delta(vec![started((index, call), String::new())]));
        let arguments: Vec<char> = call.arguments.chars().collect();
        for piece in arguments.chunks(ARGUMENTS_PER_DELTA) {
            let function = Json::object([("arguments", piece.iter().collect::<String>().into())]);
            deltas.push(delta(vec![numbered(index, Json::object([("function", function)]))]));
        }
    }
    deltas
}

/// A text in pieces of a few characters.
fn slices(text: &str) -> impl Iterator<Item = String> {
    let mut pieces = tokens::pieces(text).peekable();
    std::iter::from_fn(move || {
        pieces.peek()?;
        Some(pieces.by_ref().take(TOKENS_PER_DELTA).collect())
    })
}

/// A delta that begins with the role, or goes on without it.
pub(crate) fn with_role(delta: Json, role: bool) -> Json {
    let Json::Object(entries) = delta else { return delta };
    let role = role.then(|| ("role".to_owned(), Json::from("assistant")));
    Json::Object(role.into_iter().chain(entries).collect())
}

fn chunk(completion: &Completion, shape: Shape, delta: Json) -> Json {
    let choice = Json::object([("index", 0_u64.into()), ("delta", delta)]);
    // Zhipu leaves the key out until the end.
    let choice = choice.with("finish_reason", (shape == Shape::OpenAi).then_some(Json::Null));
    envelope(completion, shape, vec![choice].into())
}

fn finish_chunk(completion: &Completion, shape: Shape) -> Json {
    let finish = completion.finish.as_str();
    let filter = completion.filtered.then(content_filter);
    if shape == Shape::OpenAi {
        let choice = Json::object([
            ("index", 0_u64.into()),
            ("delta", Json::object([])),
            ("finish_reason", finish.into()),
        ]);
        return envelope(completion, shape, vec![choice].into()).with("content_filter", filter);
    }
    let delta = Json::object([("role", "assistant".into()), ("content", "".into())]);
    let choice = Json::object([("index", 0_u64.into()), ("finish_reason", finish.into()), ("delta", delta)]);
    envelope(completion, shape, vec![choice].into())
        .with("usage", Some(usage(completion.usage, shape == Shape::Zhipu2026)))
        .with("content_filter", filter)
}

/// The outer object of a chunk, its keys in the order seen live.
fn envelope(completion: &Completion, shape: Shape, choices: Json) -> Json {
    Json::object([("id", completion.id.as_str().into()), ("created", completion.created.into())])
        .with("object", (shape != Shape::ZhipuLegacy).then_some("chat.completion.chunk"))
        .with("model", Some(completion.model.as_str()))
        .with("choices", Some(choices))
}
