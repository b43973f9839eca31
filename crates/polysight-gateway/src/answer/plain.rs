//! A whole answer.

use polysight::{ChatResponse, Error, FinishKind, Result};
use serde::Serialize;

use super::boxes::boxes;
use super::objects::{CallObject, FunctionObject, Head, Known, UsageObject, finish_reason};

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageObject>,
    polysight: Known<'a>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: MessageObject<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct MessageObject<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallObject<'a>>,
}

/// The JSON of an outcome. An answer that the vendor cut at its own token limit is one with the finish reason `length`, as
/// the shape has it; every other failure stays an error.
pub(crate) fn plain(outcome: Result<ChatResponse>, head: &Head) -> Result<Vec<u8>> {
    match outcome {
        Ok(response) => Ok(of_response(&response, head)),
        Err(error) if error.finish() == Some(FinishKind::Length) => Ok(of_cut(&error, head)),
        Err(error) => Err(error),
    }
}

fn of_response(response: &ChatResponse, head: &Head) -> Vec<u8> {
    let form = response.tool_calls.first().filter(|_| head.calls_are_text);
    let text = form.map_or(&*response.text, |call| &call.arguments);
    let calls = if form.is_some() { &[][..] } else { &response.tool_calls };
    let message = MessageObject {
        role: "assistant",
        content: Some(text).filter(|text| !text.is_empty() || calls.is_empty()),
        reasoning_content: Some(&*response.reasoning).filter(|text| !text.is_empty()),
        tool_calls: calls
            .iter()
            .map(|call| CallObject {
                index: None,
                id: Some(&call.id),
                r#type: Some("function"),
                function: FunctionObject { name: Some(&call.name), arguments: &call.arguments },
            })
            .collect(),
    };
    let finish = finish_reason(response.finish.kind, head.calls_are_text);
    let usage = response.usage.map(Into::into);
    let boxes = boxes(text, response.grounding.as_deref());
    completion(head, message, finish, usage, Known::of(&response.meta, head, boxes))
}

fn of_cut(error: &Error, head: &Head) -> Vec<u8> {
    let (text, reasoning) = error.partial().map_or(("", ""), |partial| (&partial.text, &partial.reasoning));
    let message = MessageObject {
        role: "assistant",
        content: Some(text),
        reasoning_content: Some(reasoning).filter(|text| !text.is_empty()),
        ..MessageObject::default()
    };
    completion(head, message, "length", None, Known::of_cut(error, head))
}

fn completion(
    head: &Head,
    message: MessageObject<'_>,
    finish_reason: &'static str,
    usage: Option<UsageObject>,
    polysight: Known<'_>,
) -> Vec<u8> {
    let completion = Completion {
        id: &head.id,
        object: "chat.completion",
        created: head.created,
        model: &head.model,
        choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
        usage,
        polysight,
    };
    // Texts and numbers alone: this cannot fail.
    serde_json::to_vec(&completion).unwrap_or_default()
}
