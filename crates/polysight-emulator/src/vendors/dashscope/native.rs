//! Answers in the shape of the native path.

use super::compatible::{completion_details, prompt_details, with_cache, with_ids};
use crate::chat::completion::{Completion, Usage};
use crate::chat::render::{deltas, tool_calls};
use crate::http::PieceKind;
use crate::json::Json;
use crate::request_body::parse_json;
use crate::tokens;
use crate::tokens::image_tokens::Size;

/// The body of a plain reply; `sizes` are those of the pictures after resizing, if they were asked for. The values of a form
/// stand beside its text, in plain replies alone.
pub(super) fn whole(completion: &Completion, sizes: Option<&[Size]>, is_form: bool) -> Json {
    let mut content = text(&completion.content);
    if let Some(part) = content.first_mut().filter(|_| is_form)
        && let Some(values) = form_values(&completion.content)
    {
        part.set("ocr_result", Json::object([("kv_result", values)]));
    }
    content.extend(sizes.map(image_hw));
    let message = message(content)
        .with("reasoning_content", completion.reasoning.as_deref())
        .with("tool_calls", tool_calls(&completion.calls));
    body(completion, completion.finish.as_str(), message, completion.usage)
}

/// The events of a streamed reply, each with new text or with all text so far.
pub(super) fn chunks(
    completion: &Completion,
    sizes: Option<&[Size]>,
    incremental: bool,
) -> Vec<(PieceKind, Json)> {
    let mut writer = EventWriter { incremental, ..EventWriter::default() };
    let mut chunks: Vec<_> = deltas(completion, true)
        .into_iter()
        .map(|delta| (PieceKind::Delta, writer.event(completion, &delta)))
        .collect();
    let content = if incremental { Vec::new() } else { text(&completion.content) };
    let last = message(content.into_iter().chain(sizes.map(image_hw)).collect());
    let last = match incremental {
        true => last,
        false => last
            .with("reasoning_content", completion.reasoning.as_deref())
            .with("tool_calls", tool_calls(&completion.calls)),
    };
    chunks.push((PieceKind::Finish, body(completion, &completion.finish, last, completion.usage)));
    chunks
}

/// Keeps what has been said, for snapshots and for the usage of every event.
#[derive(Default)]
struct EventWriter {
    incremental: bool,
    content: String,
    reasoning: String,
    spent: u64,
    thought: u64,
}

impl EventWriter {
    fn event(&mut self, completion: &Completion, delta: &Json) -> Json {
        let piece = |key: &str| delta.get(key).and_then(Json::text).unwrap_or_default();
        let (content, reasoning) = (piece("content"), piece("reasoning_content"));
        self.content.push_str(content);
        self.reasoning.push_str(reasoning);
        self.thought += tokens::count(reasoning);
        self.spent += tokens::count(content) + tokens::count(reasoning);
        let (content, reasoning) =
            if self.incremental { (content, reasoning) } else { (&*self.content, &*self.reasoning) };
        let reasoning = Some(reasoning).filter(|reasoning| !reasoning.is_empty());
        let message = message(text(content))
            .with("reasoning_content", reasoning)
            .with("tool_calls", delta.get("tool_calls").cloned().map(with_ids));
        body(completion, "null", message, self.usage(completion))
    }

    /// The tokens so far, never more than in the end.
    fn usage(&self, completion: &Completion) -> Usage {
        let total = completion.usage;
        Usage {
            prompt: total.prompt,
            completion: self.spent.min(total.completion),
            reasoning: total.reasoning.map(|tokens| self.thought.min(tokens)),
        }
    }
}

fn text(text: &str) -> Vec<Json> {
    if text.is_empty() { Vec::new() } else { vec![Json::object([("text", text.into())])] }
}

/// The object in a text, whatever stands around it; `None` where it is broken.
fn form_values(content: &str) -> Option<Json> {
    let object = content.get(content.find('{')?..=content.rfind('}')?)?;
    parse_json(object.as_bytes()).json
}

fn image_hw(sizes: &[Size]) -> Json {
    let pair = |(height, width): &Size| Json::List(vec![(*height).into(), (*width).into()]);
    Json::object([("image_hw", sizes.iter().map(pair).collect::<Vec<_>>().into())])
}

fn message(content: Vec<Json>) -> Json {
    Json::object([("role", "assistant".into()), ("content", content.into())])
}

fn body(completion: &Completion, finish: &str, message: Json, spent: Usage) -> Json {
    let choice = Json::object([("finish_reason", finish.into()), ("message", message)]);
    Json::object([
        ("output", Json::object([("choices", vec![choice].into())])),
        ("usage", usage(spent)),
        ("request_id", completion.request_id.as_str().into()),
    ])
}

fn usage(usage: Usage) -> Json {
    Json::object([
        ("input_tokens", usage.prompt.total().into()),
        ("output_tokens", usage.completion.into()),
        ("total_tokens", usage.total().into()),
    ])
    .with("image_tokens", usage.prompt.image)
    .with("video_tokens", usage.prompt.video)
    .with("input_tokens_details", Some(prompt_details(usage)))
    .with("output_tokens_details", Some(completion_details(usage)))
    .with("prompt_tokens_details", Some(with_cache(Json::object([]), usage)))
}
