//! A plain reply of the shared shape.

use bytes::Bytes;
use polysight_core::{
    ChatResponse, Error, ErrorKind, FinishReason, Partial, Plan, RawReply, Result, RetryAdvice, StreamEvent,
};

use super::failure::not_json;
use super::schema::{Choice, Envelope, UsageWire};
use super::text_parts::TextParts;
use super::{CallPiece, FailureSource, Halves, decode_failure, no_answer, reply_meta, whole_calls};
use crate::json::{self, LoneHalves};
use crate::vendor::ChatProfile;
use crate::{Events, ReplyHead};

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
        Ok(envelope) => read_envelope(profile, plan, head, body, envelope, false),
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
    let documents = json::documents(body, LoneHalves::Keep);
    let text = documents.single().or(documents.beginning());
    match text.and_then(|text| json::parse::<Envelope<'_>>(text.as_bytes()).ok()) {
        Some(envelope) if documents.cut.is_none() => read_envelope(profile, plan, head, body, envelope, true),
        Some(envelope) if envelope.is_failure() => {
            Err(decode_failure(profile, FailureSource::Body, head, body))
        }
        Some(envelope) => {
            let choice = envelope.unwrapped().choices.0.unwrap_or_default();
            let (text, reasoning, _) = answer(choice, TextParts::new(profile, plan), true, true);
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
    is_repaired: bool,
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
    let is_cut = finish.as_ref().map_or(!is_whole, |finish| finish.kind.is_cut());
    let (text, reasoning, calls) = answer(choice, TextParts::new(profile, plan), is_cut, is_repaired);
    if withdrawn {
        return Err(super::withdrawn(safety).with_partial(Partial::new(text, reasoning)));
    }
    // A whole answer that does not say how it ended is one all the same.
    let is_answer = is_whole && !(text.is_empty() && calls.is_empty());
    let Some(finish) = finish.or_else(|| is_answer.then(FinishReason::unknown)) else {
        return Err(Error::new(ErrorKind::Interrupted, "the reply does not say how the answer ended")
            .with_status(head.status)
            .with_safety(safety)
            .with_partial(Partial::new(text, reasoning)));
    };
    let kind = finish.kind;
    let mut response = ChatResponse::from(reply_meta(plan, head, finish));
    (response.text, response.reasoning) = (text, reasoning);
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
    let mut response = response.into_result(plan.accepts_cut())?;
    match whole_calls(kind, calls) {
        Ok(calls) => response.tool_calls = calls,
        Err(error) => {
            let partial = Partial::new(response.text, response.reasoning);
            return Err(error.with_status(head.status).with_partial(partial));
        }
    }
    Ok(response)
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

fn answer(
    mut choice: Choice<'_>,
    mut parts: TextParts,
    is_cut: bool,
    is_repaired: bool,
) -> (String, String, Vec<CallPiece>) {
    let mut halves = Halves::of_reply(is_repaired);
    let mut delta = choice.take_delta().unwrap_or_default();
    let mut events = Events::new();
    if let Some(reasoning) = delta.take_reasoning() {
        parts.push_reasoning(halves.reasoning(reasoning), &mut events);
    }
    if let Some(text) = delta.content.non_empty() {
        parts.push_text(halves.text(text), &mut events);
    }
    let [text, reasoning] = halves.finish();
    if let Some(reasoning) = reasoning {
        parts.push_reasoning(reasoning, &mut events);
    }
    if let Some(text) = text {
        parts.push_text(text, &mut events);
    }
    parts.finish(is_cut, &mut events);
    let (mut text, mut reasoning) = (String::new(), String::new());
    for event in events {
        match event {
            StreamEvent::Text(piece) => text.push_str(&piece),
            StreamEvent::Reasoning(piece) => reasoning.push_str(&piece),
            _ => {}
        }
    }
    (text, reasoning, delta.tool_calls.0.into_iter().map(|call| halves.piece(call.into_piece())).collect())
}
