//! One question and its answer.

use polysight_core::{
    ChatRequest, ChatResponse, ChatStream, FinishKind, FinishReason, Plan, ResponseMeta, Result, Rung,
    StreamCollector, StreamEvent, VisionProvider,
};
use serde_json::Value;

use super::typed::typed;
use super::{ExtractFault, ShowField};
use crate::json::{FieldReader, JsonRepair, StreamGuard, Unreadable, Verdict, find_json};
use crate::{Schema, no_end};

/// Gets an answer; one that loses itself is cut off where it streams. OCR tasks give what they filled in to plain calls only.
pub(super) async fn ask<P>(
    provider: &P,
    request: &ChatRequest,
    streamed: bool,
    show: Option<&ShowField>,
) -> Result<ChatResponse>
where
    P: VisionProvider + ?Sized,
{
    let plan = provider.plan(request)?;
    if !streamed || plan.rung == Some(Rung::OcrTask) {
        return provider.send(plan).await;
    }
    let facts = Facts::of(&plan);
    facts.collect(provider.stream(plan).await?, show).await
}

/// What stands in the meta of an answer that was cut off before its end.
struct Facts {
    provider: String,
    model: String,
    rung: Option<Rung>,
}

impl Facts {
    fn of(plan: &Plan) -> Self {
        Self { provider: plan.provider.name.to_string(), model: plan.model().to_owned(), rung: plan.rung }
    }

    async fn collect(self, mut stream: ChatStream, show: Option<&ShowField>) -> Result<ChatResponse> {
        let mut collected = StreamCollector::new();
        let (mut guards, mut fields) = (Guards::default(), FieldReader::new());
        while let Some(event) = stream.next_event().await {
            match event {
                Ok(StreamEvent::End(end)) => return Ok(collected.complete(*end)),
                Ok(event) => {
                    let verdict = guards.push(&event);
                    if let Some(show) = show {
                        fields.push(json_of(&event)).iter().for_each(|(name, value)| show(name, value));
                    }
                    collected.add(event);
                    if verdict != Verdict::Continue {
                        return Ok(collected.complete(self.cut()));
                    }
                }
                Err(error) => return Err(collected.interrupted(error)),
            }
        }
        Err(collected.interrupted(no_end()))
    }

    fn cut(self) -> ResponseMeta {
        let mut meta =
            ResponseMeta::new(self.provider, self.model, FinishReason::new(FinishKind::Other, "cut off"));
        meta.rung = self.rung;
        meta
    }
}

/// Watches text and arguments, each by itself.
#[derive(Default)]
struct Guards {
    text: StreamGuard,
    arguments: StreamGuard,
}

impl Guards {
    fn push(&mut self, event: &StreamEvent) -> Verdict {
        match event {
            StreamEvent::Text(piece) => self.text.push(piece),
            StreamEvent::ToolCall(delta) => self.arguments.push(&delta.arguments),
            _ => Verdict::Continue,
        }
    }
}

/// The piece of the answer's JSON that an event holds.
fn json_of(event: &StreamEvent) -> &str {
    match event {
        StreamEvent::Text(piece) => piece,
        StreamEvent::ToolCall(delta) => &delta.arguments,
        _ => "",
    }
}

/// What an answer says: the arguments of the call that takes it, else its text.
pub(super) fn said<'r>(response: &'r ChatResponse, name: &str) -> &'r str {
    match response.tool_calls.iter().find(|call| call.name == name) {
        Some(call) => &call.arguments,
        None => &response.text,
    }
}

/// The value of an answer: the last one in it that fits the schema.
pub(super) fn read(
    response: &ChatResponse,
    schema: &Schema,
) -> std::result::Result<(Value, Vec<JsonRepair>), ExtractFault> {
    // Judged by the whole text, so that it comes to the same however the answer was cut into pieces.
    let (text, verdict) = StreamGuard::cut(said(response, schema.name()));
    let truncated = response.finish.kind == FinishKind::Length;
    let is_form = response.rung == Some(Rung::OcrTask);
    read_text(text, schema, truncated, is_form).map_err(|fault| match verdict {
        Verdict::Continue if truncated => ExtractFault::Truncated,
        Verdict::Continue => fault,
        verdict => ExtractFault::CutOff(verdict),
    })
}

fn read_text(
    text: &str,
    schema: &Schema,
    truncated: bool,
    is_form: bool,
) -> std::result::Result<(Value, Vec<JsonRepair>), ExtractFault> {
    let mut found = find_json(text).map_err(ExtractFault::Unreadable)?;
    // Brackets that are missing where the token limit cut the answer may have held more.
    found.retain(|found| !truncated || !found.repairs.contains(&JsonRepair::MissingBracket));
    let mut fault = ExtractFault::Unreadable(Unreadable::Incomplete);
    for (index, mut found) in found.into_iter().rev().enumerate() {
        if is_form && typed(&mut found.value, schema.json()) {
            found.repairs.push(JsonRepair::TypedText);
        }
        let arguments = arguments(&found.value).cloned();
        match schema.check(found.value) {
            Ok(value) => return Ok((value, found.repairs)),
            Err(faults) if index == 0 => fault = ExtractFault::Schema(faults),
            Err(_) => {}
        }
        if let Some(value) = arguments.and_then(|arguments| schema.check(arguments).ok()) {
            return Ok((value, found.repairs));
        }
    }
    Err(fault)
}

/// The arguments of a call that the model wrote as text.
fn arguments(value: &Value) -> Option<&Value> {
    let fields = value.as_object().filter(|fields| fields.len() <= 3)?;
    fields.get("name")?.as_str()?;
    fields.get("arguments").filter(|arguments| arguments.is_object())
}
