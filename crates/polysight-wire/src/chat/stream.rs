//! A streamed reply of the shared shape.

use std::fmt;
use std::sync::Arc;

use memchr::memmem;
use polysight_core::{Error, ErrorKind, FinishReason, Plan, ResponseMeta, Result, RetryAdvice, StreamEvent};
use serde_json::value::RawValue;

use super::chunk_template::{ChunkTemplate, Slot};
use super::schema::{Choice, Delta, Envelope};
use super::text_parts::TextParts;
use super::{FailureSource, SafetyFields, StreamState, decode_failure, read_repaired, tells_failure};
use crate::json::{self, LoneHalves};
use crate::sse::{SseEvent, SseItem};
use crate::vendor::ChatProfile;
use crate::{Events, Progress, ReplyHead, StreamDecoder};

/// Reads the event stream of a chat completion.
pub struct ChatStreamDecoder<P: ?Sized> {
    state: StreamState,
    parts: TextParts,
    template: ChunkTemplate,
    profile: Arc<P>,
}

impl<P: ?Sized> fmt::Debug for ChatStreamDecoder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatStreamDecoder").field("finish", &self.state.finish()).finish_non_exhaustive()
    }
}

impl<P: ChatProfile + ?Sized> ChatStreamDecoder<P> {
    /// Starts to read the reply to a plan.
    #[must_use]
    pub fn new(profile: Arc<P>, plan: &Plan, head: &ReplyHead) -> Self {
        Self {
            state: StreamState::new(plan, head),
            parts: TextParts::new(&*profile, plan),
            template: ChunkTemplate::default(),
            profile,
        }
    }

    fn read_event(&mut self, event: SseEvent<'_>, events: &mut Events) -> Result<Progress> {
        let data = event.data.trim_ascii();
        if data.starts_with(b"[DONE]") {
            return Ok(Progress::Done);
        }
        if event.name == Some(b"error") {
            return Err(self.failure(data));
        }
        if let Some((slot, text)) = self.template.read(data)
            && !self.state.halves.is_waiting()
        {
            self.state.keep(data);
            self.add_text(slot, text, events);
            return Ok(Progress::Event);
        }
        self.read_data(data, events)
    }

    fn read_data(&mut self, data: &[u8], events: &mut Events) -> Result<Progress> {
        self.template.forget();
        let chunk = match json::parse::<Envelope<'_>>(data) {
            Ok(chunk) if !self.state.halves.is_waiting() => chunk.unwrapped(),
            Ok(_) => return self.read_repaired(data, None, events),
            Err(error) => return self.read_repaired(data, Some(error), events),
        };
        if chunk.is_failure() {
            return Err(self.failure(data));
        }
        if chunk.is_foreign() {
            if tells_failure(data) {
                return Err(self.failure(data));
            }
            let has_id = chunk.id.as_str().is_some_and(|id| !id.is_empty());
            if !has_id && memmem::find(data, b"\"choices\"").is_none() {
                return Ok(Progress::None);
            }
        }
        self.state.keep(data);
        if let Some((slot, text)) = chunk.only_text() {
            self.template.learn(data, slot, text);
        }
        let read = self.read_chunk(chunk, events);
        if read.is_err() {
            self.template.forget();
        }
        read
    }

    fn read_repaired(
        &mut self,
        data: &[u8],
        error: Option<serde_json::Error>,
        events: &mut Events,
    ) -> Result<Progress> {
        let read = |decoder: &mut Self, text: &str| decoder.read_document(text, events);
        read_repaired(self, |decoder| &mut decoder.state, data, || garbled(error), read)
    }

    fn read_document(&mut self, text: &str, events: &mut Events) -> Result<Progress> {
        let chunk = json::parse::<Envelope<'_>>(text.as_bytes());
        let chunk = chunk.map_err(|error| garbled(Some(error)))?.unwrapped();
        if chunk.is_failure() {
            return Err(self.failure(text.as_bytes()));
        }
        self.read_chunk(chunk, events)
    }

    fn add_text(&mut self, slot: Slot, text: String, events: &mut Events) {
        match slot {
            Slot::Reasoning => self.parts.push_reasoning(self.state.halves.reasoning(text), events),
            Slot::Text => self.parts.push_text(self.state.halves.text(text), events),
        }
    }

    fn read_chunk(&mut self, chunk: Envelope<'_>, events: &mut Events) -> Result<Progress> {
        if self.state.meta.id.is_none() {
            self.state.meta.id = chunk.id.non_empty();
            self.state.meta.created = chunk.created.count();
            if let Some(model) = chunk.model.non_empty() {
                self.state.meta.model = model;
            }
        }
        if let Some(id) = chunk.request_id.non_empty() {
            self.state.meta.request_id = Some(id);
        }
        // Some servers send a running count with every chunk: the last one holds.
        if let Some(usage) = chunk.usage.0 {
            self.state.meta.usage = usage.usage().or(self.state.meta.usage);
        }
        let Some(mut choice) = chunk.choices.0.filter(|choice| !choice.is_other()) else {
            return self.add_safety(&Choice::default(), chunk.content_filter).map(|()| Progress::Empty);
        };
        self.add_safety(&choice, chunk.content_filter)?;
        if let Some(raw) = choice.finish() {
            self.state.end_with(FinishReason::new(self.profile.finish_kind(raw), raw));
        }
        choice.take_delta().map_or(Ok(Progress::Empty), |delta| self.read_delta(delta, events))
    }

    /// Keeps safety labels, and ends the stream when they withdraw the answer.
    fn add_safety(&mut self, choice: &Choice<'_>, content_filter: Option<&RawValue>) -> Result<()> {
        if content_filter.is_none() && choice.flag.0.is_none() {
            return Ok(());
        }
        let fields = SafetyFields { content_filter, flag: choice.flag.0, ban_round: choice.ban_round.0 };
        for label in self.profile.safety(&fields) {
            if !self.state.meta.safety.contains(&label) {
                self.state.meta.safety.push(label);
            }
        }
        if self.profile.withdraws(&fields) {
            Err(super::withdrawn(self.state.meta.safety.clone()))
        } else {
            Ok(())
        }
    }

    fn read_delta(&mut self, mut delta: Delta<'_>, events: &mut Events) -> Result<Progress> {
        let mut progress = Progress::Empty;
        if let Some(reasoning) = delta.take_reasoning() {
            self.add_text(Slot::Reasoning, reasoning, events);
            progress = Progress::Event;
        }
        if let Some(text) = delta.content.non_empty() {
            self.add_text(Slot::Text, text, events);
            progress = Progress::Event;
        }
        let count = delta.tool_calls.0.len();
        for (place, call) in delta.tool_calls.0.into_iter().enumerate() {
            if let Some(delta) =
                self.state.calls.delta(place, count, self.state.halves.piece(call.into_piece()))?
            {
                events.push_back(StreamEvent::ToolCall(delta));
                progress = Progress::Event;
            }
        }
        Ok(progress)
    }

    fn failure(&self, data: &[u8]) -> Error {
        decode_failure(&*self.profile, FailureSource::Stream, &self.state.head, data)
    }
}

/// A frame that is no JSON: the line was damaged on its way, and the same request may succeed.
fn garbled(cause: Option<serde_json::Error>) -> Error {
    let error = Error::new(ErrorKind::Protocol, "an event of the stream is no JSON of a chat completion")
        .with_retry(RetryAdvice::After(None));
    match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

impl<P: ChatProfile + ?Sized> StreamDecoder for ChatStreamDecoder<P> {
    fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
        match item {
            SseItem::Comment(_) => Ok(Progress::None),
            SseItem::Event(event) => self.read_event(event, events),
            // A bare JSON line between the events comes of a server that forgot the framing. One that is not whole may be a
            // line of a longer document.
            SseItem::NonField(line)
                if json::is_document(line) && json::documents(line, LoneHalves::Replace).cut.is_none() =>
            {
                self.read_data(line, events)
            }
            SseItem::NonField(_) => Ok(Progress::None),
        }
    }

    fn is_complete(&self) -> bool {
        self.state.finish().is_some()
    }

    fn finish(&mut self, events: &mut Events) -> Result<ResponseMeta> {
        let [text, reasoning] = self.state.halves.finish();
        if let Some(reasoning) = reasoning {
            self.parts.push_reasoning(reasoning, events);
        }
        if let Some(text) = text {
            self.parts.push_text(text, events);
        }
        let is_cut = self.state.finish().is_none_or(|finish| finish.kind.is_cut());
        self.parts.finish(is_cut, events);
        self.state.end()
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::plan::PlanBuilder;
    use polysight_core::{Catalog, ChatRequest, Estimate, Image, ProviderId};

    use super::*;
    use crate::chat::Failure;
    use crate::{Mode, WireBody};

    #[derive(Debug)]
    struct Plain;

    impl ChatProfile for Plain {
        fn body(&self, _: &Plan, _: Mode) -> Result<WireBody> {
            Ok(WireBody::default())
        }

        fn error(&self, _: &Failure<'_>) -> Error {
            Error::new(ErrorKind::Server, "refused")
        }

        fn withdraws(&self, fields: &SafetyFields<'_>) -> bool {
            fields.flag == Some(3)
        }
    }

    /// Everything that comes out of these chunks; `by_repeat` says whether repeated ones may be recognised.
    fn read(chunks: &[String], thinks_in_text: bool, by_repeat: bool) -> String {
        let card = format!("vendor = \"v\"\n[defaults.thinking]\nin_text = {thinks_in_text}");
        let card = Catalog::from_toml(&card).unwrap().card("m");
        let mut request = ChatRequest::ask("?", None::<Image>).with_model("m");
        request.keep_raw = true;
        let id = ProviderId::new("v", "v");
        let plan = PlanBuilder::new(&id, &request, card).finish(Estimate::default()).unwrap();
        let head = ReplyHead::new(200, http::HeaderMap::new());
        let mut decoder = ChatStreamDecoder::new(Arc::new(Plain), &plan, &head);
        let mut seen = Vec::new();
        for chunk in chunks {
            if !by_repeat {
                decoder.template.forget();
            }
            let event = SseEvent { name: None, id: None, data: chunk.as_bytes() };
            let mut events = Events::new();
            let progress = decoder.read(SseItem::Event(event), &mut events);
            seen.push(format!("{events:?} {progress:?}"));
        }
        let mut events = Events::new();
        let end = decoder.finish(&mut events);
        format!("{seen:#?} {events:?} {end:?}")
    }

    #[test]
    fn halves_in_arguments_are_joined_while_the_text_waits_for_its_own() {
        let piece = |text: &str, arguments: &str| {
            let call =
                format!(r#"{{"index":0,"id":"c","function":{{"name":"f","arguments":"{arguments}"}}}}"#);
            format!(r#"{{"choices":[{{"delta":{{"content":"{text}","tool_calls":[{call}]}}}}]}}"#)
        };
        let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned();
        let cut = [piece(r"a \ud83d", r#"{\"x\":\"\ud83d"#), piece(r"\ude3a", r#"\ude3b\"}"#), end.clone()];
        let seen = read(&cut, false, true);
        assert!(seen.contains("😺") && seen.contains(r#"arguments: \"😻"#), "{seen}");
        let lost = [piece(r"a \ud83d", r#"{\"x\":\"\ud83d\"}"#), end];
        let seen = read(&lost, false, true);
        assert!(seen.contains("Protocol") && !seen.contains("arguments: "), "{seen}");
    }

    #[test]
    fn a_repeated_chunk_says_what_a_reading_of_the_whole_says() {
        let around =
            |delta: &str, rest: &str| format!(r#"{{"id":"a","choices":[{{"delta":{delta}{rest}}}]}}"#);
        let deltas = [
            r#"{"content":"hm"}"#,
            r#"{"content":"<think>"}"#,
            r#"{"content":"</think>\n"}"#,
            r#"{"content":""}"#,
            r#"{"content":null}"#,
            r#"{"content":7}"#,
            r#"{"content":"\u4f60\n"}"#,
            r#"{"content":"\ud83d"}"#,
            r#"{"content":"a","content":"b"}"#,
            r#"{"content":{"text":"part"}}"#,
            r#"{"content":{"text":"","text":"part"}}"#,
            r#"{"content":["x"]}"#,
            r#"{"content":"a","reasoning_content":"r"}"#,
            r#"{"content":"","reasoning_content":"r"}"#,
            r#"{"content":"","reasoning_content":""}"#,
            r#"{"content":"","reasoning_content":"r","reasoning":"s"}"#,
            r#"{"content":"","reasoning_content":"","reasoning":"s"}"#,
            r#"{"content":"a","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
        ];
        let rests = [
            "",
            r#","finish_reason":null"#,
            r#","finish_reason":"stop""#,
            r#","flag":0"#,
            r#","flag":3"#,
            r#"}],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":[{"y":0"#,
            r#"}],"usage":{"prompt_tokens":1,"completion_tokens":3},"x":[{"y":0"#,
            r#"}],"error":{"code":1},"x":[{"y":0"#,
        ];
        for (rest, delta) in rests.iter().flat_map(|rest| deltas.iter().map(move |delta| (rest, delta))) {
            let first = around(delta, rest);
            let others = deltas.iter().map(|other| around(other, rest));
            for second in others.chain(rests.iter().map(|other| around(delta, other))) {
                let chunks = [&first, &second, &second, &first, &second].map(String::clone);
                for thinks_in_text in [false, true] {
                    let whole = read(&chunks, thinks_in_text, false);
                    assert_eq!(read(&chunks, thinks_in_text, true), whole, "{chunks:#?}");
                }
            }
        }
    }

    fn chunk(choice: &str) -> String {
        format!(r#"{{"id":"a","choices":[{choice}]}}"#)
    }

    /// Text and end of a stream of these choices, one a chunk.
    fn outcome(choices: &[&str]) -> String {
        let card = Catalog::from_toml("vendor = \"v\"").unwrap().card("m");
        let id = ProviderId::new("v", "v");
        let request = ChatRequest::ask("?", None::<Image>).with_model("m");
        let plan = PlanBuilder::new(&id, &request, card).finish(Estimate::default()).unwrap();
        let head = ReplyHead::new(200, http::HeaderMap::new());
        let mut decoder = ChatStreamDecoder::new(Arc::new(Plain), &plan, &head);
        let mut events = Events::new();
        for choice in choices {
            let chunk = chunk(choice);
            let event = SseEvent { name: None, id: None, data: chunk.as_bytes() };
            if let Err(error) = decoder.read(SseItem::Event(event), &mut events) {
                return format!("{:?}", error.kind());
            }
        }
        let end = decoder.finish(&mut events);
        let text: String = events
            .into_iter()
            .map(|event| match event {
                StreamEvent::Text(text) => text,
                StreamEvent::ToolCall(call) => format!("[{}:{}]", call.index, call.arguments),
                _ => String::new(),
            })
            .collect();
        match end {
            Ok(end) => format!("{text} {}", end.finish.raw),
            Err(error) => format!("{text} {:?} {}", error.kind(), error.code().unwrap_or_default()),
        }
    }

    #[test]
    fn the_worst_of_several_endings_holds_in_any_order() {
        let text = r#"{"delta":{"content":"a"}}"#;
        let ends = |word: &str| format!(r#"{{"delta":{{}},"finish_reason":"{word}"}}"#);
        for (worst, other, expected) in [
            ("content_filter", "stop", "a ContentRefused content_filter"),
            ("content_filter", "length", "a ContentRefused content_filter"),
            ("length", "stop", "a Interrupted length"),
            ("odd", "stop", "a Interrupted odd"),
            ("odd", "length", "a Interrupted odd"),
            ("odd", "tool_calls", "a Interrupted odd"),
            ("content_filter", "odd", "a ContentRefused content_filter"),
        ] {
            let (worst, other) = (ends(worst), ends(other));
            for order in [[&worst, &other, &other], [&other, &worst, &other], [&other, &other, &worst]] {
                assert_eq!(outcome(&[text, order[0], order[1], order[2]]), expected, "{order:?}");
            }
        }
    }

    #[test]
    fn other_choices_are_not_this_answer() {
        let own = r#"{"index":0,"delta":{"content":"a"}}"#;
        let end = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
        for other in [
            r#"{"index":1,"delta":{"content":"b"}}"#,
            r#"{"index":1,"delta":{},"finish_reason":"content_filter"}"#,
            r#"{"index":"2","delta":{"content":"b"},"finish_reason":"stop"}"#,
            r#"{"index":1,"delta":{"tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]}}"#,
            r#"{"index":1,"flag":3,"delta":{"content":"b"}}"#,
        ] {
            for order in [[other, own, end], [own, other, end], [own, end, other]] {
                assert_eq!(outcome(&order), "a stop", "{order:?}");
            }
            for joined in [format!("{other},{own}"), format!("{own},{other}")] {
                assert_eq!(outcome(&[&joined, end]), "a stop", "{joined}");
            }
            assert_eq!(outcome(&[own, other]), "a Interrupted ", "another's end is not this one's");
        }
    }

    #[test]
    fn chunks_without_a_piece_of_the_answer_are_empty() {
        let card = Catalog::from_toml("vendor = \"v\"").unwrap().card("m");
        let id = ProviderId::new("v", "v");
        let request = ChatRequest::ask("?", None::<Image>).with_model("m");
        let plan = PlanBuilder::new(&id, &request, card).finish(Estimate::default()).unwrap();
        let head = ReplyHead::new(200, http::HeaderMap::new());
        let mut decoder = ChatStreamDecoder::new(Arc::new(Plain), &plan, &head);
        for (data, progress) in [
            (r#"{"choices":[]}"#.to_owned(), Progress::Empty),
            (r#"{"type":"ping"}"#.to_owned(), Progress::None),
            (r#"{"choices":null,"usage":{"prompt_tokens":1}}"#.to_owned(), Progress::Empty),
            (chunk(r#"{"delta":{"role":"assistant"}}"#), Progress::Empty),
            (chunk(r#"{"delta":{"content":"","tool_calls":[]}}"#), Progress::Empty),
            (
                chunk(r#"{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}}"#),
                Progress::Event,
            ),
            (
                chunk(r#"{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}}"#),
                Progress::Empty,
            ),
            (chunk(r#"{"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}"#), Progress::Empty),
            (chunk(r#"{"index":1,"delta":{"content":"b"}}"#), Progress::Empty),
            (chunk(r#"{"delta":{"reasoning":"r"}}"#), Progress::Event),
            (chunk(r#"{"delta":{"content":"b"}}"#), Progress::Event),
            (chunk(r#"{"delta":{"content":"c"}}"#), Progress::Event),
        ] {
            let event = SseEvent { name: None, id: None, data: data.as_bytes() };
            assert_eq!(decoder.read(SseItem::Event(event), &mut Events::new()).unwrap(), progress, "{data}");
        }
    }
}
