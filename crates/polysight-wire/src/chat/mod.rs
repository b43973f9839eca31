//! The chat-completions shape that vendors share, each with its own departures.
//!
//! [`request`] writes its parts, for a dialect to put together; [`ChatProfile`](crate::vendor::ChatProfile) says how one vendor departs from the
//! shape, and [`decode_reply`], [`decode_failure`] and [`ChatStreamDecoder`] read them.

mod arguments;
mod chunk_template;
mod classify;
mod error_words;
mod failure;
mod halves;
mod json_end;
pub mod lenient;
mod markers;
pub mod request;
mod response;
mod schema;
mod stream;
mod stream_state;
mod text_parts;
mod think_tags;
mod thinking;
mod tool_call_index;

pub use arguments::Arguments;
pub use classify::classify;
pub(crate) use failure::words_of;
pub use failure::{Failure, FailureSource, decode_failure, no_answer, tells_failure};
pub use halves::Halves;
use polysight_core::{Error, ErrorKind, FinishKind, FinishReason, Plan, ResponseMeta, SafetyLabel};
pub use response::{decode_reply, unread};
use serde_json::value::RawValue;
pub use stream::ChatStreamDecoder;
pub use stream_state::{StreamState, read_repaired};
pub use thinking::{CHAT_TEMPLATE_KWARGS, ThinkingParam, put_inside};
pub use tool_call_index::{CallPiece, ToolCallIndex, whole_calls};

use crate::ReplyHead;

/// Fields of the body that a request has fields of its own for, with the names of those: no extra may repeat them. Vendors add
/// their own.
pub const RESERVED_EXTRAS: [(&str, &str); 14] = [
    ("model", "model"),
    ("messages", "messages"),
    ("stream", "a streamed call"),
    ("stream_options", "a streamed call"),
    ("temperature", "sampling"),
    ("top_p", "sampling"),
    ("max_tokens", "max_tokens"),
    ("stop", "stop"),
    ("seed", "seed"),
    ("reasoning_effort", "thinking"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("response_format", "response_format"),
];

/// What is known of an answer from its plan and its reply's head: who answers, which request it was, what was changed in it.
#[must_use]
pub fn reply_meta(plan: &Plan, head: &ReplyHead, finish: FinishReason) -> ResponseMeta {
    let mut meta = ResponseMeta::new(&*plan.provider.name, plan.model(), finish);
    meta.request_id = head.request_id().or(plan.request.request_id.as_deref()).map(str::to_owned);
    meta.rate_limits = head.rate_limits();
    meta.adjustments.clone_from(&plan.adjustments);
    meta.rung = plan.rung;
    meta.grounding.clone_from(&plan.grounding);
    meta
}

/// The error of an answer that was withdrawn.
fn withdrawn(safety: Vec<SafetyLabel>) -> Error {
    Error::new(ErrorKind::ContentRefused, "the vendor withdrew the answer").with_safety(safety)
}

/// The fields in which vendors put what their content audit said.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SafetyFields<'a> {
    /// `content_filter` of a reply, `contentFilter` of an error.
    pub content_filter: Option<&'a RawValue>,
    /// `flag` of a choice.
    pub flag: Option<i64>,
    /// `ban_round` of a choice.
    pub ban_round: Option<i64>,
}

/// The common finish reasons.
#[must_use]
pub fn finish_kind(raw: &str) -> FinishKind {
    match raw {
        "stop" | "stop_sequence" | "eos" | "eos_token" => FinishKind::Stop,
        "length" | "max_tokens" => FinishKind::Length,
        "tool_calls" | "function_call" => FinishKind::ToolCalls,
        "content_filter" => FinishKind::ContentFilter,
        _ => FinishKind::Other,
    }
}
