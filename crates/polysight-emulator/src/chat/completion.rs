//! Writing the completion of a checked request.

use crate::chat::broken_json::JsonBreak;
use crate::chat::facts::Facts;
use crate::chat::grounding;
use crate::chat::prepared_answer::PreparedAnswer;
use crate::chat::prompt::Prompt;
use crate::chat::request::{ChatRequest, Limit, Reasoning};
use crate::chat::schema_values::ValueWriter;
use crate::chat::tools::{self, ToolCall};
use crate::json::Json;
use crate::tokens;

/// An answer before it has a vendor's shape.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) id: String,
    pub(crate) request_id: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: u64,
    pub(crate) model: String,
    pub(crate) reasoning: Option<String>,
    pub(crate) content: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish: String,
    pub(crate) usage: Usage,
    /// The answer was withdrawn by a content audit.
    pub(crate) filtered: bool,
}

/// Tokens spent. The total is always the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    pub(crate) prompt: Prompt,
    pub(crate) completion: u64,
    /// Part of the completion; `None` where the vendor does not report it.
    pub(crate) reasoning: Option<u64>,
}

impl Usage {
    pub(crate) fn total(self) -> u64 {
        self.prompt.total() + self.completion
    }
}

/// What names a reply: its id, and when it was made.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) id: String,
    pub(crate) created: u64,
}

/// Answers a request: as it was prepared, or with the facts of what arrived; its JSON broken, if so wanted.
pub(crate) fn complete(
    request: &ChatRequest<'_>,
    prepared: Option<PreparedAnswer>,
    broken: Option<JsonBreak>,
    stamp: Stamp,
) -> Completion {
    let facts = Facts::of(request.messages);
    let (mut answer, mut calls) = match prepared {
        Some(answer) => (answer.text, tools::prepared(answer.calls, &stamp.id)),
        None => drafted(request, &facts, &stamp.id),
    };
    if let Some(kind) = broken {
        kind.apply(&mut answer, &mut calls);
    }
    let (reasoning, content) = with_reasoning(request, &facts, cut_at_stop(&answer, &request.stop));
    let natural = if calls.is_empty() { "stop" } else { "tool_calls" };
    let mut budget = Budget { left: request.limit.tokens, spent: 0, exhausted: false };
    let reasoning = reasoning.map(|text| budget.think(&text, request.limit));
    let reasoning_tokens = budget.spent;
    let content = budget.take(&content);
    budget.charge(calls.iter().map(|call| tokens::count(&call.name) + tokens::count(&call.arguments)).sum());
    let finish = if budget.exhausted { "length" } else { natural };
    Completion {
        request_id: request.request_id.unwrap_or(&stamp.id).to_owned(),
        id: stamp.id,
        created: stamp.created,
        model: request.model.to_owned(),
        reasoning,
        content,
        calls: if budget.exhausted { Vec::new() } else { calls },
        finish: finish.to_owned(),
        usage: Usage {
            prompt: request.prompt,
            completion: budget.spent,
            reasoning: match request.reasoning {
                Reasoning::Apart => Some(reasoning_tokens),
                Reasoning::Off => Some(0),
                Reasoning::Absent | Reasoning::InAnswer => None,
            },
        },
        filtered: false,
    }
}

/// The answer of a request for which none was prepared, and its calls.
fn drafted(request: &ChatRequest<'_>, facts: &Facts<'_>, id: &str) -> (String, Vec<ToolCall>) {
    if !request.functions.is_empty() && (request.must_call || !facts.brings_results()) {
        let calls = tools::call(&request.functions, &facts.question, &facts.pictures(), id);
        return (String::new(), calls);
    }
    if let Some(places) = grounding::answer(request.model, request.messages, &facts.question, &request.seen) {
        return (places, Vec::new());
    }
    (answer_text(request, facts), Vec::new())
}

fn answer_text(request: &ChatRequest<'_>, facts: &Facts<'_>) -> String {
    let writer = |schema: &Json| ValueWriter::new(schema, facts.pictures(), "");
    match (request.form, &request.schema) {
        (Some(form), _) => in_fence(&writer(form).fill()),
        (None, Some(schema)) => writer(schema).write().to_text(),
        (None, None) if request.wants_json => facts.to_json().to_text(),
        (None, None) => facts.to_text(),
    }
}

/// As OCR models write a form that they have filled in.
fn in_fence(form: &Json) -> String {
    format!("```json\n{}\n```", serde_json::to_string_pretty(form).unwrap_or_default())
}

/// Reasoning, where it is apart, and content.
fn with_reasoning(request: &ChatRequest<'_>, facts: &Facts<'_>, answer: &str) -> (Option<String>, String) {
    let guess = if grounding::asks_for_places(&facts.question) { grounding::GUESS } else { "" };
    let reasoning = || facts.reasoning() + guess;
    match request.reasoning {
        Reasoning::Apart => (Some(reasoning()), answer.to_owned()),
        Reasoning::InAnswer => (None, format!("<think>{}</think>{answer}", reasoning())),
        Reasoning::Absent | Reasoning::Off => (None, answer.to_owned()),
    }
}

/// The answer up to the earliest stop word, which is not part of it.
fn cut_at_stop<'t>(text: &'t str, stop: &[&str]) -> &'t str {
    let end = stop.iter().filter_map(|word| text.find(word)).min();
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

struct Budget {
    left: u64,
    spent: u64,
    exhausted: bool,
}

impl Budget {
    /// As much of a line of thought as there is leave for.
    fn think(&mut self, text: &str, limit: Limit) -> String {
        let allowed = tokens::truncate(text, limit.reasoning.unwrap_or(u64::MAX));
        if limit.covers_reasoning {
            return self.take(allowed);
        }
        self.spent += tokens::count(allowed);
        allowed.to_owned()
    }

    /// As much of a text as there are tokens for.
    fn take(&mut self, text: &str) -> String {
        let kept = tokens::truncate(text, self.left);
        self.exhausted |= kept.len() < text.len();
        let spent = tokens::count(kept);
        self.left -= spent;
        self.spent += spent;
        kept.to_owned()
    }

    /// Pays for something that cannot be cut.
    fn charge(&mut self, cost: u64) {
        self.exhausted |= cost > self.left;
        let paid = cost.min(self.left);
        self.left -= paid;
        self.spent += paid;
    }
}
