//! Comfort on top of the contract.

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::{ChatRequest, ChatResponse, Error, ErrorKind, Image, Part, Partial, Result, VisionProvider};

/// What most programs want, for every [`VisionProvider`].
#[async_trait]
pub trait VisionProviderExt: VisionProvider {
    /// Asks one question about some pictures or videos.
    ///
    /// # Errors
    /// As [`VisionProvider::chat`].
    async fn ask<M>(&self, question: &str, media: M) -> Result<ChatResponse>
    where
        M: IntoIterator + Send,
        M::Item: Into<Part>,
    {
        self.chat(ChatRequest::ask(question, media)).await
    }

    /// Asks what is in a picture, and gives the text.
    ///
    /// # Errors
    /// As [`VisionProvider::chat`].
    async fn describe(&self, image: Image) -> Result<String> {
        Ok(self.ask("Describe this picture.", [image]).await?.text)
    }

    /// Asks for JSON and reads it as a type of the caller's.
    ///
    /// The request goes out as it is: say in the prompt that the answer must be JSON, and set
    /// [`response_format`](ChatRequest::response_format) where the model has one. A Markdown code fence around the
    /// JSON is taken off.
    ///
    /// # Errors
    /// As [`VisionProvider::chat`]; and [`ErrorKind::Protocol`] with the text as its partial when the answer is no
    /// JSON of that type.
    async fn extract<T: DeserializeOwned>(&self, request: ChatRequest) -> Result<T> {
        let response = self.chat(request).await?;
        serde_json::from_str(unfenced(&response.text)).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the answer is not JSON of the wanted type")
                .with_provider(response.provider)
                .with_partial(Partial::new(response.text, response.reasoning))
                .with_source(error)
        })
    }

    /// Asks by streaming and puts the pieces together: the same as [`chat`](VisionProvider::chat), but an answer that
    /// breaks off leaves its text so far on the error.
    ///
    /// # Errors
    /// As [`VisionProvider::stream`] and [`ChatStream::collect_response`](crate::ChatStream::collect_response).
    async fn stream_collected(&self, request: ChatRequest) -> Result<ChatResponse> {
        self.stream(request).await?.collect_response().await
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
