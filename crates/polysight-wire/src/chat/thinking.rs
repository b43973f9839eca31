//! How reasoning is switched on and off.

use serde_json::{Map, Value};

/// The field of the body by which a server switches reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThinkingParam {
    /// `thinking: {"type": "enabled"}`.
    Object,
    /// `enable_thinking: true`.
    TopLevel,
    /// `chat_template_kwargs: {"enable_thinking": true}`: an argument of the template of open weights.
    TemplateKwargs,
    /// `reasoning_effort`, with `none` for no reasoning.
    Effort,
}

/// Name of the object that holds arguments of the chat template.
pub const CHAT_TEMPLATE_KWARGS: &str = "chat_template_kwargs";

impl ThinkingParam {
    /// Switches reasoning by these fields of a body, beside what an object of the caller's holds already.
    pub fn put(self, fields: &mut Map<String, Value>, on: bool) {
        match self {
            Self::Object => {
                put_inside(fields, "thinking", "type", if on { "enabled" } else { "disabled" }.into());
            }
            Self::TopLevel => {
                fields.insert("enable_thinking".to_owned(), on.into());
            }
            Self::TemplateKwargs => put_inside(fields, CHAT_TEMPLATE_KWARGS, "enable_thinking", on.into()),
            Self::Effort => {
                fields.insert("reasoning_effort".to_owned(), if on { "medium" } else { "none" }.into());
            }
        }
    }
}

/// Puts a field inside an object of the caller's, or a new one.
pub fn put_inside(fields: &mut Map<String, Value>, object: &str, name: &str, value: Value) {
    let slot = fields.entry(object).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = slot {
        inner.insert(name.to_owned(), value);
    }
}
