//! A stream that is handed on and kept at its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use polysight_core::{ChatStream, Result, StreamCollector, StreamEnd, StreamEvent};

use super::key::Key;
use super::store::Store;

/// Hands a stream's events on, and keeps the whole answer when it is complete and not too large.
pub(super) fn tee(stream: ChatStream, key: Key, store: Arc<Store>) -> ChatStream {
    let collected = Some(StreamCollector::new());
    stream.map_stream(|stream| Tee { stream, key, store, collected, ending: None })
}

type Keeping = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Tee {
    stream: ChatStream,
    key: Key,
    store: Arc<Store>,
    /// What came so far; `None` once it is too large.
    collected: Option<StreamCollector>,
    /// The end, which waits until the answer is kept.
    ending: Option<(Keeping, Box<StreamEnd>)>,
}

impl Tee {
    fn collect(&mut self, event: &StreamEvent) {
        let Some(collector) = &mut self.collected else { return };
        collector.add(event.clone());
        if !self.store.fits(collector.bytes()) {
            self.collected = None;
        }
    }

    fn end(&mut self, end: Box<StreamEnd>) -> Option<Box<StreamEnd>> {
        let Some(collector) = self.collected.take() else { return Some(end) };
        let response = Arc::new(collector.complete((*end).clone()));
        let (store, key) = (Arc::clone(&self.store), self.key);
        self.ending = Some((Box::pin(async move { store.put(key, response).await }), end));
        None
    }
}

impl Stream for Tee {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ending.is_none() {
            let item = ready!(Pin::new(&mut this.stream).poll_next(context));
            let Some(Ok(StreamEvent::End(end))) = item else {
                if let Some(Ok(event)) = &item {
                    this.collect(event);
                }
                return Poll::Ready(item);
            };
            if let Some(end) = this.end(end) {
                return Poll::Ready(Some(Ok(StreamEvent::End(end))));
            }
        }
        if let Some((keeping, _)) = &mut this.ending {
            ready!(keeping.as_mut().poll(context));
        }
        Poll::Ready(this.ending.take().map(|(_, end)| Ok(StreamEvent::End(end))))
    }
}
