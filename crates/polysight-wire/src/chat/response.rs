//! A plain reply of the shared shape.

use bytes::Bytes;
use polysight_core::{
    ChatResponse, Error, ErrorKind, FinishKind, FinishReason, Partial, Plan, RawReply, Result, RetryAdvice,
    ToolCall,
};

use super::failure::not_json;
use super::schema::{CallWire, Choice, Envelope, UsageWire};
use super::{FailureSource, decode_failure, no_answer, no_calls, reply_meta, think_tags};
use crate::ReplyHead;
use crate::json::{self, LoneHalves};
use crate::vendor::ChatProfile;

/// Reads a plain reply of status 2xx.
///
/// # Errors
/// What the reply says when it holds an error in spite of its status, or no answer; [`ErrorKind::Protocol`] when it is no JSON,
/// with what could be read of an answer that lacks its end, and when it says nothing; [`ErrorKind::Interrupted`], [`ErrorKind::ContentRefused`] or [`ErrorKind::ContextTooLong`] for an
/// answer that did not end well.
pub fn decode_reply<P: ChatProfile + ?Sized>(
    profile: &P,
    plan: &Plan,
    head: &ReplyHead,
    body: &Bytes,
) -> Result<ChatResponse> {
    match json::parse::<Envelope<'_>>(body) {
        Ok(envelope) => read_envelope(profile, plan, head, body, envelope),
        Err(error) => decode_repaired(profile, plan, head, body, error),
    }
}

/// Reads a reply that is not quite JSON. Several documents are none of this kind: they are the chunks of a stream.
fn decode_repaired<P: ChatProfile + ?Sized>(
    profile: &P,
    plan: &Plan,
    head: &ReplyHead,
    body: &Bytes,
    error: serde_json::Error,
) -> Result<ChatResponse> {
    let documents = json::documents(body, LoneHalves::Replace);
    let text = documents.single().or(documents.beginning());
    match text.and_then(|text| json::parse::<Envelope<'_>>(text.as_bytes()).ok()) {
        Some(envelope) if documents.cut.is_none() => read_envelope(profile, plan, head, body, envelope),
        Some(envelope) if envelope.is_failure() => {
            Err(decode_failure(profile, FailureSource::Body, head, body))
        }
        Some(envelope) => {
            let choice = envelope.unwrapped().choices.0.unwrap_or_default();
            let (text, reasoning, _) = answer(choice, plan.card.thinking.in_text);
            Err(unread(head, body, error).with_partial(Partial::new(text, reasoning)))
        }
        None => Err(unread(head, body, error)),
    }
}

fn read_envelope<P: ChatProfile + ?Sized>(
    profile: &P,
    plan: &Plan,
    head: &ReplyHead,
    body: &Bytes,
    envelope: Envelope<'_>,
) -> Result<ChatResponse> {
    if envelope.is_failure() {
        return Err(decode_failure(profile, FailureSource::Body, head, body));
    }
    let envelope = envelope.unwrapped();
    if envelope.is_failure() {
        return Err(decode_failure(profile, FailureSource::Body, head, body));
    }
    let Some(choice) = envelope.choices.0 else { return Err(no_answer(profile, head, body)) };
    let fields = choice.safety_fields(envelope.content_filter);
    let (safety, withdrawn) = (profile.safety(&fields), profile.withdraws(&fields));
    let is_whole = choice.is_whole();
    let finish = choice.finish().map(|raw| FinishReason::new(profile.finish_kind(raw), raw));
    let (text, reasoning, tool_calls) = answer(choice, plan.card.thinking.in_text);
    if withdrawn {
        return Err(super::withdrawn(safety).with_partial(Partial::new(text, reasoning)));
    }
    // A whole answer that does not say how it ended is one all the same.
    let is_answer = is_whole && !(text.is_empty() && tool_calls.is_empty());
    let Some(finish) = finish.or_else(|| is_answer.then(FinishReason::unknown)) else {
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
    meta.usage = envelope.usage.0.and_then(UsageWire::usage);
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
    let id = call.id.non_empty().unwrap_or_default();
    Some(ToolCall::new(id, function.name.non_empty()?, function.arguments.into_string()))
}
