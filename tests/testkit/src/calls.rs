//! Calls that many tests make, and what is shown of their failures.

use std::fmt::Write as _;

use polysight::{
    ChatRequest, ChatResponse, ChatStream, Error, Plan, Result, VisionProvider, VisionProviderExt as _,
};

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A plain call.
    Plain,
    /// A stream, read event by event.
    Streamed,
    /// A stream that is collected.
    Collected,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Streamed, Self::Collected];
}

/// Plans a request without sending anything.
///
/// # Errors
/// The violations that the provider finds.
pub fn plan(provider: &dyn VisionProvider, request: &ChatRequest) -> Result<Plan> {
    provider.plan(request.clone())
}

/// Calls for a stream, and gives it as it comes.
///
/// # Errors
/// The provider's, for everything up to the reply's head.
pub async fn open(provider: &dyn VisionProvider, request: ChatRequest) -> Result<ChatStream> {
    provider.stream(request).await
}

/// Calls plain.
///
/// # Errors
/// The provider's.
pub async fn plain(provider: &dyn VisionProvider, request: ChatRequest) -> Result<ChatResponse> {
    provider.chat(request).await
}

/// Calls for a stream and collects it.
///
/// # Errors
/// The provider's, or the stream's.
pub async fn streamed(provider: &dyn VisionProvider, request: ChatRequest) -> Result<ChatResponse> {
    provider.stream_collected(request).await
}

/// Calls plain, then for a stream.
pub async fn both(provider: &dyn VisionProvider, request: ChatRequest) -> [Result<ChatResponse>; 2] {
    [plain(provider, request.clone()).await, streamed(provider, request).await]
}

/// The answers plain and streamed.
pub async fn answers(provider: &dyn VisionProvider, request: ChatRequest) -> [ChatResponse; 2] {
    both(provider, request).await.map(|answer| answer.unwrap_or_else(|error| panic!("{error:?}")))
}

/// The failures plain and streamed.
pub async fn failures(provider: &dyn VisionProvider, request: ChatRequest) -> [Error; 2] {
    both(provider, request).await.map(|answer| answer.expect_err("a failure"))
}

/// Everything that a program could print of an error: itself, its `Debug`, its parts, its causes.
#[must_use]
pub fn shown(error: &Error) -> String {
    let mut shown = format!(
        "{error}\n{error:?}\n{}\n{:?} {:?} {:?}",
        error.message(),
        error.vendor_message(),
        error.code(),
        error.request_id()
    );
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(shown, "\n{cause}\n{cause:?}");
        source = cause.source();
    }
    shown
}
