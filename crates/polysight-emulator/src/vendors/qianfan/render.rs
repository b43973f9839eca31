//! Answers in Qianfan's shape: OpenAI's, with a safety flag in every choice.

use crate::chat::completion::{Completion, Usage};
use crate::chat::render::{deltas, message, with_role};
use crate::http::PieceKind;
use crate::json::Json;

/// The body of a plain reply.
pub(super) fn whole(completion: &Completion, flag: u8) -> Json {
    let choice = Json::object([
        ("index", 0_u64.into()),
        ("message", message(completion)),
        ("finish_reason", completion.finish.as_str().into()),
    ]);
    envelope(completion, "chat.completion", flagged(choice, flag))
        .with("usage", Some(usage(completion.usage)))
}

/// The chunks of a streamed reply. The flag comes with the last.
pub(super) fn chunks(completion: &Completion, flag: u8, with_usage: bool) -> Vec<(PieceKind, Json)> {
    let mut chunks: Vec<_> = deltas(completion, true)
        .into_iter()
        .enumerate()
        .map(|(index, delta)| (PieceKind::Delta, chunk(completion, with_role(delta, index == 0))))
        .collect();
    let choice = Json::object([
        ("index", 0_u64.into()),
        ("delta", Json::object([("content", "".into())])),
        ("finish_reason", completion.finish.as_str().into()),
    ]);
    let last = envelope(completion, CHUNK, flagged(choice, flag));
    chunks.push((PieceKind::Finish, last.with("usage", with_usage.then(|| usage(completion.usage)))));
    chunks
}

const CHUNK: &str = "chat.completion.chunk";

fn chunk(completion: &Completion, delta: Json) -> Json {
    envelope(completion, CHUNK, flagged(Json::object([("index", 0_u64.into()), ("delta", delta)]), 0))
}

/// With a flag goes the turn that it is about: -1 is the question at hand.
fn flagged(choice: Json, flag: u8) -> Json {
    let turn = (flag > 0).then(|| Json::Number((-1).into()));
    choice.with("flag", Some(u64::from(flag))).with("ban_round", turn)
}

fn envelope(completion: &Completion, object: &str, choice: Json) -> Json {
    Json::object([
        ("id", completion.id.as_str().into()),
        ("object", object.into()),
        ("created", completion.created.into()),
        ("model", completion.model.as_str().into()),
        ("choices", vec![choice].into()),
    ])
}

fn usage(usage: Usage) -> Json {
    let input = Json::object([("search_tokens", 0_u64.into()), ("cached_tokens", 0_u64.into())]);
    let thought = usage.reasoning.filter(|tokens| *tokens > 0);
    let output = thought.map(|tokens| Json::object([("reasoning_tokens", tokens.into())]));
    Json::object([
        ("prompt_tokens", usage.prompt.total().into()),
        ("completion_tokens", usage.completion.into()),
        ("total_tokens", usage.total().into()),
        ("prompt_tokens_details", input),
    ])
    .with("completion_tokens_details", output)
}
