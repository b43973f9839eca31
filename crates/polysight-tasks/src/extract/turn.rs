//! One question and its answer.

use polysight_core::{
    ChatRequest, ChatResponse, ChatStream, FinishKind, FinishReason, Plan, ResponseMeta, Result, Rung,
    StreamCollector, StreamEvent, VisionProvider,
};
use serde_json::Value;

use super::{ExtractFault, ShowField};
use crate::json::{FieldReader, JsonRepair, StreamGuard, Unreadable, Verdict, find_json};
use crate::{Schema, no_end};

/// An answer, and why it was cut off.
pub(super) struct Answer {
    pub(super) response: ChatResponse,
    cut: Option<Verdict>,
}

pub(super) async fn ask<P>(
    provider: &P,
    request: &ChatRequest,
    streamed: bool,
    show: Option<&ShowField>,
) -> Result<Answer>
where
    P: VisionProvider + ?Sized,
{
    let plan = provider.plan(request)?;
    if !streamed {
        return Ok(Answer { response: provider.send(plan).await?, cut: None });
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

    async fn collect(self, mut stream: ChatStream, show: Option<&ShowField>) -> Result<Answer> {
        let mut collected = StreamCollector::new();
        let (mut guard, mut fields) = (StreamGuard::new(), FieldReader::new());
        while let Some(event) = stream.next_event().await {
            match event {
                Ok(StreamEvent::End(end)) => {
                    return Ok(Answer { response: collected.complete(*end), cut: None });
                }
                Ok(event) => {
                    let piece = json_of(&event);
                    let verdict = guard.push(piece);
                    if let Some(show) = show {
                        fields.push(piece).iter().for_each(|(name, value)| show(name, value));
                    }
                    collected.add(event);
                    if verdict != Verdict::Continue {
                        return Ok(Answer { response: collected.complete(self.cut()), cut: Some(verdict) });
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

/// The piece of the answer's JSON that an event holds.
fn json_of(event: &StreamEvent) -> &str {
    match event {
        StreamEvent::Text(piece) => piece,
        StreamEvent::ToolCall(delta) => &delta.arguments,
        _ => "",
    }
}

/// The value of an answer: the last one in it that fits the schema.
pub(super) fn read(
    answer: &Answer,
    schema: &Schema,
) -> std::result::Result<(Value, Vec<JsonRepair>), ExtractFault> {
    let text = match answer.response.tool_calls.iter().find(|call| call.name == schema.name()) {
        Some(call) => &call.arguments,
        None => &answer.response.text,
    };
    let truncated = answer.response.finish.kind == FinishKind::Length;
    read_text(text, schema, truncated).map_err(|fault| match (&fault, answer.cut) {
        (_, Some(verdict)) => ExtractFault::CutOff(verdict),
        _ if truncated => ExtractFault::Truncated,
        _ => fault,
    })
}

fn read_text(
    text: &str,
    schema: &Schema,
    truncated: bool,
) -> std::result::Result<(Value, Vec<JsonRepair>), ExtractFault> {
    let mut found = find_json(text).map_err(ExtractFault::Unreadable)?;
    // Brackets that are missing where the token limit cut the answer may have held more.
    found.retain(|found| !truncated || !found.repairs.contains(&JsonRepair::MissingBracket));
    let mut fault = ExtractFault::Unreadable(Unreadable::Incomplete);
    for (index, found) in found.into_iter().rev().enumerate() {
        match schema.check(bare(found.value, schema)) {
            Ok(value) => return Ok((value, found.repairs)),
            Err(faults) if index == 0 => fault = ExtractFault::Schema(faults),
            Err(_) => {}
        }
    }
    Err(fault)
}

/// The arguments of a call that the model wrote as text.
fn bare(value: Value, schema: &Schema) -> Value {
    let named = value.get("name").and_then(Value::as_str) == Some(schema.name());
    match value {
        Value::Object(mut fields) if named && fields.len() <= 3 => match fields.remove("arguments") {
            Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Some(arguments) => arguments,
            None => Value::Object(fields),
        },
        value => value,
    }
}
