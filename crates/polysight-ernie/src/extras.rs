//! Options that only this vendor has.

use std::collections::BTreeMap;

use polysight_core::plan::PlanBuilder;
use polysight_core::{Thinking, VendorExtras};
use polysight_wire::chat::{CHAT_TEMPLATE_KWARGS, RESERVED_EXTRAS};
use polysight_wire::vendor::Deployment;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::profile::Wire;

/// The vendor's id, under which extras are found.
pub const VENDOR: &str = "ernie";

/// Extra that asks the vendor's search engine.
pub(crate) const WEB_SEARCH: &str = "web_search";
/// Extra that labels a request in the vendor's logs.
pub(crate) const METADATA: &str = "metadata";
/// Extra that limits reasoning and answer together, beside `max_tokens`.
pub(crate) const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";
/// Extras that a deployment must list to have them.
const PLACED_EXTRAS: [&str; 4] = [WEB_SEARCH, METADATA, MAX_COMPLETION_TOKENS, CHAT_TEMPLATE_KWARGS];

/// Options that only this vendor has, for [`ChatRequest::with_extras`](polysight_core::ChatRequest::with_extras).
///
/// ```
/// use polysight_core::ChatRequest;
/// use polysight_ernie::{ErnieExtras, WebSearch};
///
/// let search = WebSearch::new().with_citation(true);
/// let request = ChatRequest::default().with_extras(ErnieExtras::new().with_web_search(search));
/// assert_eq!(request.extras["ernie"]["web_search"]["enable_citation"], true);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErnieExtras {
    /// Lets the model search the web; the vendor alone, billed for each search. What was found is in the raw reply's
    /// `search_results`: see [`ChatRequest::keep_raw`](polysight_core::ChatRequest::keep_raw).
    pub web_search: Option<WebSearch>,
    /// Labels for the vendor's logs, at most 16.
    pub metadata: BTreeMap<String, String>,
    /// Most tokens of reasoning and answer together. The request's own `max_tokens` then goes out under that name and
    /// limits the answer alone.
    pub max_completion_tokens: Option<u32>,
}

impl ErnieExtras {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the model search the web.
    #[must_use]
    pub fn with_web_search(mut self, search: WebSearch) -> Self {
        self.web_search = Some(search);
        self
    }

    /// Adds a label for the vendor's logs.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Limits reasoning and answer together.
    #[must_use]
    pub fn with_max_completion_tokens(mut self, tokens: u32) -> Self {
        self.max_completion_tokens = Some(tokens);
        self
    }
}

impl VendorExtras for ErnieExtras {
    const VENDOR: &'static str = VENDOR;

    fn into_fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        if let Some(search) = self.web_search {
            fields.insert(WEB_SEARCH.to_owned(), search.into_value());
        }
        if !self.metadata.is_empty() {
            let labels: Map<String, Value> =
                self.metadata.into_iter().map(|(name, value)| (name, value.into())).collect();
            fields.insert(METADATA.to_owned(), labels.into());
        }
        if let Some(tokens) = self.max_completion_tokens {
            fields.insert(MAX_COMPLETION_TOKENS.to_owned(), tokens.into());
        }
        fields
    }
}

/// What the model may search, and what it shows of that; what is `None` is left to the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WebSearch {
    /// Whether it may search at all. The vendor's default is false, that of [`WebSearch::new`] true.
    pub enable: bool,
    /// Whether the answer marks its sources.
    #[serde(rename = "enable_citation", skip_serializing_if = "Option::is_none")]
    pub citation: Option<bool>,
    /// Whether the reply lists what was found.
    #[serde(rename = "enable_trace", skip_serializing_if = "Option::is_none")]
    pub trace: Option<bool>,
    /// Whether a stream tells when a search runs.
    #[serde(rename = "enable_status", skip_serializing_if = "Option::is_none")]
    pub status: Option<bool>,
    /// Number of results to search for, 1 to 28.
    #[serde(rename = "search_number", skip_serializing_if = "Option::is_none")]
    pub results: Option<u32>,
    /// Number of results to show to the model, at most as many as are searched for.
    #[serde(rename = "reference_number", skip_serializing_if = "Option::is_none")]
    pub references: Option<u32>,
}

impl WebSearch {
    /// A search with the vendor's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { enable: true, citation: None, trace: None, status: None, results: None, references: None }
    }

    /// Says whether the answer marks its sources.
    #[must_use]
    pub fn with_citation(mut self, citation: bool) -> Self {
        self.citation = Some(citation);
        self
    }

    /// Says whether the reply lists what was found.
    #[must_use]
    pub fn with_trace(mut self, trace: bool) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Says whether a stream tells when a search runs.
    #[must_use]
    pub fn with_status(mut self, status: bool) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets how many results to search for.
    #[must_use]
    pub fn with_results(mut self, results: u32) -> Self {
        self.results = Some(results);
        self
    }

    /// Sets how many results to show to the model.
    #[must_use]
    pub fn with_references(mut self, references: u32) -> Self {
        self.references = Some(references);
        self
    }

    fn into_value(self) -> Value {
        // Booleans and numbers under fixed names are always JSON.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Default for WebSearch {
    fn default() -> Self {
        Self::new()
    }
}

/// Fields of this vendor's body that a request has fields of its own for.
const RESERVED: [(&str, &str); 10] = [
    ("top_k", "sampling"),
    ("penalty_score", "sampling (repetition_penalty)"),
    ("repetition_penalty", "sampling"),
    ("presence_penalty", "sampling"),
    ("frequency_penalty", "sampling"),
    ("request_id", "request_id"),
    ("user", "end_user_id"),
    ("enable_thinking", "thinking"),
    ("thinking_budget", "thinking"),
    ("reasoning_max_tokens", "thinking"),
];

/// Refuses extras that would say twice what the request says itself, that mean nothing where the model is served, or that
/// the vendor would refuse.
pub(crate) fn check(builder: &mut PlanBuilder, deployment: &Deployment<Wire>) {
    builder.refuse_extras(VENDOR, &RESERVED_EXTRAS);
    builder.refuse_extras(VENDOR, &RESERVED);
    let Some(fields) = builder.request.extras.get(VENDOR) else { return };
    let path = |field: &str| format!("extras.{VENDOR}.{field}");
    let placed = PLACED_EXTRAS.into_iter().filter(|field| fields.contains_key(*field));
    for field in placed.filter(|field| !deployment.wire.extras.contains(field)) {
        let problem = format!("`{field}` is not supported for deployment `{}`", deployment.name);
        builder.findings.reject(path(field), problem, "nothing of the kind", "leave it out");
    }
    for (field, problem, limit) in problems(fields, &builder.card, builder.request.thinking) {
        builder.findings.reject(path(field), problem, limit, "");
    }
}

type Problem = (&'static str, String, String);

fn problems(
    fields: &Map<String, Value>,
    card: &polysight_core::ModelCard,
    thinking: Thinking,
) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some(value) = fields.get(MAX_COMPLETION_TOKENS) {
        let (least, most) = (card.min_output.unwrap_or(1), card.max_output.unwrap_or(u64::MAX));
        if value.as_u64().is_none_or(|tokens| tokens < least || tokens > most) {
            let limit =
                card.max_output.map_or(format!("at least {least}"), |most| format!("[{least}, {most}]"));
            found.push((MAX_COMPLETION_TOKENS, format!("it is {value}"), limit));
        }
    }
    if let Some(value) = fields.get(METADATA) {
        let labels = value.as_object().filter(|labels| labels.values().all(Value::is_string));
        if labels.is_none_or(|labels| labels.len() > 16) {
            let limit = "an object of at most 16 texts".to_owned();
            found.push((METADATA, "it is something else, or too much".to_owned(), limit));
        }
    }
    if let Some(value) = fields.get(CHAT_TEMPLATE_KWARGS) {
        let switches = ["enable_thinking", "options"];
        let says_twice = thinking != Thinking::Default
            && value.as_object().is_some_and(|given| switches.iter().any(|key| given.contains_key(*key)));
        if !value.is_object() || says_twice {
            let limit = "an object, without what the request's own thinking says".to_owned();
            found.push((CHAT_TEMPLATE_KWARGS, "it cannot be merged with the request".to_owned(), limit));
        }
    }
    if let Some(value) = fields.get(WEB_SEARCH) {
        found.extend(search_problem(value).map(|limit| (WEB_SEARCH, format!("it is {value}"), limit)));
    }
    found
}

/// Source: chat reference of 2026-05-08; it also keeps `search_mode` from ERNIE models.
fn search_problem(value: &Value) -> Option<String> {
    let Some(search) = value.as_object() else { return Some("an object".to_owned()) };
    let number = |name: &str| search.get(name).and_then(Value::as_u64);
    let in_range = |number: u64| (1..=28).contains(&number);
    match (number("search_number"), number("reference_number")) {
        (Some(results), _) if !in_range(results) => Some("search_number from 1 to 28".to_owned()),
        (_, Some(references)) if !in_range(references) => Some("reference_number from 1 to 28".to_owned()),
        (Some(results), Some(references)) if references > results => {
            Some("reference_number of at most search_number".to_owned())
        }
        _ => None,
    }
}
