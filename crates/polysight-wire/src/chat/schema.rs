//! The reply's JSON, borrowed from the bytes it came in.

use polysight_core::{TokenDetails, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::arguments::Arguments;
use super::chunk_template::Slot;
use super::lenient::{ByMark, First, Indexed, List, Maybe, Text, Whole};
use super::{CallPiece, SafetyFields};
use crate::json;

/// A whole reply or one chunk of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) request_id: Text<'a>,
    #[serde(borrow)]
    pub(super) model: Text<'a>,
    pub(super) created: Whole,
    #[serde(borrow)]
    pub(super) choices: First<Choice<'a>>,
    pub(super) usage: Maybe<UsageWire>,
    #[serde(borrow)]
    pub(super) content_filter: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    #[serde(borrow)]
    pub(super) error_code: Text<'a>,
    base_resp: Maybe<BaseResponse>,
    /// The reply itself, of gateways that wrap it.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The state of a reply as some vendors write it, in place of an error or beside one.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct BaseResponse {
    status_code: Whole,
}

impl<'a> Envelope<'a> {
    /// Itself, or the answer or error that a gateway has wrapped in it.
    pub(super) fn unwrapped(self) -> Self {
        let Some(data) = self.data.filter(|_| self.choices.0.is_none()) else { return self };
        match json::parse::<Self>(data.get().as_bytes()) {
            Ok(inner) if inner.choices.0.is_some() || inner.usage.0.is_some() || inner.is_failure() => inner,
            _ => self,
        }
    }

    /// True when this is an error though nothing else about the reply says so.
    pub(super) fn is_failure(&self) -> bool {
        // An answer beside an error that says nothing is an answer.
        let empty = |raw: &RawValue| matches!(raw.get(), "\"\"" | "{}" | "false" | "[]");
        let error = self
            .error
            .is_some_and(|error| error.get() != "null" && !(empty(error) && self.choices.0.is_some()));
        let code = [&self.code, &self.error_code].into_iter().filter_map(Text::as_str);
        let code = code.into_iter().any(|code| !is_success(code));
        // Some servers' errors have no code, and say only that they are one.
        let code = code || self.object.as_str() == Some("error") || self.has_bad_status();
        error || (code && self.choices.0.is_none())
    }

    /// True for an object that has nothing of an answer: a refusal in words of its own, or a sign of life.
    pub(super) fn is_foreign(&self) -> bool {
        self.choices.0.is_none() && self.usage.0.is_none() && self.content_filter.is_none()
    }

    /// True when it tells a status of its own, and that is one of a failure.
    fn has_bad_status(&self) -> bool {
        let status = self.base_resp.0.and_then(|base| base.status_code.0);
        status.is_some_and(|status| !matches!(status, 0 | 200))
    }

    /// The text of a chunk that goes on with the answer and says nothing else that may not be said twice.
    pub(super) fn only_text(&self) -> Option<(Slot, &str)> {
        let choice =
            self.choices.0.as_ref().filter(|choice| choice.finish().is_none() && !choice.is_other())?;
        let delta = choice.delta.0.as_ref().or(choice.message.0.as_ref())?;
        let filled = |text: &'_ Text<'_>| text.as_str().is_some_and(|text| !text.is_empty());
        let reasoning = [&delta.reasoning_content, &delta.reasoning].into_iter().find(|text| filled(text));
        let (slot, text) = match reasoning {
            None => (Slot::Text, &delta.content),
            Some(_) if filled(&delta.content) => return None,
            Some(reasoning) => (Slot::Reasoning, reasoning),
        };
        let text = text.as_str().filter(|_| delta.tool_calls.0.is_empty())?;
        Some((slot, text))
    }
}

/// Codes of servers that write one where nothing failed.
pub(super) fn is_success(code: &str) -> bool {
    ["", "0", "200", "ok", "success"].iter().any(|good| code.eq_ignore_ascii_case(good))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    index: Whole,
    #[serde(borrow)]
    delta: Maybe<Delta<'a>>,
    #[serde(borrow)]
    message: Maybe<Delta<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Text<'a>,
    pub(super) flag: Whole,
    pub(super) ban_round: Whole,
}

impl Indexed for Choice<'_> {
    fn index(&self) -> Option<u64> {
        self.index.count()
    }
}

impl<'a> Choice<'a> {
    /// Whether it belongs to another answer than the one that was asked for.
    pub(super) fn is_other(&self) -> bool {
        self.index().is_some_and(|index| index > 0)
    }

    /// What the choice says: whole replies call it message and chunks delta, and some servers write both, one null.
    pub(super) fn take_delta(&mut self) -> Option<Delta<'a>> {
        self.delta.0.take().or_else(|| self.message.0.take())
    }

    /// True for the answer of a whole reply, and not a piece of one.
    pub(super) fn is_whole(&self) -> bool {
        self.delta.0.is_none() && self.message.0.is_some()
    }

    /// The finish reason, where servers also write null, "" and "null" for none.
    pub(super) fn finish(&self) -> Option<&str> {
        self.finish_reason.as_str().filter(|raw| !matches!(*raw, "" | "null"))
    }

    pub(super) fn safety_fields(&self, content_filter: Option<&'a RawValue>) -> SafetyFields<'a> {
        SafetyFields { content_filter, flag: self.flag.0, ban_round: self.ban_round.0 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    #[serde(borrow)]
    reasoning_content: Text<'a>,
    #[serde(borrow)]
    reasoning: Text<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: List<CallWire<'a>>,
}

impl Delta<'_> {
    /// The reasoning, under either of its names: servers on their way from one to the other write both.
    pub(super) fn take_reasoning(&mut self) -> Option<String> {
        let names = [&mut self.reasoning_content, &mut self.reasoning];
        names.into_iter().find_map(|text| std::mem::take(text).non_empty())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallWire<'a> {
    pub(super) index: Whole,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) function: Maybe<FunctionWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionWire<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    /// Vendors send them as a string, one schema says object.
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

impl CallWire<'_> {
    pub(super) fn into_piece(self) -> CallPiece {
        let function = self.function.0.unwrap_or_default();
        CallPiece {
            index: self.index.count().and_then(|index| usize::try_from(index).ok()),
            id: self.id.non_empty(),
            arguments: Arguments::of(function.arguments),
            name: function.name.non_empty(),
        }
    }
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct UsageWire {
    prompt_tokens: Whole,
    completion_tokens: Whole,
    input_tokens: Whole,
    output_tokens: Whole,
    total_tokens: Whole,
    prompt_tokens_details: Maybe<DetailsWire>,
    completion_tokens_details: Maybe<DetailsWire>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct DetailsWire {
    cached_tokens: Whole,
    cache_creation_input_tokens: Whole,
    cache_type: ByMark,
    text_tokens: Whole,
    image_tokens: Whole,
    video_tokens: Whole,
    reasoning_tokens: Whole,
}

impl Copy for Maybe<DetailsWire> {}

impl UsageWire {
    /// The usage; unknown where every count is missing or zero, as servers write that do not count.
    pub(super) fn usage(self) -> Option<Usage> {
        let count = |whole: Whole| whole.count();
        let either = |one, other| count(one).or(count(other)).unwrap_or(0);
        let input = either(self.prompt_tokens, self.input_tokens);
        let output = either(self.completion_tokens, self.output_tokens);
        let mut usage = Usage::new(input, output, count(self.total_tokens).unwrap_or(input + output));
        let prompt = self.prompt_tokens_details.0.unwrap_or_default();
        let answer = self.completion_tokens_details.0.unwrap_or_default();
        let mut details = TokenDetails::default();
        details.cached = count(prompt.cached_tokens);
        details.cached_by_mark = details.cached.filter(|_| prompt.cache_type.0);
        details.cache_creation = count(prompt.cache_creation_input_tokens);
        details.text = count(prompt.text_tokens);
        details.image = count(prompt.image_tokens);
        details.video = count(prompt.video_tokens);
        details.reasoning = count(answer.reasoning_tokens);
        usage.details = details;
        let is_counted = (input, output, usage.total_tokens) != (0, 0, 0);
        is_counted.then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_field_may_be_there() {
        for text in [
            r#"{"delta":{"reasoning":"hm","reasoning_content":null},"message":null}"#,
            r#"{"delta":null,"message":{"reasoning":"","reasoning_content":"hm"}}"#,
            r#"{"message":{"reasoning":"hm","reasoning_content":"hm","tool_calls":{}}}"#,
        ] {
            let mut choice: Choice<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(choice.take_delta().unwrap().take_reasoning().as_deref(), Some("hm"), "{text}");
        }
    }

    #[test]
    fn an_object_that_says_it_is_an_error_is_one() {
        let is_failure = |text| serde_json::from_str::<Envelope<'_>>(text).unwrap().is_failure();
        assert!(is_failure(r#"{"object":"error","message":"x"}"#));
        assert!(!is_failure(r#"{"object":"chat.completion.chunk","choices":[]}"#));
        assert!(!is_failure(r#"{"object":"error","choices":[{}]}"#));
    }
}
