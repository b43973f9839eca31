//! Zhipu's tokens, signed with the key, end to end.

use std::sync::Arc;

use polysight::{ChatRequest, ErrorKind, Message, Polysight, RetryAdvice, VisionProvider};
use polysight_emulator::{Emulator, Fault, Surface};
use polysight_testkit::calls::{answers, plain, streamed};

const KEY: &str = "0123456789abcdef.testsecret1234567";

async fn start() -> (Emulator, Arc<dyn VisionProvider>) {
    let emulator = Emulator::builder().key(KEY).start().await.unwrap();
    let provider = provider(&emulator, KEY);
    (emulator, provider)
}

fn provider(emulator: &Emulator, key: &str) -> Arc<dyn VisionProvider> {
    let base_url = emulator.base_url(Surface::Zhipu);
    let config = format!(
        "[providers.zhipu]\nbackend = \"zhipu\"\nauth = \"jwt\"\nmodel = \"glm-4v-plus\"\n\
         base_url = \"{base_url}\"\napi_key = \"{key}\"\n"
    );
    Polysight::from_toml(&config).unwrap().provider("zhipu").unwrap()
}

fn hello() -> ChatRequest {
    ChatRequest::new([Message::user("Hello")])
}

fn expired() -> Fault {
    Fault::Code("1003".to_owned())
}

#[tokio::test]
async fn a_signed_token_is_accepted_and_used_again() {
    let (emulator, provider) = start().await;
    answers(&*provider, hello()).await;
    let requests = emulator.requests();
    let shown: Vec<_> = requests.iter().map(|request| request.header("authorization").unwrap()).collect();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0], shown[1]);
}

#[tokio::test]
async fn a_token_of_another_secret_is_refused() {
    let (emulator, _) = start().await;
    let other = provider(&emulator, "0123456789abcdef.othersecret");
    let error = plain(&*other, hello()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Authentication, RetryAdvice::Never));
    assert_eq!(emulator.requests().len(), 1);
}

#[tokio::test]
async fn an_expired_token_is_made_anew_once_and_the_request_sent_again() {
    let (emulator, provider) = start().await;
    for is_streamed in [false, true] {
        emulator.clear_requests();
        emulator.script(expired());
        let answer = match is_streamed {
            false => plain(&*provider, hello()).await,
            true => streamed(&*provider, hello()).await,
        };
        assert!(answer.unwrap().text.contains("Hello"));
        let requests = emulator.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].body, requests[1].body, "the same request, its id included");
    }
}

#[tokio::test]
async fn a_token_that_expires_at_once_again_is_given_up() {
    let (emulator, provider) = start().await;
    for is_streamed in [false, true] {
        emulator.clear_requests();
        emulator.script(expired());
        emulator.script(expired());
        let error = match is_streamed {
            false => plain(&*provider, hello()).await.unwrap_err(),
            true => streamed(&*provider, hello()).await.unwrap_err(),
        };
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Authentication, RetryAdvice::Never));
        assert_eq!((error.code(), error.status()), (Some("1003"), Some(401)));
        assert_eq!(emulator.requests().len(), 2);
    }
}
