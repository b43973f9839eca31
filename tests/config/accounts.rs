//! Which providers of one config file share a rate limit: those of one account at one endpoint, however that is written.

use std::sync::Arc;
use std::time::Duration;

use polysight::layers::rate_limit::LOCAL_RATE_LIMIT;
use polysight::{ChatRequest, Message, Polysight, VisionProvider};
use polysight_testkit::{MockServer, Step, calls};

/// The vendor's own site is behind a proxy that takes a connection and says no more.
fn config(proxy: &MockServer, other: &str) -> String {
    let proxy = proxy.url("");
    let provider = |name: &str, lines: &str| {
        format!(
            "[providers.{name}]\nbackend = \"ernie\"\nmodel = \"ernie-4.5-turbo-vl\"\nproxy = \"{proxy}\"\n\
             rate_limit = {{ concurrency = 1, max_wait = 0 }}\n{lines}\n"
        )
    };
    provider("one", "api_key = \"bce-v3/ALTAK-one/1\"") + &provider("two", other)
}

/// Whether a second provider's call waits for the first one's, which is in flight.
async fn share_one_limit(other: &str) -> bool {
    let proxy = MockServer::start().await;
    proxy.play(&[Step::ReadHead, Step::Hang]);
    let polysight = Polysight::from_toml(&config(&proxy, other)).unwrap();
    let [one, two] = ["one", "two"].map(|name| polysight.provider(name).unwrap());
    let ask = |provider: Arc<dyn VisionProvider>| async move {
        calls::plain(&*provider, ChatRequest::new([Message::user("?")])).await
    };
    let first = tokio::spawn(ask(one));
    arrived(&proxy, 1).await;
    let second = tokio::spawn(ask(two));
    let shared = tokio::select! {
        () = arrived(&proxy, 2) => false,
        answer = second => {
            let error = answer.unwrap().unwrap_err();
            assert_eq!(error.code(), Some(LOCAL_RATE_LIMIT), "{error}");
            true
        }
    };
    let sent = proxy.requests();
    assert_eq!(sent.len(), if shared { 1 } else { 2 });
    assert!(sent[0].line().starts_with("CONNECT qianfan.baidubce.com:443 "), "{}", sent[0].line());
    first.abort();
    shared
}

async fn arrived(proxy: &MockServer, requests: usize) {
    while proxy.requests().len() < requests {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn one_account_has_one_limit_however_its_site_is_written() {
    let key = "api_key = \"bce-v3/ALTAK-one/1\"";
    for site in [
        "",
        "region = \"mainland\"",
        "region = \"beijing\"",
        "base_url = \"https://qianfan.baidubce.com/v2\"",
        "base_url = \"https://qianfan.baidubce.com/v2/\"",
    ] {
        assert!(share_one_limit(&format!("{key}\n{site}")).await, "{site}");
    }
    assert!(!share_one_limit(&format!("{key}\nregion = \"international\"")).await, "another site");
    assert!(!share_one_limit("api_key = \"bce-v3/ALTAK-two/2\"").await, "another account");
}
