//! Whole answers, and the pieces that streams share with them.

use bytes::Bytes;
use polysight_core::{
    ChatResponse, Error, ErrorKind, FinishReason, Plan, ProviderId, RawReply, Result, ToolCall, Usage,
};
use polysight_wire::ReplyHead;
use serde::Deserialize;
use serde_json::Value;

use super::errors;

/// What an answer may hold; of a streamed one each drop holds a part.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) eye: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) said: String,
    pub(super) pondered: String,
    pub(super) asks: Vec<Asks>,
    pub(super) ended: Option<String>,
    /// Tokens of question and answer.
    pub(super) spent: Option<(u64, u64)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asks {
    pub(super) no: String,
    pub(super) tool: String,
    pub(super) with: Value,
}

impl Answer {
    pub(super) fn usage(&self) -> Option<Usage> {
        self.spent.map(|(asked, answered)| Usage::new(asked, answered, asked + answered))
    }

    pub(super) fn finish(&self) -> Option<FinishReason> {
        self.ended.as_deref().map(|raw| FinishReason::new(errors::finish_kind(raw), raw))
    }
}

pub(super) fn read(data: &[u8]) -> Result<Answer> {
    serde_json::from_slice(data)
        .map_err(|error| Error::new(ErrorKind::Protocol, "no answer of Acme's").with_source(error))
}

pub(super) fn decode(id: &ProviderId, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
    let answer = read(body)?;
    let finish = answer.finish().ok_or_else(|| {
        Error::new(ErrorKind::Interrupted, "the answer has no end").with_status(head.status)
    })?;
    let usage = answer.usage();
    let mut response = ChatResponse::new(&*id.name, answer.eye.unwrap_or_default(), finish);
    (response.text, response.reasoning) = (answer.said, answer.pondered);
    response.tool_calls = answer
        .asks
        .into_iter()
        .map(|call| ToolCall::new(call.no, call.tool, call.with.to_string()))
        .collect();
    response.usage = usage;
    response.request_id = answer.ticket;
    response.adjustments = plan.adjustments.clone();
    response.raw = plan.request.keep_raw.then(|| RawReply::new(vec![body.clone()]));
    response.into_result(plan.accepts_cut())
}
