//! The chat-completions shape that vendors share, each with its own departures.
//!
//! [`request`] writes its parts, for a dialect to put together; [`ChatVendor`] says how one vendor departs from the
//! shape in replies, and [`decode_reply`], [`decode_failure`] and [`ChatStreamDecoder`] read them.

mod chunk_template;
mod classify;
mod failure;
pub mod lenient;
pub mod request;
mod response;
mod schema;
mod stream;
mod think_tags;
mod tool_call_index;

pub use classify::classify;
pub use failure::{Failure, FailureSource, decode_failure};
use polysight_core::{Error, ErrorKind, FinishKind, FinishReason, Plan, ResponseMeta, SafetyLabel};
pub use response::{decode_reply, unread};
use serde_json::value::RawValue;
pub use stream::ChatStreamDecoder;
pub use tool_call_index::{CallPiece, ToolCallIndex, no_calls};

use crate::ReplyHead;

/// How one vendor departs from the shared shape in its replies.
pub trait ChatVendor: Send + Sync + 'static {
    /// What a finish reason stands for; [`finish_kind`] knows the common words.
    fn finish_kind(&self, raw: &str) -> FinishKind;

    /// Makes an error of what a failed reply says. `failure` holds the vendor's code and words, as far as there were any.
    fn error(&self, failure: &Failure<'_>) -> Error;

    /// Reads safety labels from a reply, a chunk or an error.
    fn safety(&self, fields: &SafetyFields<'_>) -> Vec<SafetyLabel>;

    /// Says whether these fields withdraw the answer, text already shown included. It becomes an error then.
    fn withdraws(&self, fields: &SafetyFields<'_>) -> bool;
}

/// What is known of an answer from its plan and its reply's head: who answers, which request it was, what was changed in it.
#[must_use]
pub fn reply_meta(plan: &Plan, head: &ReplyHead, finish: FinishReason) -> ResponseMeta {
    let mut meta = ResponseMeta::new(&*plan.provider.name, plan.model(), finish);
    meta.request_id = head.request_id().or(plan.request.request_id.as_deref()).map(str::to_owned);
    meta.rate_limits = head.rate_limits();
    meta.adjustments.clone_from(&plan.adjustments);
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
