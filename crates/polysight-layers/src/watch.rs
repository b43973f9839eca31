//! A stream with somebody looking at what goes through it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use polysight_core::{ChatStream, Error, Result, StreamEnd, StreamEvent};

/// Looks at a stream's events as they are handed out. Dropped with the stream, wherever that had come to: what must
/// happen in any case belongs into `Drop`.
pub(crate) trait Watch: Send + Unpin + 'static {
    /// A piece is about to be handed out.
    fn piece(&mut self, _event: &StreamEvent) {}

    /// The answer is complete.
    fn end(&mut self, _end: &mut StreamEnd) {}

    /// The answer failed; what is given back is handed out.
    fn failed(&mut self, error: Error) -> Error {
        error
    }
}

/// Puts a watch on a stream.
pub(crate) fn watched(stream: ChatStream, watch: impl Watch) -> ChatStream {
    stream.map_stream(|stream| Watched { stream, watch })
}

struct Watched<W> {
    stream: ChatStream,
    watch: W,
}

impl<W: Watch> Stream for Watched<W> {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        Pin::new(&mut this.stream).poll_next(context).map(|item| {
            item.map(|event| match event {
                Ok(StreamEvent::End(mut end)) => {
                    this.watch.end(&mut end);
                    Ok(StreamEvent::End(end))
                }
                Ok(event) => {
                    this.watch.piece(&event);
                    Ok(event)
                }
                Err(error) => Err(this.watch.failed(error)),
            })
        })
    }
}
