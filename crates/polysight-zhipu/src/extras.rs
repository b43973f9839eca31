//! Options that only this vendor has.

use polysight_core::VendorExtras;
use polysight_core::plan::PlanBuilder;
use polysight_wire::chat::RESERVED_EXTRAS;
use serde_json::{Map, Value, json};

/// The vendor's id, under which extras are found.
pub const VENDOR: &str = "zhipu";

/// Options that only this vendor has, for [`ChatRequest::with_extras`](polysight_core::ChatRequest::with_extras).
///
/// ```
/// use polysight_core::ChatRequest;
/// use polysight_zhipu::ZhipuExtras;
///
/// let request = ChatRequest::default().with_extras(ZhipuExtras::new().with_tool_stream(true));
/// assert_eq!(request.extras["zhipu"]["tool_stream"], true);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZhipuExtras {
    /// Whether reasoning of earlier turns is forgotten. `false` sends it back to the model, complete and in order; the
    /// vendor's default is true.
    pub clear_thinking: Option<bool>,
    /// Whether tool calls are streamed in pieces; text models from 4.6 on.
    pub tool_stream: Option<bool>,
    /// Whether the vendor's word filter runs; switching it off needs a contract.
    pub sensitive_word_check: Option<bool>,
}

impl ZhipuExtras {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether reasoning of earlier turns is forgotten.
    #[must_use]
    pub fn with_clear_thinking(mut self, clear: bool) -> Self {
        self.clear_thinking = Some(clear);
        self
    }

    /// Says whether tool calls are streamed in pieces.
    #[must_use]
    pub fn with_tool_stream(mut self, pieces: bool) -> Self {
        self.tool_stream = Some(pieces);
        self
    }

    /// Says whether the vendor's word filter runs.
    #[must_use]
    pub fn with_sensitive_word_check(mut self, check: bool) -> Self {
        self.sensitive_word_check = Some(check);
        self
    }
}

impl VendorExtras for ZhipuExtras {
    const VENDOR: &'static str = VENDOR;

    fn into_fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let Some(clear) = self.clear_thinking {
            fields.insert(CLEAR_THINKING.to_owned(), clear.into());
        }
        if let Some(pieces) = self.tool_stream {
            fields.insert("tool_stream".to_owned(), pieces.into());
        }
        if let Some(check) = self.sensitive_word_check {
            let status = if check { "ENABLE" } else { "DISABLE" };
            fields.insert("sensitive_word_check".to_owned(), json!({"type": "ALL", "status": status}));
        }
        fields
    }
}

/// Extra that becomes a part of the `thinking` object.
pub(crate) const CLEAR_THINKING: &str = "clear_thinking";

/// Fields of this vendor's body that a request has fields of its own for.
const RESERVED: [(&str, &str); 4] = [
    ("do_sample", "sampling"),
    ("request_id", "request_id"),
    ("user_id", "end_user_id"),
    ("thinking", "thinking"),
];

/// Refuses extras that would say twice what the request says itself, and malformed ones.
pub(crate) fn check(builder: &mut PlanBuilder) {
    builder.refuse_extras(VENDOR, &RESERVED_EXTRAS);
    builder.refuse_extras(VENDOR, &RESERVED);
    let Some(fields) = builder.request.extras.get(VENDOR) else { return };
    if fields.get(CLEAR_THINKING).is_some_and(|value| !value.is_boolean()) {
        let path = format!("extras.{VENDOR}.{CLEAR_THINKING}");
        builder.findings.reject(path, "it is neither true nor false", "true or false", "");
    }
}
