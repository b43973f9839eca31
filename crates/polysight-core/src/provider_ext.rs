//! Comfort on top of the contract.

use crate::{ChatRequest, ChatResponse, ChatStream, Image, Part, Result, VisionProvider};

/// Calls in one step, for every [`VisionProvider`].
pub trait VisionProviderExt: VisionProvider {
    /// Plans and sends a request, and waits for the whole answer.
    ///
    /// # Errors
    /// As [`VisionProvider::plan`] and [`VisionProvider::send`].
    fn chat(&self, request: ChatRequest) -> impl Future<Output = Result<ChatResponse>> + Send {
        async move {
            let plan = self.plan(&request)?;
            drop(request);
            self.send(plan).await
        }
    }

    /// Plans and sends a request, and streams the answer as it arrives.
    ///
    /// # Errors
    /// As [`VisionProvider::plan`] and [`VisionProvider::stream`].
    fn chat_stream(&self, request: ChatRequest) -> impl Future<Output = Result<ChatStream>> + Send {
        async move {
            let plan = self.plan(&request)?;
            drop(request);
            self.stream(plan).await
        }
    }

    /// Asks one question about some pictures or videos.
    ///
    /// # Errors
    /// As [`chat`](Self::chat).
    fn ask<M>(&self, question: &str, media: M) -> impl Future<Output = Result<ChatResponse>> + Send
    where
        M: IntoIterator,
        M::Item: Into<Part>,
    {
        self.chat(ChatRequest::ask(question, media))
    }

    /// Asks what is in a picture, and gives the text.
    ///
    /// # Errors
    /// As [`chat`](Self::chat).
    fn describe(&self, image: Image) -> impl Future<Output = Result<String>> + Send {
        async move { Ok(self.ask("Describe this picture.", [image]).await?.text) }
    }

    /// Asks by streaming and puts the pieces together: the same as [`chat`](Self::chat), but an answer that
    /// breaks off leaves its text so far on the error.
    ///
    /// # Errors
    /// As [`chat_stream`](Self::chat_stream) and [`ChatStream::collect_response`](crate::ChatStream::collect_response).
    fn stream_collected(&self, request: ChatRequest) -> impl Future<Output = Result<ChatResponse>> + Send {
        async move { self.chat_stream(request).await?.collect_response().await }
    }
}

impl<P: VisionProvider + ?Sized> VisionProviderExt for P {}
