//! What can be set for such a server alone.

use polysight_wire::chat::ThinkingParam;
use serde::Deserialize;

/// The environment variable in which a key usually is.
pub const API_KEY_ENV: &str = "OPENAI_API_KEY";
/// The environment variable in which a base URL usually is.
pub const BASE_URL_ENV: &str = "OPENAI_BASE_URL";

/// Settings of a server of the chat-completions shape, beside those that all vendors share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OpenAiSettings {
    /// Whether pictures and videos stand inside a request as data URIs (default) or as bare base64; a model's card that has
    /// `data_uri` overrides it.
    pub data_uri: bool,
    /// Whether an answer is limited by `max_completion_tokens`, as OpenAI's reasoning models want it, or by `max_tokens`
    /// (default).
    pub max_completion_tokens: bool,
    /// The field that switches reasoning; default `reasoning_effort`.
    pub thinking: ThinkingParam,
    /// Whether streams are asked for usage by `stream_options`; default true. Set it to false for a server that refuses that
    /// field.
    pub stream_usage: bool,
}

impl Default for OpenAiSettings {
    fn default() -> Self {
        let thinking = ThinkingParam::ReasoningEffort;
        Self { data_uri: true, max_completion_tokens: false, thinking, stream_usage: true }
    }
}

impl OpenAiSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses data URIs (true) or bare base64 (false).
    #[must_use]
    pub fn with_data_uri(mut self, data_uri: bool) -> Self {
        self.data_uri = data_uri;
        self
    }

    /// Chooses `max_completion_tokens` (true) or `max_tokens` (false).
    #[must_use]
    pub fn with_max_completion_tokens(mut self, newer: bool) -> Self {
        self.max_completion_tokens = newer;
        self
    }

    /// Chooses the field that switches reasoning.
    #[must_use]
    pub fn with_thinking(mut self, param: ThinkingParam) -> Self {
        self.thinking = param;
        self
    }

    /// Says whether streams are asked for usage.
    #[must_use]
    pub fn with_stream_usage(mut self, usage: bool) -> Self {
        self.stream_usage = usage;
        self
    }
}
