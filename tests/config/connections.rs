//! Providers of one config file share connections where their settings allow it, and nothing else.

use polysight::{ChatRequest, Message, Polysight, VisionProvider as _, VisionProviderExt as _};
use polysight_tests::{Act, Server};

fn config(server: &Server, other: &str) -> String {
    let address = server.address();
    format!(
        "[providers.one]\nbackend = \"zhipu\"\nbase_url = \"http://{address}/v4\"\napi_key = \"key.one\"\n\
         headers = {{ x-team = \"first\" }}\n\
         [providers.two]\nbackend = \"zhipu\"\nbase_url = \"http://{address}/v4\"\napi_key = \"key.two\"\n{other}\n"
    )
}

/// Asks one provider, then the other: the number of connections, and the heads of the requests.
async fn asked(other: &str) -> (usize, Vec<String>) {
    let answer = r#"{"choices":[{"message":{"content":"ha"},"finish_reason":"stop"}]}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let server = Server::start().await.unwrap();
    let write = || Act::Write(reply.clone().into_bytes());
    server.play(&[Act::Request, write(), Act::Request, write()]);
    let sight = Polysight::from_toml(&config(&server, other)).unwrap();
    for name in ["one", "two"] {
        let request = ChatRequest::new([Message::user("?")]);
        assert_eq!(sight.provider(name).unwrap().chat(request).await.unwrap().text, "ha");
    }
    (server.connections(), server.requests().into_iter().map(|request| request.head.to_lowercase()).collect())
}

#[tokio::test]
async fn equal_providers_share_connections_and_neither_keys_nor_headers() {
    let (connections, heads) = asked("timeouts = { idle = 7 }").await;
    assert_eq!(connections, 1);
    assert!(heads[0].contains("key.one") && heads[0].contains("x-team: first"), "{}", heads[0]);
    assert!(heads[1].contains("key.two") && !heads[1].contains("x-team"), "{}", heads[1]);
}

#[tokio::test]
async fn another_connect_limit_is_another_client() {
    assert_eq!(asked("timeouts = { connect = 7 }").await.0, 2);
}

#[tokio::test]
async fn a_provider_keeps_its_own_limits() {
    let server = Server::start().await.unwrap();
    server.play(&[Act::Request, Act::Hold]);
    let sight = Polysight::from_toml(&config(&server, "timeouts = { first_byte = 0.05 }")).unwrap();
    sight.provider("one").unwrap();
    let error = sight.provider("two").unwrap().ask("?", polysight_no_media()).await.unwrap_err();
    assert!(matches!(error.kind(), polysight::ErrorKind::Timeout(_)), "{error}");
}

fn polysight_no_media() -> [polysight::Image; 0] {
    []
}
