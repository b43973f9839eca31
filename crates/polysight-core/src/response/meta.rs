//! What is known about an answer besides its text.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use super::{RateLimits, Usage};
use crate::catalog::Money;
use crate::plan::{GroundingFacts, Rung};
use crate::{Adjustment, Attempt, Error, ErrorKind, Result, RetryAdvice};

/// What is known about an answer besides its text: how it ended, what it used, who gave it.
///
/// A [`ChatResponse`](crate::ChatResponse) carries one, and so does the last event of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseMeta {
    /// Name of the provider that answered.
    pub provider: String,
    /// The model that answered, as the vendor names it.
    pub model: String,
    /// How the answer ended.
    pub finish: FinishReason,
    /// Tokens used; `None` where the vendor does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What this call cost, from its [`usage`](Self::usage) and the prices of the model's card: cached tokens and tiers
    /// are counted, the currency is the card's. `None` where usage or price is unknown. Nothing for an answer that was
    /// not made for this call ([`cached`](Self::cached)). Failed [`attempts`](Self::attempts) are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What the content audit said, when it said anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub safety: Vec<SafetyLabel>,
    /// The vendor's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id to name in a support case: the caller's as the vendor echoes it, or the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When the vendor made the answer, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// What the vendor's headers say about the account's limits, where they say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limits: Option<RateLimits>,
    /// What was changed in the request on its way out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// By which means the answer got its form; `None` for text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// What places in the answer refer to; `None` for a request without media.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounding: Option<Box<GroundingFacts>>,
    /// Attempts that failed before this answer, here or at other providers, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// True when the answer was not made for this call: it was kept from an earlier equal request, or made for an equal
    /// one sent at the same time. [`usage`](Self::usage) is then what that other call used and was billed for: do not
    /// add it up again. [`cost`](Self::cost) is then nothing.
    #[serde(default)]
    pub cached: bool,
    /// The vendor's own JSON, when the request asked to [keep it](crate::ChatRequest::keep_raw). Not serialized.
    #[serde(skip)]
    pub raw: Option<RawReply>,
}

impl ResponseMeta {
    /// The facts that are always known; all others start as unknown.
    #[must_use]
    pub fn new(provider: impl Into<String>, model: impl Into<String>, finish: FinishReason) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            finish,
            usage: None,
            cost: None,
            safety: Vec::new(),
            id: None,
            request_id: None,
            created: None,
            rate_limits: None,
            adjustments: Vec::new(),
            rung: None,
            grounding: None,
            attempts: Vec::new(),
            cached: false,
            raw: None,
        }
    }

    /// Keeps an answer that ended well, and makes an error of every other.
    ///
    /// `limited` says whether the caller had set a token limit: only then is an answer cut at a limit complete.
    ///
    /// # Errors
    /// [`ErrorKind::ContentRefused`], [`ErrorKind::ContextTooLong`] or [`ErrorKind::Interrupted`].
    pub fn into_result(self, limited: bool) -> Result<Self> {
        match self.finish.failure(limited) {
            None => Ok(self),
            Some(error) => Err(self.describe(error)),
        }
    }

    /// Puts what is known about the answer on the error that it became.
    pub(super) fn describe(self, error: Error) -> Error {
        let error = match self.request_id.or(self.id) {
            Some(id) => error.with_request_id(id),
            None => error,
        };
        error
            .with_provider(self.provider)
            .with_earlier_attempts(self.attempts)
            .with_safety(self.safety)
            .with_usage(self.usage)
            .with_cost(self.cost)
    }
}

/// How an answer ended, as one list for every vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
    /// The reply was whole and did not say.
    Unknown,
}

impl FinishKind {
    /// Whether this ending takes more from an answer than `other`. Of several endings that a server says the worst one
    /// holds: withdrawn, failed, context window full, unknown, cut at a limit, asking for tool calls, done.
    #[must_use]
    pub fn is_worse_than(self, other: Self) -> bool {
        self.badness() > other.badness()
    }

    /// Whether the answer did not come to its own end.
    #[must_use]
    pub fn is_cut(self) -> bool {
        !matches!(self, Self::Stop | Self::ToolCalls)
    }

    fn badness(self) -> u8 {
        match self {
            Self::Stop => 0,
            Self::ToolCalls => 1,
            Self::Length => 2,
            Self::Other | Self::Unknown => 3,
            Self::ContextWindow => 4,
            Self::Failed => 5,
            Self::ContentFilter => 6,
        }
    }
}

/// How an answer ended: the common kind and the vendor's own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

    /// The finish of a whole reply that does not say how its answer ended.
    #[must_use]
    pub fn unknown() -> Self {
        Self::new(FinishKind::Unknown, "")
    }

    /// The worse of two endings that a server says; the first one where neither [is](FinishKind::is_worse_than).
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.kind.is_worse_than(self.kind) { other } else { self }
    }

    /// The error that this ending stands for; `None` for a good one.
    pub(super) fn failure(&self, limited: bool) -> Option<Error> {
        let (kind, message) = match self.kind {
            FinishKind::Stop | FinishKind::ToolCalls | FinishKind::Unknown => return None,
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
        let error = Error::new(kind, message).with_code(&self.raw).with_finish(self.kind);
        Some(match self.kind {
            FinishKind::Length | FinishKind::Other => error.with_retry(RetryAdvice::Never),
            _ => error,
        })
    }
}

/// Whose text a safety label is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
