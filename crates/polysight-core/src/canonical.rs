//! A request as a sequence of bytes that is the same for equal requests only.
//!
//! Here and in the media's own files every struct is taken apart field by field, so that a new field does not compile
//! until somebody has said whether it shapes the answer.

use serde_json::{Map, Value};

use crate::{
    ChatRequest, MediaSource, Message, Part, RandomSampling, ResponseFormat, Sampling, Thinking, ToolCall,
    ToolChoice, ToolDefinition, ToolResult,
};

/// A piece of the sequence that [`ChatRequest::canonical`] gives.
#[derive(Debug)]
#[non_exhaustive]
pub enum Canonical<'a> {
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// A picture or video stands here. Its content counts, not where it is: whoever listens puts in a digest of its
    /// bytes, or of a link's text, which must be of one length for all.
    Media(&'a MediaSource),
}

impl ChatRequest {
    /// Hands out, piece by piece, everything that shapes the answer: two requests give the same sequence when, and only
    /// when, they ask for the same.
    ///
    /// Each piece carries a tag and its length, so that no two requests run together. Left out are
    /// [`request_id`](Self::request_id), [`end_user_id`](Self::end_user_id) and [`keep_raw`](Self::keep_raw), which tell
    /// who asks and what is kept. The sequence is meant for digests within one version of this crate: another may order
    /// it differently.
    ///
    /// ```
    /// use polysight_core::{Canonical, ChatRequest, Message};
    ///
    /// let bytes = |request: &ChatRequest| {
    ///     let mut all = Vec::new();
    ///     request.canonical(&mut |piece| {
    ///         if let Canonical::Bytes(bytes) = piece {
    ///             all.extend_from_slice(bytes);
    ///         }
    ///     });
    ///     all
    /// };
    /// let request = ChatRequest::new([Message::user("What is it?")]);
    /// assert_eq!(bytes(&request), bytes(&request.clone().with_request_id("r-1")));
    /// assert_ne!(bytes(&request), bytes(&request.clone().with_max_tokens(5)));
    /// ```
    pub fn canonical(&self, sink: &mut dyn FnMut(Canonical<'_>)) {
        let Self {
            model,
            messages,
            sampling,
            max_tokens,
            stop,
            seed,
            request_id: _,
            end_user_id: _,
            thinking,
            response_format,
            tools,
            tool_choice,
            parallel_tool_calls,
            tolerance,
            keep_raw: _,
            extras,
        } = self;
        let feed = &mut Feed(sink);
        feed.option(model.as_deref(), Feed::text);
        feed.list(messages, |feed, message| message.canonical(feed));
        sampling.canonical(feed);
        feed.option(*max_tokens, Feed::number);
        feed.list(stop, |feed, text| feed.text(text));
        feed.option(*seed, |feed, seed| feed.bytes(&seed.to_le_bytes()));
        thinking.canonical(feed);
        response_format.canonical(feed);
        feed.list(tools, |feed, tool| tool.canonical(feed));
        tool_choice.canonical(feed);
        feed.option(*parallel_tool_calls, |feed, parallel| feed.tag(u8::from(parallel)));
        feed.text(&tolerance.unwrap_or_default().to_string());
        feed.list(extras, |feed, (vendor, fields)| {
            feed.text(vendor);
            feed.fields(fields);
        });
    }
}

/// Writes pieces so that where one ends and the next begins can always be told.
pub(crate) struct Feed<'s>(&'s mut dyn FnMut(Canonical<'_>));

impl Feed<'_> {
    /// Which of several forms follows.
    pub(crate) fn tag(&mut self, tag: u8) {
        (self.0)(Canonical::Bytes(&[tag]));
    }

    pub(crate) fn number(&mut self, number: impl Into<u64>) {
        (self.0)(Canonical::Bytes(&number.into().to_le_bytes()));
    }

    /// By its bits: what differs in the last place is another number.
    pub(crate) fn float(&mut self, number: f64) {
        self.number(number.to_bits());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.tag(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<I: IntoIterator<IntoIter: ExactSizeIterator>>(
        &mut self,
        items: I,
        mut write: impl FnMut(&mut Self, I::Item),
    ) {
        let items = items.into_iter();
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    /// Tagged by whether it is a link, so that no content is taken for a link of the same digest.
    pub(crate) fn media(&mut self, source: &MediaSource) {
        self.tag(u8::from(source.url().is_some()));
        (self.0)(Canonical::Media(source));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        (self.0)(Canonical::Bytes(bytes));
    }

    fn value(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    fn fields(&mut self, fields: &Map<String, Value>) {
        self.list(fields, |feed, (name, value)| {
            feed.text(name);
            feed.value(value);
        });
    }
}

impl Message {
    fn canonical(&self, feed: &mut Feed<'_>) {
        let Self { role, parts } = self;
        feed.text(role.name());
        feed.list(parts, |feed, part| part.canonical(feed));
    }
}

impl Part {
    fn canonical(&self, feed: &mut Feed<'_>) {
        match self {
            Self::Text(text) => {
                feed.tag(0);
                feed.text(text);
            }
            Self::Image(image) => {
                feed.tag(1);
                image.canonical(feed);
            }
            Self::Video(video) => {
                feed.tag(2);
                video.canonical(feed);
            }
            Self::ToolCall(ToolCall { id, name, arguments }) => {
                feed.tag(3);
                [id, name, arguments].into_iter().for_each(|text| feed.text(text));
            }
            Self::ToolResult(ToolResult { call_id, content }) => {
                feed.tag(4);
                [call_id, content].into_iter().for_each(|text| feed.text(text));
            }
            Self::Reasoning(text) => {
                feed.tag(5);
                feed.text(text);
            }
        }
    }
}

impl Sampling {
    fn canonical(&self, feed: &mut Feed<'_>) {
        let random = match self {
            Self::Default => return feed.tag(0),
            Self::Greedy => return feed.tag(1),
            Self::Random(random) => random,
        };
        let RandomSampling {
            temperature,
            top_p,
            top_k,
            presence_penalty,
            frequency_penalty,
            repetition_penalty,
        } = random;
        feed.tag(2);
        feed.option(*top_k, Feed::number);
        for number in [temperature, top_p, presence_penalty, frequency_penalty, repetition_penalty] {
            feed.option(*number, Feed::float);
        }
    }
}

impl Thinking {
    fn canonical(self, feed: &mut Feed<'_>) {
        match self {
            Self::Default => feed.tag(0),
            Self::Off => feed.tag(1),
            Self::On => feed.tag(2),
            Self::Budget(tokens) => {
                feed.tag(3);
                feed.number(tokens);
            }
            Self::Effort(effort) => {
                feed.tag(4);
                feed.text(effort.into());
            }
        }
    }
}

impl ResponseFormat {
    fn canonical(&self, feed: &mut Feed<'_>) {
        match self {
            Self::Text => feed.tag(0),
            Self::JsonObject => feed.tag(1),
            Self::JsonSchema { name, schema, strict } => {
                feed.tag(2);
                feed.text(name);
                feed.value(schema);
                feed.tag(u8::from(*strict));
            }
        }
    }
}

impl ToolDefinition {
    fn canonical(&self, feed: &mut Feed<'_>) {
        let Self { name, description, parameters } = self;
        feed.text(name);
        feed.text(description);
        feed.value(parameters);
    }
}

impl ToolChoice {
    fn canonical(&self, feed: &mut Feed<'_>) {
        match self {
            Self::Auto => feed.tag(0),
            Self::None => feed.tag(1),
            Self::Required => feed.tag(2),
            Self::Function(name) => {
                feed.tag(3);
                feed.text(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";

    /// The sequence with media as their plain bytes.
    fn sequence(request: &ChatRequest) -> Vec<u8> {
        let mut all = Vec::new();
        request.canonical(&mut |piece| match piece {
            Canonical::Bytes(bytes) => all.extend_from_slice(bytes),
            Canonical::Media(MediaSource::Url(url)) => all.extend_from_slice(url.as_str().as_bytes()),
            Canonical::Media(source) => {
                let mut reader = source.reader().unwrap().unwrap();
                std::io::copy(&mut reader, &mut all).unwrap();
            }
        });
        all
    }

    #[test]
    fn texts_do_not_run_together() {
        let ask = |texts: &[&str]| {
            ChatRequest::new([Message::user_parts(texts.iter().map(|text| Part::from(*text)))])
        };
        let two_messages = ChatRequest::new([Message::user("a"), Message::user("b")]);
        let all = [ask(&["ab"]), ask(&["a", "b"]), ask(&["", "ab"]), ask(&["ab", ""]), two_messages];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(sequence(one), sequence(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_picture_is_its_content_however_it_came() {
        let ask = |image: Image| sequence(&ChatRequest::ask("?", [image]));
        let bytes = ask(Image::from_bytes(PNG).unwrap());
        let text = base64_simd::STANDARD.encode_to_string(PNG);
        assert_eq!(bytes, ask(Image::from_base64(text.clone()).unwrap()));
        assert_eq!(bytes, ask(Image::from_data_uri(format!("data:image/jpeg;base64,{text}")).unwrap()));
        assert_ne!(bytes, ask(Image::from_bytes(PNG).unwrap().with_max_pixels(5)));
    }

    #[test]
    fn who_asks_and_what_is_kept_is_left_out() {
        let plain = ChatRequest::new([Message::user("a")]);
        let named = plain.clone().with_request_id("r").with_end_user_id("u").with_raw();
        assert_eq!(sequence(&plain), sequence(&named));
        let lossless = plain.clone().with_tolerance(crate::Tolerance::Lossless);
        assert_eq!(sequence(&plain), sequence(&lossless), "it is what holds when nothing is said");
    }
}
