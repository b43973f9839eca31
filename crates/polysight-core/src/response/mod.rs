//! What came back: the answer, how it ended, what it used.

mod meta;
mod usage;

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

pub use meta::{FinishKind, FinishReason, RawReply, ResponseMeta, SafetyLabel, SafetyRole};
pub use usage::{RateLimits, TokenDetails, Usage};

use crate::{Message, MessageRole, Part, Partial, Result, ToolCall};

/// A complete answer.
///
/// It exists only for answers that ended well: the model was done, called tools, or met the *caller's* token limit.
/// Every other end is an [`Error`](crate::Error) with what had arrived as its [`partial`](crate::Error::partial).
///
/// The fields of its [`ResponseMeta`] can be used as if they were its own: `answer.usage`, `answer.finish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatResponse {
    /// The answer's text, which may be empty next to tool calls.
    pub text: String,
    /// The model's reasoning, empty when it shows none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Calls that the model asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What is known about the answer besides its text.
    #[serde(flatten)]
    pub meta: ResponseMeta,
}

impl Deref for ChatResponse {
    type Target = ResponseMeta;

    fn deref(&self) -> &ResponseMeta {
        &self.meta
    }
}

impl DerefMut for ChatResponse {
    fn deref_mut(&mut self) -> &mut ResponseMeta {
        &mut self.meta
    }
}

impl From<ResponseMeta> for ChatResponse {
    /// An answer without text.
    fn from(meta: ResponseMeta) -> Self {
        Self { text: String::new(), reasoning: String::new(), tool_calls: Vec::new(), meta }
    }
}

impl ChatResponse {
    /// An empty answer of a provider, to be filled by the code that decodes a reply.
    #[must_use]
    pub fn new(provider: impl Into<String>, model: impl Into<String>, finish: FinishReason) -> Self {
        ResponseMeta::new(provider, model, finish).into()
    }

    /// The answer as the next message of the dialogue, tool calls and reasoning included.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let mut message = Message::new(MessageRole::Assistant);
        if !self.reasoning.is_empty() {
            message.parts.push(Part::Reasoning(self.reasoning.clone()));
        }
        if !self.text.is_empty() {
            message.parts.push(Part::Text(self.text.clone()));
        }
        message.parts.extend(self.tool_calls.iter().cloned().map(Part::ToolCall));
        message
    }

    /// Keeps the answer if it ended well, and makes an error of it if not; see [`ResponseMeta::into_result`].
    ///
    /// # Errors
    /// As [`ResponseMeta::into_result`], with the text as [`partial`](crate::Error::partial).
    pub fn into_result(self, limited: bool) -> Result<Self> {
        match self.finish.failure(limited) {
            None => Ok(self),
            Some(error) => {
                Err(self.meta.describe(error).with_partial(Partial::new(self.text, self.reasoning)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn response(kind: FinishKind, raw: &str) -> ChatResponse {
        let mut response = ChatResponse::new("p", "m", FinishReason::new(kind, raw));
        response.text = "half".to_owned();
        response
    }

    #[test]
    fn only_good_ends_are_answers() {
        assert!(response(FinishKind::Stop, "stop").into_result(false).is_ok());
        assert!(response(FinishKind::ToolCalls, "tool_calls").into_result(false).is_ok());
        assert!(response(FinishKind::Length, "length").into_result(true).is_ok());
        for (kind, raw, error) in [
            (FinishKind::Length, "length", ErrorKind::Interrupted),
            (FinishKind::ContentFilter, "sensitive", ErrorKind::ContentRefused),
            (FinishKind::ContextWindow, "model_context_window_exceeded", ErrorKind::ContextTooLong),
            (FinishKind::Failed, "network_error", ErrorKind::Interrupted),
            (FinishKind::Other, "eos", ErrorKind::Interrupted),
        ] {
            let failed = response(kind, raw).into_result(false).unwrap_err();
            assert_eq!(failed.kind(), error);
            assert_eq!((failed.code(), failed.finish()), (Some(raw), Some(kind)));
            assert_eq!(failed.partial().unwrap().text, "half");
        }
    }

    #[test]
    fn a_failed_inference_may_be_tried_again_but_a_cut_answer_not() {
        assert!(response(FinishKind::Failed, "network_error").into_result(false).unwrap_err().is_retryable());
        assert!(!response(FinishKind::Length, "length").into_result(false).unwrap_err().is_retryable());
    }
}
