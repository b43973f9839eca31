//! What is known of a streamed answer so far, whatever its chunks look like.

use bytes::Bytes;
use polysight_core::{Error, ErrorKind, FinishKind, FinishReason, Plan, RawReply, ResponseMeta, Result};

use super::tool_call_index::no_calls;
use super::{Halves, ToolCallIndex, reply_meta};
use crate::json::{self, LoneHalves};
use crate::{Progress, ReplyHead};

/// What is known of a streamed answer so far. A decoder fills it, and takes the end of the answer from it.
#[derive(Debug)]
pub struct StreamState {
    /// The reply's head.
    pub head: ReplyHead,
    /// What is known besides the text.
    pub meta: ResponseMeta,
    /// The order of its tool calls.
    pub calls: ToolCallIndex,
    /// Characters that were cut between two chunks.
    pub halves: Halves,
    finish: Option<FinishReason>,
    is_limited: bool,
    has_begun: bool,
    raw: Option<Vec<Bytes>>,
}

impl StreamState {
    /// The state before the first chunk of the reply to a plan.
    #[must_use]
    pub fn new(plan: &Plan, head: &ReplyHead) -> Self {
        Self {
            head: head.clone(),
            meta: reply_meta(plan, head, FinishReason::new(FinishKind::Other, "")),
            finish: None,
            calls: ToolCallIndex::default(),
            halves: Halves::default(),
            is_limited: plan.accepts_cut(),
            has_begun: false,
            raw: plan.request.keep_raw.then(Vec::new),
        }
    }

    /// How the answer ended, once the model has said so.
    #[must_use]
    pub fn finish(&self) -> Option<&FinishReason> {
        self.finish.as_ref()
    }

    /// Notes a way in which the answer ended. Where a server says several the worst one holds, whatever comes after it.
    pub fn end_with(&mut self, finish: FinishReason) {
        self.finish = Some(match self.finish.take() {
            Some(known) => known.worse(finish),
            None => finish,
        });
    }

    /// Counts a chunk as read, and keeps it where the request asks for that.
    pub fn keep(&mut self, chunk: &[u8]) {
        self.has_begun = true;
        if let Some(raw) = &mut self.raw {
            raw.push(Bytes::copy_from_slice(chunk));
        }
    }

    /// The end of the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] without a finish reason, whatever the way of ending stands for, and [`ErrorKind::Protocol`]
    /// for tool calls that are none.
    pub fn end(&mut self) -> Result<ResponseMeta> {
        let Some(finish) = self.finish.take() else {
            let message = match self.has_begun {
                true => "the stream ended before the answer did",
                false => "the stream ended without a single event",
            };
            return Err(self.describe(Error::new(ErrorKind::Interrupted, message)));
        };
        let mut meta = self.meta.clone();
        meta.finish = finish;
        meta.raw = self.raw.take().map(RawReply::new);
        let meta = meta.into_result(self.is_limited)?;
        self.check_calls(meta.finish.kind).map_err(|error| self.describe(error))?;
        Ok(meta)
    }

    fn check_calls(&self, finish: FinishKind) -> Result<()> {
        match finish {
            FinishKind::ToolCalls if !self.calls.has_call() => Err(no_calls()),
            // The last call may be cut anywhere.
            FinishKind::Length => Ok(()),
            _ => self.calls.check(),
        }
    }

    /// Adds what is known of the answer to the error of its end.
    fn describe(&self, error: Error) -> Error {
        let error = error.with_safety(self.meta.safety.clone());
        match self.meta.id.as_ref().or(self.meta.request_id.as_ref()) {
            Some(id) => error.with_request_id(id),
            None => error,
        }
    }
}

/// Reads an event's data that are not quite JSON, or that may begin with half a character: each document by `read`, with the
/// decoder that `state` belongs to. What does not even begin as JSON is no part of an answer.
///
/// # Errors
/// `garbled` for a document that lacks its end, and whatever `read` gives.
pub fn read_repaired<D>(
    decoder: &mut D,
    state: fn(&mut D) -> &mut StreamState,
    data: &[u8],
    garbled: impl FnOnce() -> Error,
    mut read: impl FnMut(&mut D, &str) -> Result<Progress>,
) -> Result<Progress> {
    if !json::is_document(data) {
        return Ok(Progress::None);
    }
    let documents = json::documents(data, LoneHalves::Keep);
    if documents.cut.is_some() {
        return Err(garbled());
    }
    let mut progress = Progress::None;
    state(decoder).halves.is_repairing = true;
    let outcome = documents.texts.iter().try_for_each(|text| {
        progress = read(decoder, text)?.max(progress);
        Ok(())
    });
    state(decoder).halves.is_repairing = false;
    outcome?;
    for text in json::documents(data, LoneHalves::Replace).texts {
        state(decoder).keep(text.as_bytes());
    }
    Ok(progress)
}
