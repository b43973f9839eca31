//! `cache_control`: how much of the prompt each mark asks to keep.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::parsed_request::{Request, items_of};
use crate::chat::message::{Part, Source};
use crate::json::Json;
use crate::models::QwenLimits;
use crate::state::prompt_cache::Prefix;
use crate::tokens::qwen;

/// Marks that count; of more, the last ones. Alibaba's guide of 2026.
const MOST_MARKS: usize = 4;

/// The beginnings of the prompt that end at a mark, the shortest first.
pub(super) fn prefixes(request: &Request<'_>, account: &str, model: &QwenLimits, high: bool) -> Vec<Prefix> {
    let mut hasher = DefaultHasher::new();
    (account, model.id).hash(&mut hasher);
    request.field("tools").map(Json::to_text).hash(&mut hasher);
    let raw = request.raw_messages.and_then(Json::list).unwrap_or_default();
    let (mut items, mut marks) = (Vec::new(), Vec::new());
    for (index, (message, raw)) in request.messages().iter().zip(raw).enumerate() {
        message.role.hash(&mut hasher);
        for item in items_of(message, raw) {
            hash_part(item.part, &mut hasher);
            items.push(item);
            if item.has_cache_mark() {
                marks.push((hasher.finish(), items.len(), index + 1));
            }
        }
    }
    let last = marks.len().saturating_sub(MOST_MARKS);
    let prefix = |(key, parts, messages): (u64, usize, usize)| {
        let kept = items.get(..parts).unwrap_or_default();
        Prefix { key, tokens: qwen::prompt(kept, messages, model, high).total() }
    };
    marks.drain(last..).map(prefix).collect()
}

fn hash_part(part: Part<'_>, hasher: &mut DefaultHasher) {
    let mut hash_source = |source: Source<'_>| match source {
        Source::Inline(medium) => medium.sha256.hash(hasher),
        Source::Link(link) => link.hash(hasher),
    };
    match part {
        Part::Picture(source) | Part::Video(source) | Part::Document(source) => hash_source(source),
        Part::Frames(frames) => frames.sources().flatten().for_each(hash_source),
        Part::Text(text) | Part::Unknown(text) => text.hash(hasher),
    }
}
