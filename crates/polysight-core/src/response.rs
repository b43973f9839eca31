//! What came back: the answer, how it ended, what it cost.

use bytes::Bytes;
use strum::{Display, IntoStaticStr};

use crate::{
    Adjustment, Attempt, Error, ErrorKind, Message, Part, Partial, Result, RetryAdvice, Role, ToolCall,
};

/// How an answer ended, in words that hold for every vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum FinishKind {
    /// The model was done, or met a stop text.
    Stop,
    /// A token limit was met.
    Length,
    /// The model asks for tool calls.
    ToolCalls,
    /// The content audit cut in; text shown so far should be withdrawn.
    ContentFilter,
    /// The context window was full.
    ContextWindow,
    /// The vendor's inference failed on the way.
    Failed,
    /// A word that this version does not know: see [`FinishReason::raw`].
    Other,
}

/// How an answer ended: the common kind and the vendor's own word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishReason {
    /// The common kind.
    pub kind: FinishKind,
    /// The vendor's own word.
    pub raw: String,
}

impl FinishReason {
    /// Pairs a kind with the vendor's word.
    #[must_use]
    pub fn new(kind: FinishKind, raw: impl Into<String>) -> Self {
        Self { kind, raw: raw.into() }
    }
}

/// Tokens that a call used, as the vendor counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, media included.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Both together, as the vendor adds them up.
    pub total_tokens: u64,
    /// What they are made of, where the vendor tells.
    pub details: TokenDetails,
}

impl Usage {
    /// Counts of prompt and answer.
    #[must_use]
    pub fn new(input_tokens: u64, output_tokens: u64, total_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, total_tokens, details: TokenDetails::default() }
    }
}

/// What the tokens of a call are made of; `None` where the vendor does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TokenDetails {
    /// Prompt tokens served from the vendor's cache.
    pub cached: Option<u64>,
    /// Prompt tokens of text.
    pub text: Option<u64>,
    /// Prompt tokens of pictures.
    pub image: Option<u64>,
    /// Prompt tokens of videos.
    pub video: Option<u64>,
    /// Answer tokens spent on reasoning.
    pub reasoning: Option<u64>,
}

/// What the vendor's headers say about the account's limits; `None` where they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RateLimits {
    /// Requests allowed in the present window.
    pub limit_requests: Option<u64>,
    /// Requests left in it.
    pub remaining_requests: Option<u64>,
    /// Tokens allowed in the present window.
    pub limit_tokens: Option<u64>,
    /// Tokens left in it.
    pub remaining_tokens: Option<u64>,
    /// Prompt tokens allowed in the present window, where the vendor counts them apart.
    pub limit_input_tokens: Option<u64>,
    /// Prompt tokens left in it.
    pub remaining_input_tokens: Option<u64>,
    /// Answer tokens allowed in the present window, where the vendor counts them apart.
    pub limit_output_tokens: Option<u64>,
    /// Answer tokens left in it.
    pub remaining_output_tokens: Option<u64>,
}

/// Whose text a safety label is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum SafetyRole {
    /// The model's answer.
    Assistant,
    /// The question.
    User,
    /// Earlier turns.
    History,
    /// The vendor did not say, or used a word that this version does not know.
    Unknown,
}

/// What a vendor's content audit said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SafetyLabel {
    /// Whose text it is about.
    pub role: SafetyRole,
    /// The vendor's own level or flag. Zhipu: 0 (most severe) to 3. ERNIE: the `flag`.
    pub level: Option<i64>,
    /// Which turn of the dialogue, where the vendor tells; -1 is the current question.
    pub turn: Option<i64>,
}

impl SafetyLabel {
    /// A label with a level.
    #[must_use]
    pub fn new(role: SafetyRole, level: Option<i64>) -> Self {
        Self { role, level, turn: None }
    }

    /// Says which turn of the dialogue it is about.
    #[must_use]
    pub fn with_turn(mut self, turn: i64) -> Self {
        self.turn = Some(turn);
        self
    }
}

/// The vendor's own JSON, unparsed.
#[derive(Clone, Default)]
pub struct RawReply {
    frames: Vec<Bytes>,
}

impl RawReply {
    /// Wraps the body of a plain reply, or the data of each event of a stream.
    #[must_use]
    pub fn new(frames: Vec<Bytes>) -> Self {
        Self { frames }
    }

    /// The body of a plain reply as one frame, or the data of each event of a stream.
    #[must_use]
    pub fn frames(&self) -> &[Bytes] {
        &self.frames
    }

    /// Parses each frame.
    ///
    /// # Errors
    /// The parser's error at the first frame that is no JSON.
    pub fn json(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        self.frames.iter().map(|frame| serde_json::from_slice(frame)).collect()
    }
}

impl std::fmt::Debug for RawReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.frames.iter().map(Bytes::len).sum();
        write!(f, "RawReply({} frames, {bytes} bytes)", self.frames.len())
    }
}

/// A complete answer.
///
/// It exists only for answers that ended well: the model was done, called tools, or met the *caller's* token limit.
/// Every other end is an [`Error`](crate::Error) with what had arrived as its [`partial`](crate::Error::partial).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChatResponse {
    /// Name of the provider that answered.
    pub provider: String,
    /// The model that answered, as the vendor names it.
    pub model: String,
    /// The answer's text, which may be empty next to tool calls.
    pub text: String,
    /// The model's reasoning, empty when it shows none.
    pub reasoning: String,
    /// Calls that the model asks for.
    pub tool_calls: Vec<ToolCall>,
    /// How the answer ended.
    pub finish: FinishReason,
    /// Tokens used, where the vendor tells.
    pub usage: Option<Usage>,
    /// What the content audit said, when it said anything.
    pub safety: Vec<SafetyLabel>,
    /// The vendor's id of the answer.
    pub id: Option<String>,
    /// The id to name in a support case: the caller's as the vendor echoes it, or the vendor's own.
    pub request_id: Option<String>,
    /// When the vendor made the answer, in seconds since 1970.
    pub created: Option<u64>,
    /// What the vendor's headers say about the account's limits, where they say anything.
    pub rate_limits: Option<RateLimits>,
    /// What was changed in the request on its way out.
    pub adjustments: Vec<Adjustment>,
    /// Tries that failed before this answer, here or at other providers, oldest first.
    pub attempts: Vec<Attempt>,
    /// True when the answer was not made for this call: it was kept from an earlier equal request, or made for one that
    /// was asked at the same time. [`usage`](Self::usage) is then what that other call used, and was billed for: do not
    /// add it up again.
    pub cached: bool,
    /// The vendor's own JSON, when the request asked to [keep it](crate::ChatRequest::keep_raw).
    pub raw: Option<RawReply>,
}

impl ChatResponse {
    /// An empty answer of a provider, to be filled by whoever decodes a reply.
    #[must_use]
    pub fn new(provider: impl Into<String>, model: impl Into<String>, finish: FinishReason) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            finish,
            usage: None,
            safety: Vec::new(),
            id: None,
            request_id: None,
            created: None,
            rate_limits: None,
            adjustments: Vec::new(),
            attempts: Vec::new(),
            cached: false,
            raw: None,
        }
    }

    /// The answer as the next message of the dialogue, tool calls and reasoning included.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let mut message = Message::new(Role::Assistant);
        if !self.reasoning.is_empty() {
            message.parts.push(Part::Reasoning(self.reasoning.clone()));
        }
        if !self.text.is_empty() {
            message.parts.push(Part::Text(self.text.clone()));
        }
        message.parts.extend(self.tool_calls.iter().cloned().map(Part::ToolCall));
        message
    }

    /// Keeps the answer if it ended well, and makes an error of it if not.
    ///
    /// `limited` says whether the caller had set a token limit: only then is an answer cut at a limit complete.
    ///
    /// # Errors
    /// [`ErrorKind::ContentRefused`], [`ErrorKind::ContextTooLong`] or [`ErrorKind::Interrupted`], with the text as
    /// [`partial`](crate::Error::partial).
    pub fn into_result(self, limited: bool) -> Result<Self> {
        match ending(&self.finish, limited) {
            None => Ok(self),
            Some(mut error) => {
                if let Some(id) = self.request_id.as_ref().or(self.id.as_ref()) {
                    error = error.with_request_id(id);
                }
                Err(error
                    .with_provider(self.provider)
                    .with_earlier_attempts(self.attempts)
                    .with_safety(self.safety)
                    .with_partial(Partial::new(self.text, self.reasoning)))
            }
        }
    }
}

/// The error that an ending stands for; `None` for a good one.
pub(crate) fn ending(finish: &FinishReason, limited: bool) -> Option<Error> {
    let (kind, message) = match finish.kind {
        FinishKind::Stop | FinishKind::ToolCalls => return None,
        FinishKind::Length if limited => return None,
        FinishKind::Length => (
            ErrorKind::Interrupted,
            "the answer met the vendor's own token limit: set max_tokens to accept that",
        ),
        FinishKind::ContentFilter => (ErrorKind::ContentRefused, "the vendor withdrew the answer"),
        FinishKind::ContextWindow => {
            (ErrorKind::ContextTooLong, "the context window was full before the answer's end")
        }
        FinishKind::Failed => {
            (ErrorKind::Interrupted, "the vendor's inference failed before the answer's end")
        }
        FinishKind::Other => (ErrorKind::Interrupted, "the answer ended for a reason that is not known"),
    };
    let error = Error::new(kind, message).with_code(&finish.raw);
    Some(match finish.kind {
        FinishKind::Length | FinishKind::Other => error.with_retry(RetryAdvice::Never),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(failed.code(), Some(raw));
            assert_eq!(failed.partial().unwrap().text, "half");
        }
    }

    #[test]
    fn a_failed_inference_may_be_tried_again_but_a_cut_answer_not() {
        assert!(response(FinishKind::Failed, "network_error").into_result(false).unwrap_err().is_retryable());
        assert!(!response(FinishKind::Length, "length").into_result(false).unwrap_err().is_retryable());
    }
}
