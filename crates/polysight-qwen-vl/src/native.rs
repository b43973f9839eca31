//! The vendor's own protocol: another envelope around the same messages and parameters.
//!
//! Content is a list of objects with one key each, out and in. Streams tell a frame's HTTP status in a comment, write
//! `"null"` as text until the answer is done, count usage up from frame to frame, and end without a mark. Source: the
//! vendor's DashScope API page, its SDKs, and recorded traffic; read 2026-11-21.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use polysight_core::media::VideoSource;
use polysight_core::{
    ChatResponse, Error, ErrorKind, FinishReason, Image, MediaSource, Message, MessageRole, Part, Partial,
    Plan, RawReply, ResponseMeta, Result, RetryAdvice, Rung, StreamEvent, TokenDetails, Usage, Video,
    VideoFormat,
};
use polysight_wire::body::{Array, Object};
use polysight_wire::chat::lenient::{ByMark, First, Indexed, List, Maybe, Text, Whole};
use polysight_wire::chat::{
    self, Arguments, CallPiece, FailureSource, Halves, StreamState, decode_failure, no_answer, read_repaired,
    reply_meta, request, unread, whole_calls,
};
use polysight_wire::json::{self, LoneHalves};
use polysight_wire::sse::{SseEvent, SseItem};
use polysight_wire::vendor::Deployment;
use polysight_wire::{Events, JsonBody, Mode, Progress, ReplyHead, StreamDecoder, WireBody};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::profile::{QwenVlProfile, Wire};
use crate::quirks;
use crate::tokens::Resized;

/// Writes the request; whether it streams is said by a header, and by wanting pieces instead of all text so far.
pub(crate) fn body(plan: &Plan, mode: Mode, deployment: &Deployment<Wire>) -> Result<WireBody> {
    let request = &plan.request;
    let extensions = quirks::extension_fields(request, &plan.card, deployment);
    JsonBody::object(|root| {
        root.field("model", plan.model());
        root.object("parameters", |parameters| {
            parameters.field("result_format", "message");
            if mode == Mode::Stream {
                parameters.field("incremental_output", &true);
            }
            request::sampling(parameters, &request.sampling, plan.card.sampling.greedy);
            parameters.optional(quirks::limit_field(plan.model(), deployment), request.max_tokens);
            request::stop(parameters, request);
            parameters.optional("seed", request.seed);
            request::response_format(parameters, request);
            request::tools(parameters, request);
            request::extras(parameters, Some(&extensions));
        });
        root.object("input", |input| input.array("messages", |list| write_messages(list, plan)));
    })
}

fn write_messages(list: &mut Array<'_>, plan: &Plan) {
    let always = quirks::preserves_thinking(&plan.request);
    let loop_start = request::tool_loop_start(&plan.request);
    for (index, message) in plan.request.messages.iter().enumerate() {
        match message.role {
            MessageRole::Tool => write_results(list, message),
            _ => list.object(|fields| write_message(fields, message, always || index >= loop_start)),
        }
    }
}

fn write_results(list: &mut Array<'_>, message: &Message) {
    for part in &message.parts {
        if let Part::ToolResult(result) = part {
            list.object(|fields| {
                fields.field("role", MessageRole::Tool.name());
                fields.field("tool_call_id", &result.call_id);
                fields.array("content", |parts| parts.object(|part| part.field("text", &result.content)));
            });
        }
    }
}

fn write_message(fields: &mut Object<'_>, message: &Message, replay: bool) {
    fields.field("role", message.role.name());
    if replay {
        let thoughts = message.parts.iter().filter_map(|part| match part {
            Part::Reasoning(text) => Some(text.as_str()),
            _ => None,
        });
        fields.optional(
            "reasoning_content",
            Some(thoughts.collect::<String>()).filter(|text| !text.is_empty()),
        );
    }
    fields.array("content", |parts| {
        request::with_marks(message).for_each(|(part, is_marked)| write_part(parts, part, is_marked));
    });
    request::tool_calls(fields, message);
}

fn write_part(parts: &mut Array<'_>, part: &Part, is_marked: bool) {
    let write: &dyn Fn(&mut Object<'_>) = match part {
        Part::Text(text) => &|fields| fields.field("text", text),
        Part::Image(image) => &|fields| {
            request::media(fields, "image", image.source(), true, request::image_type(image));
            fields.optional("min_pixels", image.min_pixels());
            fields.optional("max_pixels", image.max_pixels());
        },
        Part::Video(video) => &|fields| write_video(fields, video),
        _ => return,
    };
    parts.object(|fields| {
        write(fields);
        request::cache_mark(fields, is_marked);
    });
}

fn write_video(fields: &mut Object<'_>, video: &Video) {
    match video.source() {
        VideoSource::Whole(source) => {
            let media_type = video.info().map_or(VideoFormat::Mp4, |info| info.format).media_type();
            request::media(fields, "video", source, true, media_type);
        }
        VideoSource::Frames(frames) => {
            fields.array("video", |list| frames.iter().for_each(|frame| write_frame(list, frame)));
        }
        _ => {}
    }
    fields.optional("fps", video.fps());
    fields.optional("max_frames", video.max_frames());
    fields.optional("min_pixels", video.min_pixels());
    fields.optional("max_pixels", video.max_pixels());
    fields.optional("total_pixels", video.total_pixels());
}

fn write_frame(list: &mut Array<'_>, frame: &Image) {
    match frame.source() {
        MediaSource::Url(url) => list.value(url.as_str()),
        source => list.base64(&request::prefix(true, request::image_type(frame)), source),
    }
}

/// A whole reply or one frame of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    output: Maybe<Output<'a>>,
    usage: Maybe<UsageWire>,
    #[serde(borrow)]
    request_id: Text<'a>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// The reply itself, of gateways that wrap it.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Output<'a> {
    #[serde(borrow)]
    choices: First<Choice<'a>>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: Whole,
    #[serde(borrow)]
    message: Maybe<Answer<'a>>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    tool_calls: List<Call<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    index: Whole,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Maybe<Function<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct UsageWire {
    input_tokens: Whole,
    output_tokens: Whole,
    prompt_tokens: Whole,
    completion_tokens: Whole,
    total_tokens: Whole,
    image_tokens: Whole,
    video_tokens: Whole,
    #[serde(deserialize_with = "details")]
    input_tokens_details: DetailsWire,
    #[serde(deserialize_with = "details")]
    output_tokens_details: DetailsWire,
    #[serde(deserialize_with = "details")]
    prompt_tokens_details: DetailsWire,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct DetailsWire {
    text_tokens: Whole,
    image_tokens: Whole,
    video_tokens: Whole,
    cached_tokens: Whole,
    cache_creation_input_tokens: Whole,
    cache_type: ByMark,
    reasoning_tokens: Whole,
}

fn details<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DetailsWire, D::Error> {
    Maybe::<DetailsWire>::deserialize(deserializer).map(|found| found.0.unwrap_or_default())
}

impl UsageWire {
    /// The usage; unknown where every count is missing or zero, as servers write that do not count.
    fn usage(self) -> Option<Usage> {
        let either = |one: Whole, other: Whole| one.count().or(other.count()).unwrap_or(0);
        let input = either(self.input_tokens, self.prompt_tokens);
        let output = either(self.output_tokens, self.completion_tokens);
        let mut usage = Usage::new(input, output, self.total_tokens.count().unwrap_or(input + output));
        let (prompt, answer) = (self.input_tokens_details, self.output_tokens_details);
        let mut details = TokenDetails::default();
        details.cached = self.prompt_tokens_details.cached_tokens.count().or(prompt.cached_tokens.count());
        let by_mark = self.prompt_tokens_details.cache_type.0 || prompt.cache_type.0;
        details.cached_by_mark = details.cached.filter(|_| by_mark);
        let created = |wire: DetailsWire| wire.cache_creation_input_tokens.count();
        details.cache_creation = created(self.prompt_tokens_details).or(created(prompt));
        details.text = prompt.text_tokens.count();
        details.image = prompt.image_tokens.count().or(self.image_tokens.count());
        details.video = prompt.video_tokens.count().or(self.video_tokens.count());
        details.reasoning = answer.reasoning_tokens.count();
        usage.details = details;
        let is_counted = (input, output, usage.total_tokens) != (0, 0, 0);
        is_counted.then_some(usage)
    }
}

impl<'a> Envelope<'a> {
    /// A code means failure, whatever else is there and whatever the status says.
    fn is_failure(&self) -> bool {
        let code = self.code.as_str().is_some_and(|code| !matches!(code, "" | "0" | "200"));
        code || self.error.is_some_and(|error| error.get() != "null")
    }

    /// Itself, or the answer or error that a gateway has wrapped in it.
    fn unwrapped(self) -> Self {
        let Some(data) = self.data.filter(|_| self.output.0.is_none()) else { return self };
        match json::parse::<Self>(data.get().as_bytes()) {
            Ok(inner) if inner.output.0.is_some() || inner.usage.0.is_some() || inner.is_failure() => inner,
            _ => self,
        }
    }

    /// True for an object that has nothing of an answer, such as a sign of life.
    fn is_foreign(&self) -> bool {
        self.output.0.is_none()
            && self.usage.0.is_none()
            && self.request_id.as_str().is_none()
            && self.data.is_none()
    }

    /// The answer, and how it ended: replies in the older format say that beside the choices, and the worse one holds.
    fn into_choice(self) -> Option<(Choice<'a>, Option<FinishReason>)> {
        let output = self.output.0?;
        let choice = output.choices.0?;
        let words = [&choice.finish_reason, &output.finish_reason];
        let finish = words.into_iter().filter_map(finish_of).reduce(FinishReason::worse);
        Some((choice, finish))
    }
}

fn finish_of(word: &Text<'_>) -> Option<FinishReason> {
    let raw = word.as_str().filter(|raw| !matches!(*raw, "" | "null"))?;
    Some(FinishReason::new(chat::finish_kind(raw), raw))
}

impl Choice<'_> {
    /// True for a frame that says that others follow.
    fn goes_on(&self) -> bool {
        self.finish_reason.as_str() == Some("null")
    }
}

impl Indexed for Choice<'_> {
    fn index(&self) -> Option<u64> {
        self.index.count()
    }
}

/// Reads a plain reply of status 2xx.
pub(crate) fn decode(
    profile: &QwenVlProfile,
    plan: &Plan,
    head: &ReplyHead,
    body: &Bytes,
) -> Result<ChatResponse> {
    match json::parse::<Envelope<'_>>(body) {
        Ok(envelope) => read_envelope(profile, plan, head, body, envelope, false),
        Err(error) => decode_repaired(profile, plan, head, body, error),
    }
}

/// Reads a reply that is not quite JSON. Several documents are none of this kind: they are the frames of a stream.
fn decode_repaired(
    profile: &QwenVlProfile,
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
            let (choice, _) = envelope.unwrapped().into_choice().unwrap_or_default();
            let (text, reasoning, _) = read_answer(choice, true);
            Err(unread(head, body, error).with_partial(Partial::new(text, reasoning)))
        }
        None => Err(unread(head, body, error)),
    }
}

fn read_envelope(
    profile: &QwenVlProfile,
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
    let usage = envelope.usage.0.and_then(UsageWire::usage);
    let request_id = envelope.request_id.clone().non_empty().or_else(|| head.request_id().map(str::to_owned));
    let named = |error: Error| match &request_id {
        Some(id) => error.with_request_id(id),
        None => error,
    };
    let Some((choice, finish)) = envelope.into_choice() else {
        return Err(named(no_answer(profile, head, body)));
    };
    let goes_on = choice.goes_on();
    let (mut text, reasoning, calls) = read_answer(choice, is_repaired);
    if let Some(form) = filled_form(plan, body) {
        text = form;
    }
    // A whole answer that does not say how it ended is one all the same.
    let is_empty = text.is_empty() && calls.is_empty();
    let is_answer = !goes_on && !is_empty;
    let Some(finish) = finish.or_else(|| is_answer.then(FinishReason::unknown)) else {
        let error = Error::new(ErrorKind::Interrupted, "the reply does not say how the answer ended");
        return Err(named(error.with_status(head.status).with_partial(Partial::new(text, reasoning))));
    };
    let kind = finish.kind;
    let mut response = ChatResponse::from(reply_meta(plan, head, finish));
    (response.text, response.reasoning) = (text, reasoning);
    (response.usage, response.request_id) = (usage, request_id.clone());
    response.raw = plan.request.keep_raw.then(|| RawReply::new(vec![body.clone()]));
    let mut response = response.into_result(plan.accepts_cut())?;
    match whole_calls(kind, calls) {
        Ok(calls) => response.tool_calls = calls,
        Err(error) => {
            let partial = Partial::new(response.text, response.reasoning);
            return Err(named(error.with_status(head.status).with_partial(partial)));
        }
    }
    Ok(response)
}

/// The form that an OCR task has filled in, as JSON. The text of the answer says the same, in a fence and not always whole.
/// Source: vendor's page of Qwen-OCR.
fn filled_form(plan: &Plan, body: &Bytes) -> Option<String> {
    if plan.rung != Some(Rung::OcrTask) {
        return None;
    }
    let reply: Value = serde_json::from_slice(body).ok()?;
    let parts = reply.pointer("/output/choices/0/message/content")?.as_array()?;
    let mut forms = parts.iter().filter_map(|part| part.pointer("/ocr_result/kv_result")?.as_object());
    forms.find(|form| !form.is_empty()).and_then(|form| serde_json::to_string(form).ok())
}

/// Text, reasoning and tool calls of a whole answer.
fn read_answer(choice: Choice<'_>, is_repaired: bool) -> (String, String, Vec<CallPiece>) {
    let answer = choice.message.0.unwrap_or_default();
    let mut halves = Halves::of_reply(is_repaired);
    let mut text = halves.text(answer.content.non_empty().unwrap_or_default());
    let mut reasoning = halves.reasoning(answer.reasoning_content.non_empty().unwrap_or_default());
    let calls: Vec<_> = answer.tool_calls.0.into_iter().map(|call| halves.piece(call_piece(call))).collect();
    let [text_end, reasoning_end] = halves.finish();
    text.extend(text_end);
    reasoning.extend(reasoning_end);
    (text, reasoning, calls)
}

/// Reads the event stream of the native protocol.
pub(crate) struct NativeStreamDecoder {
    profile: Arc<QwenVlProfile>,
    state: StreamState,
    /// Status of the frame that is being read, from the comment before its data.
    status: Option<u16>,
}

impl fmt::Debug for NativeStreamDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeStreamDecoder").field("finish", &self.state.finish()).finish_non_exhaustive()
    }
}

impl NativeStreamDecoder {
    pub(crate) fn new(profile: Arc<QwenVlProfile>, plan: &Plan, head: &ReplyHead) -> Self {
        Self { profile, state: StreamState::new(plan, head), status: None }
    }

    fn read_event(&mut self, event: SseEvent<'_>, events: &mut Events) -> Result<Progress> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Progress::None);
        }
        if data.starts_with(b"[DONE]") {
            return Ok(Progress::Done);
        }
        self.read_data(data, event.name == Some(b"error"), events)
    }

    fn read_data(&mut self, data: &[u8], is_error: bool, events: &mut Events) -> Result<Progress> {
        let progress = match json::parse::<Envelope<'_>>(data) {
            Ok(envelope) if !self.state.halves.is_waiting() => {
                let is_foreign = envelope.is_foreign();
                let progress = self.read_envelope(data, envelope, is_error, events)?;
                if is_foreign {
                    return Ok(Progress::None);
                }
                self.state.keep(data);
                progress
            }
            Err(_) if is_error => return Err(self.failure(data)),
            parsed => return self.read_repaired(data, parsed.err(), events),
        };
        self.status = None;
        Ok(progress)
    }

    /// Old servers wrote no blank line between frames, so that one event may hold the data of several.
    fn read_repaired(
        &mut self,
        data: &[u8],
        error: Option<serde_json::Error>,
        events: &mut Events,
    ) -> Result<Progress> {
        let read = |decoder: &mut Self, text: &str| {
            let envelope =
                json::parse::<Envelope<'_>>(text.as_bytes()).map_err(|error| garbled(Some(error)))?;
            decoder.read_envelope(text.as_bytes(), envelope, false, events)
        };
        let progress = read_repaired(self, |decoder| &mut decoder.state, data, || garbled(error), read)?;
        if progress != Progress::None {
            self.status = None;
        }
        Ok(progress)
    }

    fn read_envelope(
        &mut self,
        text: &[u8],
        envelope: Envelope<'_>,
        is_error: bool,
        events: &mut Events,
    ) -> Result<Progress> {
        let is_error = is_error && envelope.output.0.is_none();
        let envelope = envelope.unwrapped();
        if is_error || envelope.is_failure() || (envelope.output.0.is_none() && chat::tells_failure(text)) {
            return Err(self.failure(text));
        }
        let read = events.len();
        self.read_frame(envelope, events)?;
        Ok(if events.len() > read { Progress::Event } else { Progress::Empty })
    }

    fn read_frame(&mut self, envelope: Envelope<'_>, events: &mut Events) -> Result<()> {
        if let Some(id) = envelope.request_id.clone().non_empty() {
            self.state.meta.request_id = Some(id);
        }
        if let Some(usage) = envelope.usage.0 {
            self.state.meta.usage = usage.usage().or(self.state.meta.usage);
        }
        let Some((choice, finish)) = envelope.into_choice() else { return Ok(()) };
        if choice.index().is_some_and(|index| index > 0) {
            return Ok(());
        }
        if let Some(finish) = finish {
            self.state.end_with(finish);
        }
        let Some(answer) = choice.message.0 else { return Ok(()) };
        let halves = &mut self.state.halves;
        let reasoning = answer.reasoning_content.non_empty().map(|text| halves.reasoning(text));
        let text = answer.content.non_empty().map(|text| halves.text(text));
        push(events, [text, reasoning]);
        let count = answer.tool_calls.0.len();
        for (place, call) in answer.tool_calls.0.into_iter().enumerate() {
            let delta = self.state.calls.delta(place, count, self.state.halves.piece(call_piece(call)))?;
            events.extend(delta.map(StreamEvent::ToolCall));
        }
        Ok(())
    }

    /// An error frame comes under HTTP 200; its own status stands in the comment before it.
    fn failure(&self, data: &[u8]) -> Error {
        match self.status {
            Some(status) => {
                let head = self.state.head.clone().with_status(status);
                decode_failure(&*self.profile, FailureSource::Body, &head, data)
            }
            None => decode_failure(&*self.profile, FailureSource::Stream, &self.state.head, data),
        }
    }
}

/// A frame that is no JSON: the line was damaged on its way, and the same request may succeed.
fn garbled(cause: Option<serde_json::Error>) -> Error {
    let error = Error::new(ErrorKind::Protocol, "an event of the stream is no JSON of the native protocol")
        .with_retry(RetryAdvice::After(None));
    match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// Pieces of the text and of the reasoning, which stands first.
fn push(events: &mut Events, [text, reasoning]: [Option<String>; 2]) {
    let filled = |piece: &String| !piece.is_empty();
    events.extend(reasoning.filter(filled).map(StreamEvent::Reasoning));
    events.extend(text.filter(filled).map(StreamEvent::Text));
}

fn call_piece(call: Call<'_>) -> CallPiece {
    let function = call.function.0.unwrap_or_default();
    let mut piece = CallPiece::default();
    piece.index = call.index.count().and_then(|index| usize::try_from(index).ok());
    piece.id = call.id.non_empty();
    piece.name = function.name.non_empty();
    piece.arguments = Arguments::of(function.arguments);
    piece
}

fn status_of(comment: &[u8]) -> Option<u16> {
    std::str::from_utf8(comment.strip_prefix(b"HTTP_STATUS/")?).ok()?.trim().parse().ok()
}

impl StreamDecoder for NativeStreamDecoder {
    fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
        match item {
            SseItem::Comment(comment) => {
                self.status = status_of(comment).or(self.status);
                Ok(Progress::None)
            }
            SseItem::Event(event) => self.read_event(event, events),
            // One that is not whole may be a line of a longer document.
            SseItem::NonField(line)
                if json::is_document(line) && json::documents(line, LoneHalves::Replace).cut.is_none() =>
            {
                self.read_data(line, false, events)
            }
            _ => Ok(Progress::None),
        }
    }

    fn is_complete(&self) -> bool {
        self.state.finish().is_some()
    }

    fn finish(&mut self, events: &mut Events) -> Result<ResponseMeta> {
        push(events, self.state.halves.finish());
        self.state.end()
    }
}

/// The sizes to which the vendor scaled the request's pictures, in their order; empty unless the request asked for
/// [`image_sizes`](crate::QwenVlExtras::image_sizes) and for its [raw reply](polysight_core::ChatRequest::keep_raw).
#[must_use]
pub fn image_sizes(response: &ChatResponse) -> Vec<Resized> {
    let sizes = content_values(response, "image_hw").into_iter().next_back();
    let sizes: Vec<(u32, u32)> =
        sizes.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    sizes.into_iter().map(|(height, width)| Resized { width, height }).collect()
}

/// What an OCR model gave besides text, as the vendor shapes it: `{"kv_result": {..}}` or `{"words_info": [..]}`. `None`
/// unless the request asked for an [OCR task](crate::QwenVlExtras::ocr) that gives such, and for its
/// [raw reply](polysight_core::ChatRequest::keep_raw).
#[must_use]
pub fn ocr_result(response: &ChatResponse) -> Option<Value> {
    content_values(response, "ocr_result").pop()
}

fn content_values(response: &ChatResponse, key: &str) -> Vec<Value> {
    let frames = response.raw.iter().flat_map(RawReply::frames);
    let frames = frames.flat_map(|frame| json::documents(frame, LoneHalves::Replace).texts);
    let frames = frames.filter_map(|frame| serde_json::from_str::<Value>(&frame).ok());
    let mut found = Vec::new();
    for frame in frames {
        let parts = frame.pointer("/output/choices/0/message/content").and_then(Value::as_array);
        found.extend(parts.into_iter().flatten().filter_map(|part| part.get(key).cloned()));
    }
    found
}
