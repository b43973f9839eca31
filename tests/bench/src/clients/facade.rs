//! Polysight: its Zhipu provider, planning included.

use std::path::Path;

use polysight::catalog::ModelRow;
use polysight::wire::Transport;
use polysight::zhipu::{Zhipu, ZhipuSettings};
use polysight::{ApiKey, ChatRequest, Image, ProviderOptions, StreamEvent, VisionProviderExt as _};

use super::{Client, MODEL, Picture, Question, Sink};
use crate::Result;

pub struct Facade<const HTTP2: bool = false>(Zhipu);

/// The same over HTTP/2, where the server speaks it.
pub type Http2 = Facade<true>;

fn request(question: &Question) -> Result<ChatRequest> {
    let images = question.pictures.iter().map(|picture| match picture {
        Picture::File(path) => Image::from_file(path),
        Picture::Shared(bytes) => Image::from_bytes(bytes.clone()),
    });
    let images = images.collect::<polysight::Result<Vec<_>>>()?;
    Ok(ChatRequest::ask(&question.text, images).with_model(MODEL))
}

impl<const HTTP2: bool> Client for Facade<HTTP2> {
    const NAME: &'static str = if HTTP2 { "polysight-http2" } else { "polysight" };

    fn new(base: &str, ca: Option<&Path>) -> Result<Self> {
        let mut transport = Transport::builder().http2(HTTP2);
        if let Some(ca) = ca {
            transport = transport.root_certificates(std::fs::read(ca)?);
        }
        let model = format!("id = \"{MODEL}\"\n[image]\ndata_uri = true").parse::<toml::Table>()?;
        let options = ProviderOptions::new("bench")
            .with_api_key(ApiKey::new("key-of-the-bench")?)
            .with_base_url(base.parse()?)
            .with_models(vec![ModelRow::new(model)?])
            .with_transport(transport.build()?);
        Ok(Self(Zhipu::new(options, &ZhipuSettings::default())?))
    }

    async fn ask(&self, question: &Question) -> Result<String> {
        Ok(self.0.chat(request(question)?).await?.text)
    }

    async fn stream(&self, question: &Question, sink: &mut impl Sink) -> Result<()> {
        let mut events = self.0.chat_stream(request(question)?).await?;
        while let Some(event) = events.next_event().await {
            if let StreamEvent::Text(text) = event? {
                sink.push(&text);
            }
        }
        Ok(())
    }
}
