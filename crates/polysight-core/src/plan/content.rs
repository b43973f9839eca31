//! Messages: who may say what, in which order.

use super::Findings;
use crate::{ChatRequest, Message, MessageRole, ModelCard, Part};

/// No entry of a tokenizer's vocabulary is longer, in bytes: the longest of the published ones (Qwen, GLM-4, ERNIE 4.5, read
/// 2026-11-27) is a run of 128 spaces or signs.
const LONGEST_TOKEN: usize = 256;

pub(super) fn check(request: &ChatRequest, card: &ModelCard, findings: &mut Findings) {
    if !request.messages.iter().any(|message| message.role == MessageRole::User) {
        let fix = "add a user message: vendors refuse a dialogue of instructions or answers alone";
        findings.reject("messages", "there is no user message", "at least one", fix);
    }
    check_context(request, card, findings);
    let mut open_calls: Vec<&str> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        check_parts(index, message, findings);
        check_order(index, message, &mut open_calls, findings);
    }
}

/// Refuses texts that cannot fit into the model's context, however its tokenizer counts.
fn check_context(request: &ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let Some(context) = card.context else { return };
    let texts = || request.messages.iter().flat_map(|message| &message.parts).filter_map(text_of);
    // Of two bytes one is a space, at most: most requests need no count.
    let bytes: usize = texts().map(str::len).sum();
    if (bytes as u64).div_ceil(2) <= context {
        return;
    }
    let least = texts().map(least_tokens).sum::<u64>();
    if least > context {
        let problem = format!("the texts of the request take {least} tokens at the very least");
        let limit = format!("{context} tokens with the answer for {}", findings.model());
        findings.reject("messages", problem, limit, "shorten the texts, or ask in several requests");
    }
}

/// A text takes no fewer tokens: one for each word between white space, and more for a word that is longer than any token.
/// The tokenizers of all known models split texts at white space before they look for tokens, so that no token reaches over
/// two words. White space itself counts for nothing here.
fn least_tokens(text: &str) -> u64 {
    text.split_whitespace().map(|word| word.len().div_ceil(LONGEST_TOKEN) as u64).sum()
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        Part::ToolResult(result) => Some(&result.content),
        Part::Image(_) | Part::Video(_) | Part::ToolCall(_) | Part::Reasoning(_) | Part::CacheMark => None,
    }
}

/// Leaves out texts of white space alone in user and system messages that say something else: vendors refuse them.
pub(super) fn leave_out_empty_texts(request: &mut ChatRequest, findings: &mut Findings) {
    let has_any = |message: &Message| {
        matches!(message.role, MessageRole::User | MessageRole::System)
            && message.parts.len() > 1
            && message.parts.iter().any(is_empty_text)
            && !message.parts.iter().all(is_empty_text)
    };
    // Messages without one stay shared with the caller's.
    if !request.messages.iter().any(has_any) {
        return;
    }
    for (index, message) in request.messages.iter_mut().enumerate().filter(|(_, message)| has_any(message)) {
        let mut place = 0;
        message.parts.retain(|part| {
            let path = format!("messages[{index}].parts[{place}]");
            place += 1;
            if !is_empty_text(part) {
                return true;
            }
            let allowed = findings.lossless(&path, "an empty text left out");
            if !allowed {
                findings.reject(path, "the text is empty", "some text", "leave the part out");
            }
            !allowed
        });
    }
}

fn is_empty_text(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.trim().is_empty())
}

fn check_parts(index: usize, message: &Message, findings: &mut Findings) {
    let says_something = message.parts.iter().any(|part| match part {
        Part::Text(text) => !text.is_empty(),
        Part::Reasoning(_) | Part::CacheMark => false,
        Part::Image(_) | Part::Video(_) | Part::ToolCall(_) | Part::ToolResult(_) => true,
    });
    if !says_something {
        let problem = format!("the {} message is empty", message.role.name());
        findings.reject(
            format!("messages[{index}]"),
            problem,
            "some content",
            "give it text or leave it out",
        );
    }
    for (place, part) in message.parts.iter().enumerate() {
        let (name, role) = match part {
            Part::Text(_) if message.role == MessageRole::Tool => {
                ("text", "a tool message holds tool results only")
            }
            Part::Text(_) => continue,
            Part::Image(_) if message.role != MessageRole::User => {
                ("a picture", "pictures stand in user messages")
            }
            Part::Video(_) if message.role != MessageRole::User => {
                ("a video", "videos stand in user messages")
            }
            Part::ToolCall(_) if message.role != MessageRole::Assistant => {
                ("a tool call", "tool calls stand in assistant messages")
            }
            Part::Reasoning(_) if message.role != MessageRole::Assistant => {
                ("reasoning", "reasoning stands in assistant messages")
            }
            Part::ToolResult(_) if message.role != MessageRole::Tool => {
                ("a tool result", "tool results stand in tool messages")
            }
            Part::Image(_)
            | Part::Video(_)
            | Part::ToolCall(_)
            | Part::Reasoning(_)
            | Part::ToolResult(_)
            | Part::CacheMark => continue,
        };
        let path = format!("messages[{index}].parts[{place}]");
        findings.reject(path, format!("{name} in a {} message", message.role.name()), role, "move it");
    }
}

/// A tool result must answer a call of the assistant message right before.
fn check_order<'a>(
    index: usize,
    message: &'a Message,
    open_calls: &mut Vec<&'a str>,
    findings: &mut Findings,
) {
    if message.role != MessageRole::Tool {
        open_calls.clear();
    }
    for (place, part) in message.parts.iter().enumerate() {
        match part {
            Part::ToolCall(call) => open_calls.push(&call.id),
            Part::ToolResult(result) => match open_calls.iter().position(|id| *id == result.call_id) {
                Some(found) => {
                    open_calls.swap_remove(found);
                }
                None => findings.reject(
                    format!("messages[{index}].parts[{place}]"),
                    format!(
                        "this tool result answers `{}`, which the assistant did not just call",
                        result.call_id
                    ),
                    "one result for each call of the assistant message right before",
                    "keep the assistant's calls and their results together when shortening a dialogue",
                ),
            },
            Part::Text(_) | Part::Image(_) | Part::Video(_) | Part::Reasoning(_) | Part::CacheMark => {}
        }
    }
}
