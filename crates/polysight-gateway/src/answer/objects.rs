//! The objects of which plain and streamed answers are made.

use polysight::catalog::Money;
use polysight::{Adjustment, Attempt, Error, FinishKind, ResponseMeta, Rung, SafetyLabel, Usage};
use serde::Serialize;

use super::boxes::BoxObject;
use crate::refusal::client_path;

/// What all pieces of one answer have alike.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// The model as the client asked for it: the name of a role.
    pub(crate) model: String,
    /// What the client should know about its request.
    pub(crate) notes: Vec<String>,
    /// Whether calls of a function are the answer itself, since its form is asked for by one.
    pub(crate) calls_are_text: bool,
    /// Whether it is an answer about pictures, in which boxes may stand.
    pub(crate) is_about_pictures: bool,
}

/// The usage object of the shape.
#[derive(Debug, Serialize)]
pub(super) struct UsageObject {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_tokens: Option<u64>,
}

#[derive(Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

impl From<Usage> for UsageObject {
    fn from(usage: Usage) -> Self {
        let details = usage.details;
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: details.cached.unwrap_or_default(),
                text_tokens: details.text,
                image_tokens: details.image,
                video_tokens: details.video,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: details.reasoning.unwrap_or_default(),
            },
        }
    }
}

/// What is known about an answer beyond the shape.
#[derive(Debug, Default, Serialize)]
pub(super) struct Known<'a> {
    provider: &'a str,
    /// The model as the vendor names it.
    model: &'a str,
    /// The vendor's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// The vendor's own word for how the answer ended.
    #[serde(skip_serializing_if = "str::is_empty")]
    finish: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    adjustments: Vec<Adjustment>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attempts: &'a [Attempt],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    safety: &'a [SafetyLabel],
    /// By which means the answer got its form.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<Rung>,
    cached: bool,
    /// Boxes that stand in the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    boxes: Vec<BoxObject>,
    /// What the call cost, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<&'a Money>,
}

impl<'a> Known<'a> {
    pub(super) fn of(meta: &'a ResponseMeta, head: &'a Head, boxes: Vec<BoxObject>) -> Self {
        Self {
            provider: &meta.provider,
            model: &meta.model,
            request_id: meta.request_id.as_deref().or(meta.id.as_deref()),
            finish: &meta.finish.raw,
            adjustments: meta.adjustments.iter().map(as_sent).collect(),
            notes: &head.notes,
            attempts: &meta.attempts,
            safety: &meta.safety,
            rung: meta.rung,
            cached: meta.cached,
            boxes,
            cost: meta.cost.as_ref(),
        }
    }

    /// What is known of an answer that the vendor cut at its own limit.
    pub(super) fn of_cut(error: &'a Error, head: &'a Head) -> Self {
        Self {
            provider: error.provider().unwrap_or_default(),
            request_id: error.request_id(),
            finish: error.code().unwrap_or_default(),
            notes: &head.notes,
            attempts: error.attempts(),
            ..Self::default()
        }
    }
}

/// An adjustment whose path is the client's.
fn as_sent(adjustment: &Adjustment) -> Adjustment {
    let mut adjustment = adjustment.clone();
    adjustment.path = client_path(&adjustment.path);
    adjustment
}

/// How an answer ended, in the shape's words; calls that are the answer itself are no calls.
pub(super) fn finish_reason(kind: FinishKind, calls_are_text: bool) -> &'static str {
    match kind {
        FinishKind::Length => "length",
        FinishKind::ToolCalls if !calls_are_text => "tool_calls",
        FinishKind::ContentFilter => "content_filter",
        _ => "stop",
    }
}

/// A function call of the shape.
#[derive(Debug, Serialize)]
pub(super) struct CallObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    pub(super) function: FunctionObject<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) arguments: &'a str,
}
