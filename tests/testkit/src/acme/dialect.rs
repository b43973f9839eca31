//! Requests out, replies in.

use bytes::Bytes;
use polysight_core::media::VideoSource;
use polysight_core::plan::{PixelSize, PlanBuilder};
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, Estimate, Image, MediaSource, Message, MessageRole, ModelCard,
    Part, Plan, ProviderId, ResponseFormat, Result, Sampling, Thinking,
};
use polysight_wire::body::{Array, Object};
use polysight_wire::{Dialect, JsonBody, Mode, ReplyHead, StreamDecoder, WireRequest};
use serde_json::{Value, json};
use url::Url;

use super::decoder::AcmeDecoder;
use super::{errors, reply};

/// The vendor's wire, as pure functions.
#[derive(Debug)]
pub struct AcmeDialect {
    pub(super) id: ProviderId,
    pub(super) catalog: Catalog,
    pub(super) model: String,
    pub(super) url: Url,
    pub(super) patience: Option<u32>,
}

impl Dialect for AcmeDialect {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn default_model(&self) -> Option<&str> {
        Some(&self.model)
    }

    fn check(&self, _: &mut PlanBuilder) {}

    fn estimate(&self, _: &ChatRequest, _: &ModelCard) -> Estimate {
        Estimate::default()
    }

    fn seen_size(&self, _: &ChatRequest, _: &ModelCard, _: &Image) -> Option<PixelSize> {
        None
    }

    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        let request = &plan.request;
        let body = JsonBody::object(|root| {
            root.field("eye", plan.model());
            root.optional("ticket", request.request_id.as_deref());
            root.optional("patience", self.patience);
            root.optional("heat", heat(request.sampling));
            root.optional("words", request.max_tokens);
            root.optional("until", Some(&request.stop).filter(|texts| !texts.is_empty()));
            root.optional("ponder", ponder(request.thinking));
            root.optional("form", (request.response_format == ResponseFormat::JsonObject).then_some("json"));
            root.field("drip", &(mode == Mode::Stream));
            let tools = request
                .tools
                .iter()
                .map(|tool| json!({"tool": tool.name, "does": tool.description, "takes": tool.parameters}));
            root.field("tools", &tools.collect::<Vec<_>>());
            root.array("turns", |turns| {
                for message in &request.messages {
                    turns.object(|turn| write_turn(turn, message));
                }
            });
        })?;
        Ok(WireRequest::new(self.url.clone(), body))
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        reply::decode(&self.id, plan, head, body)
    }

    fn decode_error(&self, head: &ReplyHead, body: &[u8]) -> Error {
        errors::error_of(head, body)
    }

    fn decoder(&self, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder> {
        Box::new(AcmeDecoder::new(&self.id, plan, head))
    }
}

/// The temperature is `heat` here, in whole tenths; greedy sampling is no heat at all.
fn heat(sampling: Sampling) -> Option<u32> {
    match sampling {
        Sampling::Greedy => Some(0),
        Sampling::Random(random) => random.temperature.map(|heat| (heat * 10.0).round() as u32),
        _ => None,
    }
}

fn ponder(thinking: Thinking) -> Option<bool> {
    match thinking {
        Thinking::On => Some(true),
        Thinking::Off => Some(false),
        _ => None,
    }
}

fn write_turn(turn: &mut Object<'_>, message: &Message) {
    turn.field(
        "by",
        match message.role {
            MessageRole::System => "guide",
            MessageRole::User => "asker",
            MessageRole::Assistant => "eye",
            _ => "hand",
        },
    );
    turn.array("has", |parts| {
        for part in &message.parts {
            write_part(parts, part);
        }
    });
}

fn write_part(parts: &mut Array<'_>, part: &Part) {
    match part {
        Part::Text(text) => parts.object(|fields| fields.field("say", text)),
        Part::Image(image) => parts.object(|fields| write_medium(fields, "photo", image.source())),
        Part::Video(video) => match video.source() {
            VideoSource::Whole(source) => parts.object(|fields| write_medium(fields, "film", source)),
            VideoSource::Frames(frames) => parts.object(|fields| write_stills(fields, frames)),
            _ => {}
        },
        Part::ToolCall(call) => parts.object(|fields| {
            let with: Value = call.parse().unwrap_or_default();
            fields.field("asks", &json!({"no": call.id, "tool": call.name, "with": with}));
        }),
        Part::ToolResult(result) => parts.object(|fields| {
            fields.field("brings", &json!({"no": result.call_id, "text": result.content}));
        }),
        _ => {}
    }
}

fn write_medium(fields: &mut Object<'_>, name: &str, source: &MediaSource) {
    match source {
        MediaSource::Url(url) => fields.field(name, &json!({"at": url})),
        source => fields.object(name, |medium| medium.base64("raw", "", source)),
    }
}

fn write_stills(fields: &mut Object<'_>, frames: &[Image]) {
    fields.array("stills", |stills| {
        for frame in frames {
            match frame.source() {
                MediaSource::Url(url) => stills.value(&json!({"at": url})),
                source => stills.object(|medium| medium.base64("raw", "", source)),
            }
        }
    });
}
