//! Messages: who may say what, in which order.

use super::Findings;
use crate::{ChatRequest, Message, MessageRole, Part};

pub(super) fn check(request: &ChatRequest, findings: &mut Findings) {
    if !request.messages.iter().any(|message| message.role == MessageRole::User) {
        let fix = "add a user message: vendors refuse a dialogue of instructions or answers alone";
        findings.reject("messages", "there is no user message", "at least one", fix);
    }
    let mut open_calls: Vec<&str> = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        check_parts(index, message, findings);
        check_order(index, message, &mut open_calls, findings);
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
