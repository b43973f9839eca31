//! The contract, used as programs use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod samples;

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Conversation, Error, ErrorKind, Estimate, FinishKind,
    FinishReason, Image, Message, Part, Plan, ProviderId, Result, StreamEnd, StreamEvent, VisionProvider,
    VisionProviderExt,
};

/// Answers with what it was asked.
#[derive(Debug)]
struct Echo {
    id: ProviderId,
    catalog: Catalog,
}

impl Echo {
    fn new() -> Self {
        let catalog = Catalog::from_toml("vendor = 'echo'\n[[models]]\nid = 'eye'").unwrap();
        Self { id: ProviderId::new("mine", "echo"), catalog }
    }

    fn finish() -> FinishReason {
        FinishReason::new(FinishKind::Stop, "stop")
    }
}

#[async_trait]
impl VisionProvider for Echo {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        PlanBuilder::new(request, self.catalog.card("eye"), false).finish(Estimate::default())
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let plan = self.plan(request)?;
        let mut response = ChatResponse::new("mine", plan.model(), Self::finish());
        response.text = plan.request.messages[0].text();
        Ok(response)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        struct Once(Vec<Result<StreamEvent>>);
        impl futures_core::Stream for Once {
            type Item = Result<StreamEvent>;
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                std::task::Poll::Ready(self.0.pop())
            }
        }
        let text = self.chat(request).await?.text;
        let end = StreamEnd::new("mine", "eye", Self::finish());
        Ok(ChatStream::new(Once(vec![Ok(StreamEvent::End(Box::new(end))), Ok(StreamEvent::Text(text))])))
    }
}

async fn exercise(provider: impl VisionProvider) {
    assert_eq!((provider.id().to_string(), provider.catalog().vendor()), ("mine".to_owned(), "echo"));
    let request = ChatRequest::new([Message::user("hello")]);
    assert_eq!(provider.plan(request.clone()).unwrap().model(), "eye");
    assert_eq!(provider.chat(request.clone()).await.unwrap().text, "hello");
    assert_eq!(provider.stream_collected(request).await.unwrap().text, "hello");
    assert_eq!(provider.chat(ChatRequest::new([])).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert!(provider.stream(ChatRequest::new([])).await.is_err());
}

#[tokio::test]
async fn every_kind_of_pointer_is_a_provider() {
    exercise(Echo::new()).await;
    exercise(&Echo::new()).await;
    exercise(Box::new(Echo::new())).await;
    exercise(Arc::new(Echo::new())).await;
    exercise(Box::new(Echo::new()) as Box<dyn VisionProvider>).await;
    let shared: Arc<dyn VisionProvider> = Arc::new(Echo::new());
    exercise(Arc::clone(&shared)).await;
    exercise(&shared).await;
    exercise(Arc::new(shared)).await;
}

#[tokio::test]
async fn comfort_works_behind_dyn_and_across_threads() {
    let provider: Arc<dyn VisionProvider> = Arc::new(Echo::new());
    let image = Image::from_bytes(samples::png(2, 3)).unwrap();
    assert_eq!(provider.ask("what?", [image.clone()]).await.unwrap().text, "what?");
    assert_eq!(provider.ask("none?", [] as [Part; 0]).await.unwrap().text, "none?");
    let task = tokio::spawn(async move { provider.describe(image).await });
    assert!(task.await.unwrap().unwrap().contains("picture"));
}

#[tokio::test]
async fn json_is_read_as_the_callers_type_or_kept_on_the_error() {
    let provider = Echo::new();
    let extract = |text: &str| ChatRequest::new([Message::user(text)]);
    assert_eq!(provider.extract::<Vec<u8>>(extract("```json\n[1, 2]\n```")).await.unwrap(), [1, 2]);
    let error: Error = provider.extract::<Vec<u8>>(extract("a cat")).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Protocol, Some("mine")));
    assert_eq!(error.partial().unwrap().text, "a cat");
}

#[test]
fn a_dialogue_that_forgets_media_can_still_be_sent() {
    let provider = Echo::new();
    let image = || Image::from_bytes(samples::png(2, 3)).unwrap();
    let mut talk = Conversation::new().with_system("Be brief.");
    talk.push(Message::user_parts([image().into()]));
    talk.push_response(&{
        let mut response = ChatResponse::new("mine", "eye", Echo::finish());
        response.text = "A cat.".to_owned();
        response
    });
    talk.push(Message::user("And here?").with(image()).with(image()));
    assert_eq!(talk.forget_media(1), 1);
    assert_eq!(talk.forget_media(1), 0);
    assert_eq!(talk.messages()[3].parts.len(), 3, "the newest keeps its own");
    provider.plan(talk.request()).unwrap();
    assert_eq!(talk.forget_media(0), 2);
    provider.plan(talk.request()).unwrap();
}
