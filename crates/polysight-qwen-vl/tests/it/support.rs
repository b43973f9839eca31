//! Providers without a server, and replies read in pieces.

use http::HeaderMap;
use polysight_core::{ApiKey, ChatRequest, Image, Plan, ResponseMeta, Result, StreamEvent, VisionProvider};
use polysight_qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight_wire::sse::SseReader;
use polysight_wire::{Dialect, Events, Mode, Progress, ProviderOptions, ReplyHead, WireRequest};
use serde_json::Value;

/// A PNG of 16 x 16 pixels.
pub(crate) const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

pub(crate) fn options() -> ProviderOptions {
    ProviderOptions::new("qwen").with_api_key(ApiKey::new("sk-test").unwrap())
}

pub(crate) fn vendor(protocol: Protocol) -> QwenVl {
    QwenVl::new(options(), &QwenVlSettings::new().with_protocol(protocol)).unwrap()
}

pub(crate) fn deployment(name: &str) -> QwenVl {
    let options = options().with_deployment(name).with_base_url("https://host.example/v1".parse().unwrap());
    QwenVl::new(options, &QwenVlSettings::new()).unwrap()
}

pub(crate) fn plan(provider: &QwenVl, request: ChatRequest) -> Plan {
    provider.plan(&request).unwrap()
}

pub(crate) fn encoded(provider: &QwenVl, request: ChatRequest, mode: Mode) -> WireRequest {
    provider.inner().dialect().encode(&plan(provider, request), mode).unwrap()
}

pub(crate) fn body(provider: &QwenVl, request: ChatRequest, mode: Mode) -> Value {
    let body = encoded(provider, request, mode).body;
    let bytes = body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, body.len(), "the length promised");
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn image(url: &str) -> Image {
    Image::from_url(url).unwrap()
}

pub(crate) fn png() -> Image {
    Image::from_base64(PNG_BASE64).unwrap()
}

/// 2 and 2.0 are the same number of JSON.
pub(crate) fn normalised(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(items) => items.into_iter().map(normalised).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, normalised(value))).collect(),
        other => other,
    }
}

pub(crate) fn head(status: u16, headers: &[(&'static str, &'static str)]) -> ReplyHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().unwrap());
    }
    ReplyHead::new(status, map)
}

/// What a stream gave: its events made into lines, and how it ended.
pub(crate) struct Read {
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) end: Result<ResponseMeta>,
}

impl Read {
    pub(crate) fn text(&self) -> String {
        self.events.iter().fold(String::new(), |mut all, event| {
            if let StreamEvent::Text(piece) = event {
                all.push_str(piece);
            }
            all
        })
    }

    pub(crate) fn reasoning(&self) -> String {
        self.events.iter().fold(String::new(), |mut all, event| {
            if let StreamEvent::Reasoning(piece) = event {
                all.push_str(piece);
            }
            all
        })
    }
}

/// Reads a stream that arrives in these pieces.
pub(crate) fn read(provider: &QwenVl, plan: &Plan, pieces: &[&[u8]]) -> Read {
    let mut decoder =
        provider.inner().dialect().decoder(plan, &head(200, &[("content-type", "text/event-stream")]));
    let mut sse = SseReader::default();
    let mut events = Events::new();
    let mut drain = |sse: &mut SseReader, events: &mut Events| -> Result<bool> {
        while let Some(item) = sse.next_item().unwrap() {
            if decoder.read(item, events)? == Progress::Done {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut fed = Ok(false);
    for piece in pieces {
        sse.push(bytes::Bytes::copy_from_slice(piece));
        fed = drain(&mut sse, &mut events);
        if !matches!(fed, Ok(false)) {
            break;
        }
    }
    if matches!(fed, Ok(false)) {
        sse.finish();
        fed = drain(&mut sse, &mut events);
    }
    let end = fed.and_then(|_| decoder.finish(&mut events));
    Read { events: events.into(), end }
}

/// Reads a stream cut at every byte, asserts that all cuts give the same, and gives that.
pub(crate) fn read_however_cut(provider: &QwenVl, plan: &Plan, stream: &str) -> Read {
    let bytes = stream.as_bytes();
    let whole = read(provider, plan, &[bytes]);
    let shown = |read: &Read| {
        let end = match &read.end {
            Ok(end) => format!("{end:?}"),
            Err(error) => format!("{error:?}"),
        };
        format!("{:?} {end}", read.events)
    };
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(shown(&read(provider, plan, &[left, right])), shown(&whole), "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(shown(&read(provider, plan, &single)), shown(&whole), "byte by byte");
    whole
}
