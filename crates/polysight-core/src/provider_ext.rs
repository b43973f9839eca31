//! Comfort on top of the contract.

use serde::de::DeserializeOwned;

use crate::{
    ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Image, Part, Partial, Result, VisionProvider,
};

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

    /// Asks for JSON and reads it as a type of the caller's.
    ///
    /// The request goes out as it is: say in the prompt that the answer must be JSON, and set
    /// [`response_format`](ChatRequest::response_format) where the model has one. A Markdown code fence around the
    /// JSON is taken off.
    ///
    /// # Errors
    /// As [`chat`](Self::chat); and [`ErrorKind::Protocol`] with the text as its partial when the answer is no
    /// JSON of that type.
    fn extract<T: DeserializeOwned>(&self, request: ChatRequest) -> impl Future<Output = Result<T>> + Send {
        async move {
            let response = self.chat(request).await?;
            serde_json::from_str(unfenced(&response.text)).map_err(|error| {
                Error::new(ErrorKind::Protocol, "the answer is not JSON of the wanted type")
                    .with_provider(response.meta.provider)
                    .with_partial(Partial::new(response.text, response.reasoning))
                    .with_source(error)
            })
        }
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

/// Takes a Markdown code fence off.
fn unfenced(text: &str) -> &str {
    let trimmed = text.trim();
    let Some(inner) = trimmed.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else {
        return trimmed;
    };
    inner.split_once('\n').map_or(inner, |(_language, body)| body).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fence_is_taken_off() {
        assert_eq!(unfenced("```json\n{\"a\":1}\n```"), "{\"a\":1}");
        assert_eq!(unfenced(" {\"a\":1} "), "{\"a\":1}");
        assert_eq!(unfenced("```\n[]\n```\n"), "[]");
    }
}
