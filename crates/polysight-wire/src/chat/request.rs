//! Writes the parts of a chat-completions request that vendors share.

use polysight_core::catalog::GreedyForm;
use polysight_core::media::VideoSource;
use polysight_core::{
    ChatRequest, Image, ImageFormat, MediaSource, Message, MessageRole, ModelCard, Part, ResponseFormat,
    Sampling, ToolChoice, Video, VideoFormat,
};
use serde_json::{Map, Value, json};

use super::CHAT_TEMPLATE_KWARGS;
use crate::Mode;
use crate::body::{Array, Object};

/// How a vendor wants the parts of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageShape {
    /// Pictures inside the request as data URIs (true) or as bare base64 (false).
    pub image_data_uri: bool,
    /// Videos inside the request as data URIs (true) or as bare base64 (false).
    pub video_data_uri: bool,
    /// Whether a video's fps stands inside `video_url` (true) or beside it (false).
    pub fps_inside: bool,
    /// How lists of frames are written.
    pub frames: FramesShape,
    /// Whether reasoning of earlier turns is sent back.
    pub replay_reasoning: bool,
    /// Whether reasoning is sent back while the model's tool calls are being answered.
    pub replay_in_tool_loop: bool,
    /// Whether `fps` and pixel budgets are written at all.
    pub part_hints: bool,
    /// Whether an assistant's turn that holds tool calls and no text has null for its content (true), or no content (false).
    pub null_content: bool,
}

impl MessageShape {
    /// Data URIs throughout, hints beside their media, no lists of frames, no reasoning sent back, null beside tool calls.
    #[must_use]
    pub fn new() -> Self {
        Self {
            image_data_uri: true,
            video_data_uri: true,
            fps_inside: false,
            frames: FramesShape::None,
            replay_reasoning: false,
            replay_in_tool_loop: false,
            part_hints: true,
            null_content: true,
        }
    }

    /// Data URIs or bare base64 as the model's card says, and as `data_uri` says where the card does not.
    #[must_use]
    pub fn of_card(card: &ModelCard, data_uri: bool) -> Self {
        let of_image = card.image.limits().and_then(|limits| limits.data_uri);
        let of_video = card.video.limits().and_then(|limits| limits.data_uri);
        Self {
            image_data_uri: of_image.unwrap_or(data_uri),
            video_data_uri: of_video.unwrap_or(data_uri),
            ..Self::new()
        }
    }
}

impl Default for MessageShape {
    fn default() -> Self {
        Self::new()
    }
}

/// How a list of frames is written as a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramesShape {
    /// Not offered: the catalogues refuse lists before. A card of the user's own that declares them gets
    /// [`VideoArray`](Self::VideoArray).
    None,
    /// `{"type": "video", "video": [url, ..], "fps": n}`.
    VideoArray,
    /// `{"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,F1,F2,.."}}`: JPEG frames inside the request.
    JpegDataUri,
}

/// Writes `messages`.
pub fn messages(root: &mut Object<'_>, request: &ChatRequest, shape: &MessageShape) {
    let loop_start = tool_loop_start(request);
    root.array("messages", |list| {
        for (index, message) in request.messages.iter().enumerate() {
            let replay = shape.replay_reasoning || (shape.replay_in_tool_loop && index >= loop_start);
            match message.role {
                MessageRole::Tool => tool_results(list, message),
                _ => list.object(|fields| write_message(fields, message, shape, replay)),
            }
        }
    });
}

/// Index of the first message of the turn in which the model's tool calls are being answered; the number of messages
/// when the last one is no tool result.
#[must_use]
pub fn tool_loop_start(request: &ChatRequest) -> usize {
    let is_open = request.messages.last().is_some_and(|message| message.role == MessageRole::Tool);
    let asked = request.messages.iter().rposition(|message| message.role == MessageRole::User);
    if is_open { asked.map_or(0, |place| place + 1) } else { request.messages.len() }
}

/// One message on the wire for each result.
fn tool_results(list: &mut Array<'_>, message: &Message) {
    for part in &message.parts {
        if let Part::ToolResult(result) = part {
            list.object(|fields| {
                fields.field("role", MessageRole::Tool.name());
                fields.field("tool_call_id", &result.call_id);
                fields.field("content", &result.content);
            });
        }
    }
}

fn write_message(fields: &mut Object<'_>, message: &Message, shape: &MessageShape, replay: bool) {
    fields.field("role", message.role.name());
    if message.role == MessageRole::Assistant && replay {
        let reasoning: String = message.parts.iter().filter_map(reasoning_of).collect();
        fields.optional("reasoning_content", Some(reasoning).filter(|text| !text.is_empty()));
    }
    let has_media = message.parts.iter().any(|part| matches!(part, Part::Image(_) | Part::Video(_)));
    let has_calls = message.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let mut texts = message.parts.iter().filter_map(text_of);
    let is_list = has_media
        || message.parts.iter().any(|part| matches!(part, Part::CacheMark))
        || (message.role == MessageRole::User && texts.clone().count() > 1);
    if is_list {
        fields.array("content", |parts| {
            for (part, is_marked) in with_marks(message) {
                write_part(parts, part, shape, is_marked);
            }
        });
    } else {
        match (texts.next(), texts.next()) {
            (None, _) if has_calls && shape.null_content => fields.field("content", &Value::Null),
            (None, _) if has_calls => {}
            (Some(only), None) => fields.field("content", only),
            (None, _) => fields.field("content", ""),
            (Some(_), Some(_)) => fields.field("content", &joined(message)),
        }
    }
    tool_calls(fields, message);
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        _ => None,
    }
}

fn reasoning_of(part: &Part) -> Option<&str> {
    match part {
        Part::Reasoning(text) => Some(text),
        _ => None,
    }
}

/// Several text parts as one text, each on a line of its own: vendors take lists of parts from users only.
fn joined(message: &Message) -> String {
    message.parts.iter().filter_map(text_of).collect::<Vec<_>>().join("\n")
}

/// The parts of a message, each with whether a cache mark stands behind it.
pub fn with_marks(message: &Message) -> impl Iterator<Item = (&Part, bool)> {
    let next = message.parts.iter().skip(1).map(Some).chain([None]);
    message.parts.iter().zip(next.map(|part| matches!(part, Some(Part::CacheMark))))
}

/// Writes the mark that ends what a prompt cache should keep.
pub fn cache_mark(fields: &mut Object<'_>, is_marked: bool) {
    if is_marked {
        fields.field("cache_control", &json!({"type": "ephemeral"}));
    }
}

fn write_part(parts: &mut Array<'_>, part: &Part, shape: &MessageShape, is_marked: bool) {
    let write: &dyn Fn(&mut Object<'_>) = match part {
        Part::Text(text) => &|fields| {
            fields.field("type", "text");
            fields.field("text", text);
        },
        Part::Image(image) => &|fields| write_image(fields, image, shape),
        Part::Video(video) => &|fields| write_video(fields, video, shape),
        _ => return,
    };
    parts.object(|fields| {
        write(fields);
        cache_mark(fields, is_marked);
    });
}

/// Writes the tool calls of a message, where it has any.
pub fn tool_calls(fields: &mut Object<'_>, message: &Message) {
    let calls = message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    });
    if calls.clone().next().is_none() {
        return;
    }
    fields.array("tool_calls", |list| {
        for call in calls {
            list.object(|fields| {
                fields.field("id", &call.id);
                fields.field("type", "function");
                fields.object("function", |function| {
                    function.field("name", &call.name);
                    function.field("arguments", &call.arguments);
                });
            });
        }
    });
}

fn write_image(fields: &mut Object<'_>, image: &Image, shape: &MessageShape) {
    fields.field("type", "image_url");
    fields.object("image_url", |inner| {
        media(inner, "url", image.source(), shape.image_data_uri, image_type(image));
        inner.optional("detail", image.detail().map(<&str>::from));
    });
    if shape.part_hints {
        fields.optional("min_pixels", image.min_pixels());
        fields.optional("max_pixels", image.max_pixels());
    }
}

fn write_video(fields: &mut Object<'_>, video: &Video, shape: &MessageShape) {
    match video.source() {
        VideoSource::Whole(source) => {
            fields.field("type", "video_url");
            let media_type = video.info().map_or(VideoFormat::Mp4, |info| info.format).media_type();
            fields.object("video_url", |inner| {
                media(inner, "url", source, shape.video_data_uri, media_type);
                inner.optional("fps", video.fps().filter(|_| shape.fps_inside && shape.part_hints));
            });
        }
        VideoSource::Frames(frames) if shape.frames == FramesShape::JpegDataUri => {
            fields.field("type", "video_url");
            let sources: Vec<&MediaSource> = frames.iter().map(Image::source).collect();
            fields.object("video_url", |inner| inner.base64_list("url", "data:video/jpeg;base64,", &sources));
        }
        VideoSource::Frames(frames) => {
            fields.field("type", "video");
            fields.array("video", |list| {
                for frame in frames {
                    write_frame(list, frame, shape);
                }
            });
        }
        _ => {}
    }
    if shape.part_hints {
        fields.optional("fps", video.fps().filter(|_| !shape.fps_inside));
        fields.optional("min_pixels", video.min_pixels());
        fields.optional("max_pixels", video.max_pixels());
        fields.optional("total_pixels", video.total_pixels());
    }
}

fn write_frame(list: &mut Array<'_>, frame: &Image, shape: &MessageShape) {
    match frame.source() {
        MediaSource::Url(url) => list.value(url.as_str()),
        source => list.base64(&prefix(shape.image_data_uri, image_type(frame)), source),
    }
}

/// A picture's media type; that of a URL is never written.
#[must_use]
pub fn image_type(image: &Image) -> &'static str {
    image.info().map_or(ImageFormat::Jpeg, |info| info.format).media_type()
}

/// Writes where a medium is: a URL as it is, anything else as base64 that is read when it is sent.
pub fn media(fields: &mut Object<'_>, key: &str, source: &MediaSource, data_uri: bool, media_type: &str) {
    match source {
        MediaSource::Url(url) => fields.field(key, url.as_str()),
        source => fields.base64(key, &prefix(data_uri, media_type), source),
    }
}

/// The head of a data URI, or nothing.
#[must_use]
pub fn prefix(data_uri: bool, media_type: &str) -> String {
    if data_uri { format!("data:{media_type};base64,") } else { String::new() }
}

/// Writes sampling settings; greedy sampling in the form that the vendor has for it.
pub fn sampling(root: &mut Object<'_>, sampling: &Sampling, greedy: GreedyForm) {
    match sampling {
        Sampling::Default => {}
        Sampling::Greedy => match greedy {
            GreedyForm::DoSample => root.field("do_sample", &false),
            GreedyForm::TopK => root.field("top_k", &1),
            _ => root.field("temperature", &0.0),
        },
        Sampling::Random(random) => {
            root.optional("temperature", random.temperature);
            root.optional("top_p", random.top_p);
            root.optional("top_k", random.top_k);
            root.optional("presence_penalty", random.presence_penalty);
            root.optional("frequency_penalty", random.frequency_penalty);
            root.optional("repetition_penalty", random.repetition_penalty);
        }
        _ => {}
    }
}

/// Writes `stop`, always as a list.
pub fn stop(root: &mut Object<'_>, request: &ChatRequest) {
    if !request.stop.is_empty() {
        root.field("stop", &request.stop);
    }
}

/// Writes `response_format` unless it is plain text.
pub fn response_format(root: &mut Object<'_>, request: &ChatRequest) {
    match &request.response_format {
        ResponseFormat::JsonObject => root.field("response_format", &json!({"type": "json_object"})),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let inner = json!({"name": name, "schema": schema, "strict": strict});
            root.field("response_format", &json!({"type": "json_schema", "json_schema": inner}));
        }
        _ => {}
    }
}

/// Writes `tools`, `tool_choice` and `parallel_tool_calls` when there are tools.
pub fn tools(root: &mut Object<'_>, request: &ChatRequest) {
    if request.tools.is_empty() {
        return;
    }
    root.array("tools", |list| {
        for tool in &request.tools {
            list.object(|fields| {
                fields.field("type", "function");
                fields.object("function", |function| {
                    function.field("name", &tool.name);
                    function.field("description", &tool.description);
                    function.field("parameters", &tool.parameters);
                });
            });
        }
    });
    match &request.tool_choice {
        ToolChoice::None => root.field("tool_choice", "none"),
        ToolChoice::Required => root.field("tool_choice", "required"),
        ToolChoice::Function(name) => {
            root.field("tool_choice", &json!({"type": "function", "function": {"name": name}}));
        }
        _ => root.field("tool_choice", "auto"),
    }
    root.optional("parallel_tool_calls", request.parallel_tool_calls);
}

/// Writes `stream`, and asks for usage where the vendor sends it only then.
pub fn stream(root: &mut Object<'_>, mode: Mode, ask_for_usage: bool) {
    if mode == Mode::Stream {
        root.field("stream", &true);
        if ask_for_usage {
            root.field("stream_options", &json!({"include_usage": true}));
        }
    }
}

/// Writes the vendor's own options as they are.
pub fn extras(root: &mut Object<'_>, fields: Option<&Map<String, Value>>) {
    for (key, value) in fields.into_iter().flatten() {
        root.field(key, value);
    }
}

/// Writes a request's options of one vendor as they are, except those that are sent in another form.
pub fn extras_except(root: &mut Object<'_>, request: &ChatRequest, vendor: &str, others: &[&str]) {
    for (key, value) in request.extras.get(vendor).into_iter().flatten() {
        if !others.contains(&key.as_str()) {
            root.field(key, value);
        }
    }
}

/// The caller's own arguments of the chat template, as a field of the body; empty where there are none.
#[must_use]
pub fn template_kwargs(request: &ChatRequest, vendor: &str) -> Map<String, Value> {
    let own = request.extras.get(vendor).and_then(|extras| extras.get(CHAT_TEMPLATE_KWARGS)?.as_object());
    let own = own.filter(|own| !own.is_empty());
    own.map(|own| (CHAT_TEMPLATE_KWARGS.to_owned(), own.clone().into())).into_iter().collect()
}
