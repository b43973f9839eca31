//! Streamed answers: an event `drop` for each piece, `close` at the end.

use bytes::Bytes;
use polysight_core::{
    Error, ErrorKind, FinishKind, FinishReason, Plan, ProviderId, RawReply, ResponseMeta, Result,
    StreamEvent, ToolCallDelta,
};
use polysight_wire::sse::SseItem;
use polysight_wire::{Events, Progress, ReplyHead, StreamDecoder};

use super::{errors, reply};

pub(super) struct AcmeDecoder {
    head: ReplyHead,
    end: ResponseMeta,
    limited: bool,
    complete: bool,
    calls: usize,
    raw: Option<Vec<Bytes>>,
}

impl AcmeDecoder {
    pub(super) fn new(id: &ProviderId, plan: &Plan, head: &ReplyHead) -> Self {
        let mut end = ResponseMeta::new(&*id.name, plan.model(), FinishReason::new(FinishKind::Other, ""));
        end.adjustments = plan.adjustments.clone();
        Self {
            head: head.clone(),
            end,
            limited: plan.accepts_cut(),
            complete: false,
            calls: 0,
            raw: plan.request.keep_raw.then(Vec::new),
        }
    }

    fn read_answer(&mut self, data: &[u8], events: &mut Events) -> Result<()> {
        let answer = reply::read(data)?;
        if let Some(finish) = answer.finish() {
            (self.end.finish, self.complete) = (finish, true);
            self.end.usage = answer.usage();
            self.end.request_id = answer.ticket;
        }
        if !answer.pondered.is_empty() {
            events.push_back(StreamEvent::Reasoning(answer.pondered));
        }
        if !answer.said.is_empty() {
            events.push_back(StreamEvent::Text(answer.said));
        }
        for call in answer.asks {
            let arguments = call.with.to_string();
            let delta = ToolCallDelta::new(self.calls, Some(call.no), Some(call.tool), arguments);
            events.push_back(StreamEvent::ToolCall(delta));
            self.calls += 1;
        }
        Ok(())
    }
}

impl StreamDecoder for AcmeDecoder {
    fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
        let SseItem::Event(event) = item else { return Ok(Progress::None) };
        if event.name == Some(b"fault") {
            return Err(errors::error_of(&self.head, event.data));
        }
        if let Some(raw) = &mut self.raw {
            raw.push(Bytes::copy_from_slice(event.data));
        }
        self.read_answer(event.data, events)?;
        Ok(if self.complete { Progress::Done } else { Progress::Event })
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self, _: &mut Events) -> Result<ResponseMeta> {
        if !self.complete {
            return Err(Error::new(ErrorKind::Interrupted, "the stream has no close"));
        }
        self.end.raw = self.raw.take().map(RawReply::new);
        self.end.clone().into_result(self.limited)
    }
}
