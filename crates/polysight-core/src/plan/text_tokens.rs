//! Bounds of the tokens of a text whose tokenizer is not at hand.

use super::Count;
use crate::{ChatRequest, Part, ResponseFormat};

/// No entry of a tokenizer's vocabulary is longer, in bytes: the longest of the published ones (Qwen, GLM-4, ERNIE 4.5, read
/// 2026-11-27) is a run of 128 spaces or signs.
const LONGEST_TOKEN: usize = 256;

// Allowances for the chat template, in tokens. The published ones (Qwen, GLM-4.1V to 4.6V, ERNIE 4.5, read 2026-11-27) take 5
// a message at most, and 30 a request with their default instructions; those of hosted models are not published.
const PER_REQUEST: u64 = 128;
const PER_MESSAGE: u64 = 16;
/// For the instructions that come with tools, and once more with a schema.
const PER_INSTRUCTIONS: u64 = 1_024;
/// Templates indent and escape the JSON of tools and schemas: so many bytes of one at most.
const JSON_GROWTH: u64 = 4;

/// Bounds of the tokens of all text in a request.
///
/// At least one token for each word between white space, and more for a word that is longer than any token: the tokenizers of
/// all known models split texts at white space before they look for tokens. At most one token for each byte of the text in its
/// composed form (NFC), since they fall back to single bytes.
pub(super) fn bounds(request: &ChatRequest) -> Count {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let least = parts().filter_map(text_of).map(least_tokens).sum();
    let texts = parts().map(most_of_part).fold(0, u64::saturating_add);
    let template = PER_REQUEST + PER_MESSAGE * request.messages.len() as u64;
    Count::between(least, texts.saturating_add(template).saturating_add(most_of_tools(request)))
}

/// A text takes no fewer tokens. White space itself counts for nothing here.
fn least_tokens(text: &str) -> u64 {
    text.split_whitespace().map(|word| word.len().div_ceil(LONGEST_TOKEN) as u64).sum()
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text(text) => Some(text),
        Part::ToolResult(result) => Some(&result.content),
        Part::Image(_) | Part::Video(_) | Part::ToolCall(_) | Part::Reasoning(_) | Part::CacheMark => None,
    }
}

fn most_of_part(part: &Part) -> u64 {
    match part {
        Part::Text(text) | Part::Reasoning(text) => most_tokens(text),
        Part::ToolCall(call) => {
            PER_MESSAGE + most_tokens(&call.name) + JSON_GROWTH * most_tokens(&call.arguments)
        }
        Part::ToolResult(result) => PER_MESSAGE + most_tokens(&result.content),
        Part::Image(_) | Part::Video(_) | Part::CacheMark => 0,
    }
}

fn most_of_tools(request: &ChatRequest) -> u64 {
    let json = |json: &serde_json::Value| JSON_GROWTH * most_tokens(&json.to_string());
    let tools = request.tools.iter().map(|tool| {
        PER_MESSAGE
            + JSON_GROWTH * (most_tokens(&tool.name) + most_tokens(&tool.description))
            + json(&tool.parameters)
    });
    let tools =
        tools.fold(0, u64::saturating_add) + if request.tools.is_empty() { 0 } else { PER_INSTRUCTIONS };
    let schema = match &request.response_format {
        // What asks for places stands in the messages by then.
        ResponseFormat::Text | ResponseFormat::Locate { .. } => 0,
        ResponseFormat::JsonSchema { schema, .. } | ResponseFormat::Extract { schema, .. } => {
            PER_INSTRUCTIONS + json(schema)
        }
        ResponseFormat::JsonObject => PER_INSTRUCTIONS,
    };
    tools + schema
}

/// A text takes no more tokens than its composed form has bytes.
fn most_tokens(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    let growth = text.chars().filter(|char| grows(*char)).map(|char| 2 * char.len_utf8() as u64);
    text.len() as u64 + growth.sum::<u64>()
}

/// Whether the composed form writes a character as several, which are three times its bytes at most. By blocks that hold such
/// characters: Unicode 16, composition exclusions.
fn grows(char: char) -> bool {
    matches!(char,
        '\u{340}'..='\u{344}' | '\u{900}'..='\u{FFF}' | '\u{2ADC}' | '\u{F900}'..='\u{FAFF}' | '\u{FB1D}'..='\u{FB4E}' | '\u{1D15E}'..='\u{1D1C0}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Message, ToolDefinition};

    fn of(text: &str) -> Count {
        bounds(&ChatRequest::new([Message::user(text)]))
    }

    #[test]
    fn a_text_takes_a_token_a_word_at_least_and_one_a_byte_at_most() {
        let template = PER_REQUEST + PER_MESSAGE;
        assert_eq!(of("What is  it?\n"), Count::between(3, 13 + template));
        assert_eq!(of("图里有什么"), Count::between(1, 15 + template));
        assert_eq!(of(&"x".repeat(1_000)), Count::between(4, 1_000 + template));
        assert_eq!(of(&" ".repeat(1_000)), Count::between(0, 1_000 + template));
        assert_eq!(
            of("\u{958}"),
            Count::between(1, 9 + template),
            "composed, it is two characters of 6 bytes"
        );
    }

    #[test]
    fn tools_and_schemas_are_in_the_upper_bound() {
        let mut request = ChatRequest::new([Message::user("a")]);
        let plain = bounds(&request).at_most.unwrap();
        request.tools.push(ToolDefinition::new("look", "Looks.", json!({ "type": "object" })));
        let tools = bounds(&request).at_most.unwrap();
        assert_eq!(tools - plain, PER_INSTRUCTIONS + PER_MESSAGE + 4 * (4 + 6 + 17));
        request.response_format = ResponseFormat::JsonObject;
        assert_eq!(bounds(&request).at_most.unwrap() - tools, PER_INSTRUCTIONS);
        assert_eq!(bounds(&request).at_least, 1);
    }
}
