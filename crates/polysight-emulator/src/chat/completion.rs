//! Writing the completion of a checked request.

use crate::answer::Facts;
use crate::chat::message::{Message, Part, Source};
use crate::chat::request::{ChatRequest, Limit, Reasoning};
use crate::chat::tools::{self, ToolCall};
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
    /// Part of the completion; `None` for a model that does not tell.
    pub(crate) reasoning: Option<u64>,
}

/// Tokens of a prompt by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prompt {
    /// Words, and whatever is not told apart.
    pub(crate) text: u64,
    /// Pictures, where the vendor tells them apart and there are any.
    pub(crate) image: Option<u64>,
    /// Videos, likewise.
    pub(crate) video: Option<u64>,
}

impl Prompt {
    pub(crate) fn total(self) -> u64 {
        self.text + self.image.unwrap_or(0) + self.video.unwrap_or(0)
    }
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

/// Answers a request.
pub(crate) fn complete(request: &ChatRequest<'_>, stamp: Stamp) -> Completion {
    let facts = Facts::of(request.messages);
    let calls = if request.functions.is_empty() || facts.brings_results() {
        Vec::new()
    } else {
        tools::call(&request.functions, &facts.question, &stamp.id)
    };
    let (reasoning, content, natural) = draft(request, &facts, !calls.is_empty());
    let mut budget = Budget { left: request.limit.tokens, spent: 0, exhausted: false };
    let reasoning = reasoning.map(|text| budget.think(&text, request.limit));
    let reasoning_tokens = budget.spent;
    let content = budget.take(&content);
    budget.charge(
        calls.iter().map(|call| tokens::count(&call.name) + tokens::count(&call.arguments.to_text())).sum(),
    );
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

/// Reasoning, content and the reason for which the model would stop by itself.
fn draft(
    request: &ChatRequest<'_>,
    facts: &Facts<'_>,
    calls: bool,
) -> (Option<String>, String, &'static str) {
    let answer = match (calls, request.wants_json) {
        (true, _) => String::new(),
        (false, true) => facts.to_json().to_text(),
        (false, false) => facts.to_text(),
    };
    let answer = cut_at_stop(&answer, &request.stop).to_owned();
    let natural = if calls { "tool_calls" } else { "stop" };
    match request.reasoning {
        Reasoning::Apart => (Some(facts.reasoning()), answer, natural),
        Reasoning::InAnswer => (None, format!("<think>{}</think>{answer}", facts.reasoning()), natural),
        Reasoning::Absent | Reasoning::Off => (None, answer, natural),
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

/// Tokens of the whole conversation.
pub(crate) fn prompt_tokens(messages: &[Message<'_>]) -> u64 {
    let parts = |message: &Message<'_>| message.parts.iter().map(part_tokens).sum::<u64>();
    messages.iter().map(|message| tokens::PER_MESSAGE + parts(message)).sum()
}

fn part_tokens(part: &Part<'_>) -> u64 {
    match part {
        Part::Text(text) => tokens::count(text),
        Part::Picture(Source::Inline(medium)) | Part::Video(Source::Inline(medium)) => {
            tokens::count_medium(medium)
        }
        Part::Picture(Source::Link(_)) => tokens::LINKED_PICTURE,
        Part::Video(Source::Link(_)) => tokens::LINKED_VIDEO,
        Part::Frames(frames) => tokens::LINKED_PICTURE * frames.len() as u64,
        Part::Document(_) => tokens::LINKED_PICTURE,
        Part::Unknown(_) => 0,
    }
}
