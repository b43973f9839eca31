//! A plain reply of the shared shape.

use bytes::Bytes;
use polysight_core::{
    ChatResponse, Error, ErrorKind, FinishKind, FinishReason, Partial, Plan, RawReply, Result, RetryAdvice,
    ToolCall,
};

use super::failure::not_json;
use super::schema::{CallWire, Choice, Envelope, parse};
use super::{FailureSource, decode_failure, no_calls, reply_meta, think_tags};
use crate::ReplyHead;
use crate::vendor::ChatProfile;

/// Reads a plain reply of status 2xx.
///
/// # Errors
/// What the reply says when it holds an error in spite of its status; [`ErrorKind::Protocol`] when it is no JSON or
/// holds no answer; [`ErrorKind::Interrupted`], [`ErrorKind::ContentRefused`] or [`ErrorKind::ContextTooLong`] for an
/// answer that did not end well.
pub fn decode_reply<P: ChatProfile + ?Sized>(
    profile: &P,
    plan: &Plan,
    head: &ReplyHead,
    body: &Bytes,
) -> Result<ChatResponse> {
    let envelope: Envelope<'_> = parse(body).map_err(|error| unread(head, body, error))?;
    if envelope.is_failure() {
        return Err(decode_failure(profile, FailureSource::Body, head, body));
    }
    let Some(choice) = envelope.choices.0 else {
        let error = Error::new(ErrorKind::Protocol, "the reply holds no answer").with_status(head.status);
        return Err(match envelope.request_id.0.or(envelope.id.0) {
            Some(id) => error.with_request_id(id),
            None => error,
        });
    };
    let fields = choice.safety_fields(envelope.content_filter);
    let (safety, withdrawn) = (profile.safety(&fields), profile.withdraws(&fields));
    let finish = choice.finish().map(|raw| FinishReason::new(profile.finish_kind(raw), raw));
    let (text, reasoning, tool_calls) = answer(choice, plan.card.thinking.in_text);
    if withdrawn {
        return Err(super::withdrawn(safety).with_partial(Partial::new(text, reasoning)));
    }
    let Some(finish) = finish else {
        return Err(Error::new(ErrorKind::Interrupted, "the reply does not say how the answer ended")
            .with_status(head.status)
            .with_safety(safety)
            .with_partial(Partial::new(text, reasoning)));
    };
    if finish.kind == FinishKind::ToolCalls && tool_calls.is_empty() {
        return Err(no_calls().with_status(head.status).with_partial(Partial::new(text, reasoning)));
    }
    let mut response = ChatResponse::from(reply_meta(plan, head, finish));
    (response.text, response.reasoning, response.tool_calls) = (text, reasoning, tool_calls);
    let meta = &mut response.meta;
    if let Some(model) = envelope.model.non_empty() {
        meta.model = model;
    }
    if let Some(id) = envelope.request_id.non_empty() {
        meta.request_id = Some(id);
    }
    meta.id = envelope.id.non_empty();
    meta.created = envelope.created.count();
    meta.usage = envelope.usage.0.map(|usage| usage.usage());
    meta.safety = safety;
    meta.raw = plan.request.keep_raw.then(|| RawReply::new(vec![body.clone()]));
    response.into_result(plan.request.max_tokens.is_some())
}

/// The error of a reply that is no JSON of its protocol. One that only lacks its end was cut on its way, and may arrive
/// whole the next time.
#[must_use]
pub fn unread(head: &ReplyHead, body: &[u8], error: serde_json::Error) -> Error {
    let advice = if error.is_eof() { RetryAdvice::After(None) } else { RetryAdvice::Never };
    Error::new(ErrorKind::Protocol, "the reply is no JSON of the protocol")
        .with_status(head.status)
        .with_vendor_message(not_json(body))
        .with_retry(advice)
        .with_source(error)
}

fn answer(mut choice: Choice<'_>, thinks_in_text: bool) -> (String, String, Vec<ToolCall>) {
    let mut delta = choice.take_delta().unwrap_or_default();
    let mut reasoning = delta.take_reasoning().unwrap_or_default();
    let text = delta.content.non_empty().unwrap_or_default();
    let text = if thinks_in_text {
        let (thought, visible) = think_tags::split(&text);
        reasoning.push_str(&thought);
        visible
    } else {
        text
    };
    (text, reasoning, delta.tool_calls.0.into_iter().filter_map(tool_call).collect())
}

fn tool_call(call: CallWire<'_>) -> Option<ToolCall> {
    let function = call.function.0?;
    let arguments = function.arguments();
    Some(ToolCall::new(call.id.non_empty().unwrap_or_default(), function.name.non_empty()?, arguments))
}
