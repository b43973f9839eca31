//! Tokens of the text of a request, by the vocabulary of Qwen2.5 and Qwen3 and their chat templates (ChatML).
//!
//! Source: the published tokenizer files and chat templates, read 2026-11-27; held against counts that the vendor's pages
//! report. Models from Qwen3.5 on have another vocabulary, which no Rust package carries (2026-11).

use icu_normalizer::ComposingNormalizerBorrowed;
use polysight_core::catalog::ThinkingMode;
use polysight_core::{ChatRequest, Count, Message, MessageRole, ModelCard, Part, ResponseFormat};
use tiktoken::CoreBpe;

/// Longer texts are left to the bounds of the plan, which cost less time: they fit into no model's context.
const MOST_BYTES: usize = 8 << 20;
/// What stands around a message: its begin, its end and a line break.
const MESSAGE: u64 = 3;
/// The begin of the answer: a mark, the role and a line break.
const OPENING: u64 = 3;
/// The default instructions of Qwen2.5-VL, as a message.
const DEFAULT_SYSTEM: u64 = 11;
/// The empty block of thinking that templates write where a model that can think does not.
const NO_THINKING: u64 = 4;

/// Tokens of all text of a request. Left open for another vocabulary, and for what templates write in ways that the vendor does
/// not publish: tools, their calls and results, reasoning, and the instructions of JSON modes.
pub(crate) fn text_tokens(request: &ChatRequest, card: &ModelCard) -> Count {
    let Some(default_system) = card.tokenizer.as_deref().and_then(default_system) else {
        return Count::default();
    };
    let (Some(vocabulary), true) = (tiktoken::get_encoding("qwen2"), is_plain(request)) else {
        return Count::default();
    };
    let messages = request.messages.iter().map(|message| of_message(vocabulary, message)).sum::<Count>();
    let has_system = request.messages.iter().any(|message| message.role == MessageRole::System);
    let system = if has_system { Count::exact(0) } else { default_system };
    let thinking = match card.thinking.mode {
        Some(ThinkingMode::None) => Count::exact(0),
        _ => Count::between(0, NO_THINKING),
    };
    messages + system + thinking + Count::exact(OPENING)
}

/// Tokens of the instructions that a template adds where the request has none; `None` for an unknown name.
fn default_system(tokenizer: &str) -> Option<Count> {
    match tokenizer {
        "qwen3-vl" => Some(Count::exact(0)),
        "qwen2.5-vl" => Some(Count::exact(DEFAULT_SYSTEM)),
        // Which generation these stand on is not published.
        "qwen-vl" => Some(Count::between(0, DEFAULT_SYSTEM)),
        _ => None,
    }
}

/// Whether a request holds only what is written as it stands.
fn is_plain(request: &ChatRequest) -> bool {
    let mut bytes = 0;
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    request.tools.is_empty()
        && request.response_format == ResponseFormat::Text
        && parts.all(|part| match part {
            Part::Text(text) => {
                bytes += text.len();
                bytes <= MOST_BYTES
            }
            Part::Image(_) | Part::Video(_) | Part::CacheMark => true,
            _ => false,
        })
}

/// Texts between two media are one, since tokens may reach over their border.
fn of_message(vocabulary: &CoreBpe, message: &Message) -> Count {
    let mut text = format!("{}\n", message.role.name());
    let mut sum = Count::exact(MESSAGE);
    for part in &message.parts {
        match part {
            Part::Text(more) => text.push_str(more),
            // It is no text of the prompt.
            Part::CacheMark => {}
            _ => sum = sum + of_text(vocabulary, &std::mem::take(&mut text)),
        }
    }
    sum + of_text(vocabulary, &text)
}

/// Exact but for words that may be marks of the template: the vendor does not say whether it takes them out of a text.
fn of_text(vocabulary: &CoreBpe, text: &str) -> Count {
    let text = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let plain = vocabulary.count(&text) as u64;
    let marks =
        ["<|", "<think", "</think", "<tool_", "</tool_"].iter().map(|mark| text.matches(mark).count() as u64);
    match marks.sum() {
        0 => Count::exact(plain),
        marks => Count::between(
            (vocabulary.count_with_special_tokens(&text) as u64).saturating_sub(4 * marks),
            plain + marks,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use polysight_core::{Image, ToolDefinition};
    use serde_json::json;

    use super::*;

    const HELPFUL: &str = "You are a helpful assistant.";

    fn count(model: &str, messages: impl IntoIterator<Item = Message>) -> Count {
        let card = crate::catalog().unwrap().card(model);
        text_tokens(&ChatRequest::new(messages), &card)
    }

    fn of(text: &str) -> Count {
        of_text(tiktoken::get_encoding("qwen2").unwrap(), text)
    }

    /// From the vendor's page of the chat API, read 2026-11-27: a Qwen3 model that can think, asked not to.
    #[test]
    fn the_vendors_sample_is_counted_as_the_vendor_counts_it() {
        let sample = || [Message::system(HELPFUL), Message::user("你是谁？")];
        let without_thinking = count("qwen3-vl-32b-instruct", sample());
        assert_eq!(without_thinking, Count::exact(22));
        assert_eq!(without_thinking + Count::exact(NO_THINKING), Count::exact(26));
        assert_eq!(count("qwen3-vl-plus", sample()), Count::between(22, 26));
    }

    #[test]
    fn texts_are_counted_by_the_published_vocabulary() {
        for (text, tokens) in [
            ("", 0),
            (" hello", 1),
            (HELPFUL, 6),
            ("你是谁？", 3),
            ("图中描绘的是什么景象？", 7),
            ("What is depicted in the image?", 7),
            ("2026", 4),
        ] {
            assert_eq!(of(text), Count::exact(tokens), "{text:?}");
        }
        assert_eq!(of("e\u{301}"), of("é"), "composed first");
    }

    #[test]
    fn a_cache_mark_is_no_text() {
        let parts = |marked: Message| count("qwen3-vl-8b-instruct", [marked.with(" hats?")]);
        let text = || Message::user("How many");
        assert_eq!(parts(text().with_cache_mark()), parts(text()));
    }

    #[test]
    fn default_instructions_are_those_of_the_generation() {
        let question = || [Message::user("你是谁？")];
        assert_eq!(count("qwen3-vl-8b-instruct", question()), Count::exact(11));
        assert_eq!(count("qwen2.5-vl-7b-instruct", question()), Count::exact(22));
        assert_eq!(count("qwen-vl-max", question()), Count::between(11, 22));
        assert_eq!(count("qwen3.7-plus", question()), Count::default(), "another vocabulary");
    }

    #[test]
    fn a_message_is_counted_between_its_media_and_whole_where_there_are_none() {
        let image = || Image::from_url("https://h.example/a.png").unwrap();
        let split = count("qwen3-vl-8b-instruct", [Message::user("hel").with("lo")]);
        assert_eq!(split, count("qwen3-vl-8b-instruct", [Message::user("hello")]));
        let apart = count("qwen3-vl-8b-instruct", [Message::user("hel").with(image()).with("lo")]);
        assert_eq!(apart, of("user\nhel") + of("lo") + Count::exact(MESSAGE + OPENING));
    }

    #[test]
    fn what_templates_write_in_their_own_way_is_left_open() {
        let card = crate::catalog().unwrap().card("qwen3-vl-plus");
        let mut request = ChatRequest::new([Message::user("?")]);
        request.tools.push(ToolDefinition::new("f", "", json!({})));
        assert_eq!(text_tokens(&request, &card), Count::default());
        let long = ChatRequest::new([Message::user("a ".repeat(MOST_BYTES))]);
        assert_eq!(text_tokens(&long, &card), Count::default());
        let mark = of("<|im_start|>user");
        assert!(mark.at_least < mark.at_most.unwrap() && !mark.exact, "{mark}");
    }

    #[test]
    fn composed_forms_grow_no_more_than_the_plan_allows_for() {
        let normalizer = ComposingNormalizerBorrowed::new_nfc();
        let bounds = |text: &str| {
            let request = ChatRequest::new([Message::user(text)]);
            let mut card = ModelCard::default();
            "m".clone_into(&mut card.id);
            let id = polysight_core::ProviderId::new("p", "v");
            let builder = polysight_core::plan::PlanBuilder::new(&id, &request, std::sync::Arc::new(card));
            let plan = builder.finish(polysight_core::Estimate::default()).unwrap();
            plan.estimate.text_tokens.at_most.unwrap()
        };
        let template = bounds("?") - 1;
        for char in ('\u{80}'..=char::MAX).filter(|char| !char.is_whitespace()) {
            let text = char.to_string();
            let composed = normalizer.normalize(&text);
            if composed.len() > text.len() {
                assert!(bounds(&text) - template >= composed.len() as u64, "{char:?}");
            }
        }
    }

    #[test]
    fn hostile_texts_cost_linear_time() {
        let started = Instant::now();
        for text in ["a", "图", "\u{301}", "<|", "=", "a1 "] {
            of(&text.repeat((256 << 10) / text.len()));
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}
