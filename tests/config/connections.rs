//! Providers of one config file share connections where their settings allow it, and nothing else.

use polysight::{ChatRequest, Message, Polysight, VisionProviderExt as _};
use polysight_testkit::{MockServer, Reply, Step, calls};

fn config(server: &MockServer, other: &str) -> String {
    let address = server.address();
    format!(
        "[providers.one]\nbackend = \"zhipu\"\nbase_url = \"http://{address}/v4\"\napi_key = \"key.one\"\n\
         headers = {{ x-team = \"first\" }}\n\
         [providers.two]\nbackend = \"zhipu\"\nbase_url = \"http://{address}/v4\"\napi_key = \"key.two\"\n{other}\n"
    )
}

/// Asks one provider, then the other: the number of connections, and the heads of the requests.
async fn call_both(other: &str) -> (usize, Vec<String>) {
    let answer = r#"{"choices":[{"message":{"content":"ha"},"finish_reason":"stop"}]}"#;
    let length = answer.len();
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
    );
    let server = MockServer::start().await;
    let send = || Step::Send(reply.clone().into_bytes());
    server.play(&[Step::ReadRequest, send(), Step::ReadRequest, send()]);
    let polysight = Polysight::from_toml(&config(&server, other)).unwrap();
    for name in ["one", "two"] {
        let request = ChatRequest::new([Message::user("?")]);
        assert_eq!(calls::plain(&*polysight.provider(name).unwrap(), request).await.unwrap().text, "ha");
    }
    (server.connections(), server.requests().into_iter().map(|request| request.head.to_lowercase()).collect())
}

#[tokio::test]
async fn equal_providers_share_connections_and_neither_keys_nor_headers() {
    let (connections, heads) = call_both("timeouts = { idle = 7 }").await;
    assert_eq!(connections, 1);
    assert!(heads[0].contains("key.one") && heads[0].contains("x-team: first"), "{}", heads[0]);
    assert!(heads[1].contains("key.two") && !heads[1].contains("x-team"), "{}", heads[1]);
}

#[tokio::test]
async fn another_connect_limit_is_another_client() {
    assert_eq!(call_both("timeouts = { connect = 7 }").await.0, 2);
}

#[tokio::test]
async fn a_provider_keeps_its_own_limits() {
    let server = MockServer::with_reply(Reply::nothing().then(Step::Hang)).await;
    let polysight = Polysight::from_toml(&config(&server, "timeouts = { first_byte = 0.05 }")).unwrap();
    polysight.provider("one").unwrap();
    let error = polysight.provider("two").unwrap().ask("?", [] as [polysight::Image; 0]).await.unwrap_err();
    assert!(matches!(error.kind(), polysight::ErrorKind::Timeout(_)), "{error}");
}
