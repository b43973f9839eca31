//! What one writes by hand without a library: reqwest, `json!`, `format!("data:..")`, eventsource-stream.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{Client, MODEL, Picture, Question, Sink};
use crate::Result;

pub struct Naive {
    http: reqwest::Client,
    url: String,
}

impl Naive {
    async fn send(&self, question: &Question, is_streamed: bool) -> Result<reqwest::Response> {
        let mut content = Vec::new();
        for picture in &question.pictures {
            let base64 = match picture {
                Picture::File(path) => BASE64_STANDARD.encode(std::fs::read(path)?),
                Picture::Shared(bytes) => BASE64_STANDARD.encode(bytes),
            };
            let url = format!("data:image/jpeg;base64,{base64}");
            content.push(json!({"type": "image_url", "image_url": {"url": url}}));
        }
        content.push(json!({"type": "text", "text": question.text}));
        let body = json!({
            "model": MODEL, "stream": is_streamed, "messages": [{"role": "user", "content": content}],
        });
        let request = self
            .http
            .post(&self.url)
            .bearer_auth("key-of-the-bench")
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&body)?);
        Ok(request.send().await?.error_for_status()?)
    }
}

impl Client for Naive {
    const NAME: &'static str = "naive";

    fn new(base: &str, ca: Option<&Path>) -> Result<Self> {
        // Lost only where one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder();
        if let Some(ca) = ca {
            http = http.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&std::fs::read(ca)?)?);
        }
        Ok(Self { http: http.build()?, url: format!("{base}/chat/completions") })
    }

    async fn ask(&self, question: &Question) -> Result<String> {
        let reply: Value = serde_json::from_slice(&self.send(question, false).await?.bytes().await?)?;
        Ok(reply["choices"][0]["message"]["content"].as_str().ok_or("no content")?.to_owned())
    }

    async fn stream(&self, question: &Question, sink: &mut impl Sink) -> Result<()> {
        let reply = self.send(question, true).await?;
        let chunks = futures_util::stream::unfold(reply, |mut reply| async {
            reply.chunk().await.transpose().map(|chunk| (chunk, reply))
        });
        let mut events = std::pin::pin!(chunks.eventsource());
        while let Some(event) = events.next().await {
            let data = event?.data;
            if data == "[DONE]" {
                break;
            }
            let chunk: Value = serde_json::from_str(&data)?;
            if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str() {
                sink.push(text);
            }
        }
        Ok(())
    }
}
