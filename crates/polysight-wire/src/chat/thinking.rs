//! How reasoning is switched on and off.

use polysight_core::Thinking;
use polysight_core::plan::PlanBuilder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The field of the body by which a server switches reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThinkingParam {
    /// `thinking: {"type": "enabled"}`.
    Object,
    /// `enable_thinking: true`.
    TopLevel,
    /// `chat_template_kwargs: {"enable_thinking": true}`: an argument of the template of open weights.
    TemplateKwargs,
    /// `reasoning_effort`, with `none` for no reasoning.
    ReasoningEffort,
}

/// Name of the object that holds arguments of the chat template.
pub const CHAT_TEMPLATE_KWARGS: &str = "chat_template_kwargs";

impl ThinkingParam {
    /// Refuses a budget where the server has no field for it, and an effort where it has none beside the chat template; thinking
    /// on takes their place where the tolerance allows that.
    pub fn check(self, builder: &mut PlanBuilder, has_budget: bool) {
        let what = match builder.request.thinking {
            Thinking::Budget(_) if !has_budget => "reasoning budget",
            Thinking::Effort(_) if self == Self::TemplateKwargs => "reasoning effort",
            _ => return,
        };
        if builder
            .findings
            .lossy("thinking", format!("{what} replaced by thinking on: there is no field for it"))
        {
            builder.request.thinking = Thinking::On;
        } else {
            let problem = format!("the server takes no {what}");
            builder.findings.reject("thinking", problem, "thinking on or off", "choose one of them");
        }
    }

    /// Writes thinking on or off, and efforts, into the fields of a body.
    pub fn put(self, fields: &mut Map<String, Value>, thinking: Thinking) {
        match thinking {
            Thinking::On => self.switch(fields, true),
            Thinking::Off => self.switch(fields, false),
            Thinking::Effort(effort) => {
                fields.insert("reasoning_effort".to_owned(), effort.name().into());
            }
            _ => {}
        }
    }

    /// Switches reasoning by these fields of a body, beside what an object of the caller's holds already.
    pub fn switch(self, fields: &mut Map<String, Value>, on: bool) {
        match self {
            Self::Object => {
                put_inside(fields, "thinking", "type", if on { "enabled" } else { "disabled" }.into());
            }
            Self::TopLevel => {
                fields.insert("enable_thinking".to_owned(), on.into());
            }
            Self::TemplateKwargs => put_inside(fields, CHAT_TEMPLATE_KWARGS, "enable_thinking", on.into()),
            Self::ReasoningEffort => {
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
