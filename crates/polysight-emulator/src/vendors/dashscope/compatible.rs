//! Answers in the shape of compatible mode, keys in the order seen live.

use crate::chat::completion::{Completion, Usage};
use crate::chat::prompt::CacheUse;
use crate::chat::render::{deltas, message};
use crate::http::PieceKind;
use crate::json::Json;

/// The body of a plain reply.
pub(super) fn whole(completion: &Completion) -> Json {
    let choice = Json::object([
        ("message", message(completion)),
        ("finish_reason", completion.finish.as_str().into()),
        ("index", 0_u64.into()),
        ("logprobs", Json::Null),
    ]);
    Json::object([
        ("choices", vec![choice].into()),
        ("object", "chat.completion".into()),
        ("usage", usage(completion.usage)),
        ("created", completion.created.into()),
        ("system_fingerprint", Json::Null),
        ("model", completion.model.as_str().into()),
        ("id", completion.id.as_str().into()),
    ])
}

/// The chunks of a streamed reply: the role, the answer, the finish, and usage where it is asked for.
pub(super) fn chunks(completion: &Completion, with_usage: bool) -> Vec<(PieceKind, Json)> {
    let role = Json::object([("content", "".into()), ("role", "assistant".into())]);
    let mut chunks = vec![(PieceKind::Other, chunk(completion, role, Json::Null))];
    chunks.extend(deltas(completion, true).into_iter().map(|delta| {
        (PieceKind::Delta, chunk(completion, in_full(delta, completion.reasoning.is_some()), Json::Null))
    }));
    let last = Json::object([("content", "".into())]);
    chunks.push((PieceKind::Finish, chunk(completion, last, completion.finish.as_str().into())));
    if with_usage {
        let frame = envelope(completion, Json::List(Vec::new()), usage(completion.usage));
        chunks.push((PieceKind::Other, frame));
    }
    chunks
}

/// A delta with what else stands in it: the other text as null.
fn in_full(delta: Json, thinks: bool) -> Json {
    if let Some(calls) = delta.get("tool_calls") {
        return Json::object([("content", Json::Null), ("tool_calls", with_ids(calls.clone()))]);
    }
    let missing = if delta.get("content").is_some() { "reasoning_content" } else { "content" };
    delta.with(missing, thinks.then_some(Json::Null))
}

/// Once a call has begun its id is empty.
pub(super) fn with_ids(mut calls: Json) -> Json {
    if let Json::List(calls) = &mut calls {
        for call in calls.iter_mut().filter(|call| call.get("id").is_none()) {
            call.set("id", "".into());
            call.set("type", "function".into());
        }
    }
    calls
}

fn chunk(completion: &Completion, delta: Json, finish: Json) -> Json {
    let choice = Json::object([
        ("delta", delta),
        ("finish_reason", finish),
        ("index", 0_u64.into()),
        ("logprobs", Json::Null),
    ]);
    envelope(completion, vec![choice].into(), Json::Null)
}

fn envelope(completion: &Completion, choices: Json, usage: Json) -> Json {
    Json::object([
        ("choices", choices),
        ("object", "chat.completion.chunk".into()),
        ("usage", usage),
        ("created", completion.created.into()),
        ("system_fingerprint", Json::Null),
        ("model", completion.model.as_str().into()),
        ("id", completion.id.as_str().into()),
    ])
}

fn usage(usage: Usage) -> Json {
    Json::object([
        ("prompt_tokens", usage.prompt.total().into()),
        ("completion_tokens", usage.completion.into()),
        ("total_tokens", usage.total().into()),
    ])
    .with("prompt_tokens_details", Some(with_cache(prompt_details(usage), usage)))
    .with("completion_tokens_details", Some(completion_details(usage)))
}

/// Tokens of the prompt by kind.
pub(super) fn prompt_details(usage: Usage) -> Json {
    Json::object([])
        .with("image_tokens", usage.prompt.image)
        .with("video_tokens", usage.prompt.video)
        .with("text_tokens", Some(usage.prompt.text))
}

/// Adds what the cache had of the prompt, and what it keeps from now on, if anything.
pub(super) fn with_cache(details: Json, usage: Usage) -> Json {
    let cache = usage.prompt.cache;
    let written = Some(cache.written).filter(|tokens| *tokens > 0);
    let life = |tokens: u64| Json::object([("ephemeral_5m_input_tokens", tokens.into())]);
    details
        .with("cached_tokens", Some(cache.read))
        .with("cache_creation_input_tokens", written)
        .with("cache_creation", written.map(life))
        .with("cache_type", (cache != CacheUse::default()).then_some("ephemeral"))
}

/// Tokens of the answer, thinking apart.
pub(super) fn completion_details(usage: Usage) -> Json {
    let thought = usage.reasoning.filter(|tokens| *tokens > 0);
    Json::object([])
        .with("reasoning_tokens", thought)
        .with("text_tokens", Some(usage.completion.saturating_sub(thought.unwrap_or(0))))
}
