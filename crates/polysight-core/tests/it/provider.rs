//! The contract, used as programs use it.

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Billed, Catalog, ChatRequest, ChatResponse, ChatStream, Conversation, ErrorKind, Estimate, FinishKind,
    FinishReason, Image, Message, Part, Plan, ProviderId, ResponseMeta, Result, StreamEvent, VisionProvider,
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

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        PlanBuilder::new(&self.id, request, self.catalog.card("eye")).finish(Estimate::default())
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        plan.require_provider(&self.id)?;
        let mut response = ChatResponse::new("mine", plan.model(), Self::finish());
        response.text = plan.request.messages[0].text();
        Ok(response)
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
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
        let text = self.send(plan).await?.text;
        let end = ResponseMeta::new("mine", "eye", Self::finish());
        Ok(ChatStream::new(Once(vec![Ok(StreamEvent::End(Box::new(end))), Ok(StreamEvent::Text(text))])))
    }
}

async fn exercise(provider: impl VisionProvider) {
    assert_eq!((provider.id().to_string(), provider.catalog().vendor()), ("mine".to_owned(), "echo"));
    let request = ChatRequest::new([Message::user("hello")]);
    assert_eq!(provider.plan(&request).unwrap().model(), "eye");
    assert_eq!(provider.chat(request.clone()).await.unwrap().text, "hello");
    assert_eq!(provider.stream_collected(request).await.unwrap().text, "hello");
    assert_eq!(provider.chat(ChatRequest::new([])).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert!(provider.chat_stream(ChatRequest::new([])).await.is_err());
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
async fn what_was_planned_can_be_shown_and_sent_more_than_once() {
    let provider = Echo::new();
    let request = ChatRequest::new([Message::user("hello")]);
    let plan = provider.plan(&request).unwrap();
    assert_eq!((plan.model(), plan.original().model.as_deref()), ("eye", None));
    for _ in 0..2 {
        assert_eq!(provider.send(plan.clone()).await.unwrap().text, "hello");
    }
    let streamed = provider.stream(plan).await.unwrap().collect_response().await.unwrap();
    assert_eq!(streamed.text, "hello");
}

#[tokio::test]
async fn a_plan_of_another_provider_is_refused() {
    let (mine, mut other) = (Echo::new(), Echo::new());
    let plan = mine.plan(&ChatRequest::new([Message::user("hello")])).unwrap();
    for id in [
        ProviderId::new("other", "echo"),
        ProviderId::new("mine", "acme"),
        ProviderId::new("mine", "echo").with_endpoint("elsewhere"),
    ] {
        other.id = id;
        let error = other.send(plan.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (ErrorKind::InvalidRequest, Billed::No));
        assert!(error.message().starts_with("the plan was made by provider `mine` (echo)"), "{error}");
    }
}

#[test]
fn a_plan_shares_the_messages_of_its_request() {
    let request = ChatRequest::new([Message::user("hello")]);
    let plan = Echo::new().plan(&request).unwrap();
    assert!(std::ptr::eq(&*request.messages, &*plan.request.messages));
    assert!(std::ptr::eq(&*request.messages, &*plan.original().messages));
}

#[tokio::test]
async fn comfort_works_behind_dyn_and_across_threads() {
    let provider: Arc<dyn VisionProvider> = Arc::new(Echo::new());
    let image = Image::from_bytes(crate::samples::png(2, 3)).unwrap();
    assert_eq!(provider.ask("what?", [image.clone()]).await.unwrap().text, "what?");
    assert_eq!(provider.ask("none?", [] as [Part; 0]).await.unwrap().text, "none?");
    let task = tokio::spawn(async move { provider.describe(image).await });
    assert!(task.await.unwrap().unwrap().contains("picture"));
}

#[test]
fn a_dialogue_that_forgets_media_can_still_be_sent() {
    let provider = Echo::new();
    let image = || Image::from_bytes(crate::samples::png(2, 3)).unwrap();
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
    provider.plan(&talk.request()).unwrap();
    assert_eq!(talk.forget_media(0), 2);
    provider.plan(&talk.request()).unwrap();
}
