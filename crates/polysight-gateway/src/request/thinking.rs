//! How much to reason, in the spellings of the vendors and of their clients.

use polysight::{Effort, Thinking};

use super::fields::{Fields, Reader};
use crate::json::Json;

/// What the fields say together.
#[derive(Default)]
struct Wishes {
    switch: Option<bool>,
    budget: Option<u32>,
    effort: Option<Effort>,
}

/// Reads `enable_thinking` and `thinking_budget` (Qwen, ERNIE), `thinking` (Zhipu), `chat_template_kwargs` (self-hosted
/// servers), `reasoning_effort` (OpenAI) and `reasoning` (OpenRouter). Where they disagree, off wins over how much.
pub(super) fn read(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> Thinking {
    let mut wishes = Wishes {
        switch: root.boolean("enable_thinking", reader),
        budget: root.integer("thinking_budget", TOKENS, reader),
        ..Wishes::default()
    };
    zhipu(root, &mut wishes, reader);
    template(root, &mut wishes, reader);
    if let Some(word) = root.text("reasoning_effort", reader) {
        wishes.effort("reasoning_effort", &word, reader);
    }
    if let Some(mut fields) = root.object("reasoning", reader) {
        openrouter(&mut fields, &mut wishes, reader);
    }
    wishes.settle(reader)
}

const TOKENS: &str = "a whole number of tokens";

/// `{"type": "enabled" | "disabled" | "auto", "budget_tokens": 1024, "clear_thinking": false}`, or a truth value.
fn zhipu(root: &mut Fields<'_>, wishes: &mut Wishes, reader: &mut Reader<'_>) {
    let mut fields = match root.take("thinking") {
        None => return,
        Some(Json::Bool(on)) => return wishes.switch(on),
        Some(other) => match Fields::of(other, "thinking".to_owned(), reader) {
            Some(fields) => fields,
            None => return,
        },
    };
    match fields.text("type", reader).as_deref() {
        None | Some("auto" | "adaptive") => {}
        Some("enabled") => wishes.switch(true),
        Some("disabled") => wishes.switch(false),
        Some(_) => {
            let allowed = "`enabled`, `disabled`, `auto`";
            reader.reject("thinking.type", "it is unknown", allowed, "");
        }
    }
    wishes.budget = fields.integer("budget_tokens", TOKENS, reader).or(wishes.budget);
    if fields.take("clear_thinking").is_some() {
        reader
            .note("thinking.clear_thinking is not used: reasoning is sent back within a round of tool calls");
    }
}

/// Arguments of a chat template: `enable_thinking`, or `thinking` in some templates. Others go on as they are.
fn template(root: &mut Fields<'_>, wishes: &mut Wishes, reader: &mut Reader<'_>) {
    let Some(mut fields) = root.object("chat_template_kwargs", reader) else { return };
    for name in ["enable_thinking", "thinking"] {
        if let Some(on) = fields.boolean(name, reader) {
            wishes.switch(on);
        }
    }
    let rest = fields.rest();
    if !rest.is_empty() {
        root.put("chat_template_kwargs", Json::Object(rest));
    }
}

fn openrouter(fields: &mut Fields<'_>, wishes: &mut Wishes, reader: &mut Reader<'_>) {
    if let Some(on) = fields.boolean("enabled", reader) {
        wishes.switch(on);
    }
    if let Some(word) = fields.text("effort", reader) {
        wishes.effort("reasoning.effort", &word, reader);
    }
    wishes.budget = fields.integer("max_tokens", TOKENS, reader).or(wishes.budget);
}

impl Wishes {
    /// Off wins.
    fn switch(&mut self, on: bool) {
        self.switch = Some(self.switch.unwrap_or(true) && on);
    }

    fn effort(&mut self, path: &str, word: &str, reader: &mut Reader<'_>) {
        match word {
            "none" => self.switch(false),
            "auto" => {}
            "minimal" | "low" => self.effort = Some(Effort::Low),
            "medium" => self.effort = Some(Effort::Medium),
            "high" => self.effort = Some(Effort::High),
            "xhigh" | "max" => self.effort = Some(Effort::Max),
            _ => {
                let allowed = "`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`";
                reader.reject(path, "it is unknown", allowed, "");
            }
        }
    }

    fn settle(self, reader: &mut Reader<'_>) -> Thinking {
        match (self.switch, self.budget, self.effort) {
            (Some(false), budget, effort) => {
                if budget.is_some() || effort.is_some() {
                    reader.note("thinking is switched off: how much to think is not used");
                }
                Thinking::Off
            }
            (_, Some(0), _) => Thinking::Off,
            (_, Some(budget), _) => Thinking::Budget(budget),
            (_, None, Some(effort)) => Thinking::Effort(effort),
            (Some(true), None, None) => Thinking::On,
            (None, None, None) => Thinking::Default,
        }
    }
}
