use polysight_core::Result;
use serde::Deserialize;

/// What a [`Trace`](super::Trace) tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TracePolicy {
    /// Whether spans of operations hold the texts of question and answer, tool calls included. Pictures, videos and
    /// links are never in them. Default: `false`.
    pub content: bool,
    /// Whether metrics are counted. Default: `true`.
    pub metrics: bool,
}

impl Default for TracePolicy {
    fn default() -> Self {
        Self { content: false, metrics: true }
    }
}

impl TracePolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether spans hold the texts of question and answer.
    #[must_use]
    pub fn with_content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    /// Says whether metrics are counted.
    #[must_use]
    pub fn with_metrics(mut self, metrics: bool) -> Self {
        self.metrics = metrics;
        self
    }

    /// Checks the settings, of which none can be wrong as yet.
    ///
    /// # Errors
    /// None.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }
}
