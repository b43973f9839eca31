//! Who may call: keys, origins, hosts.

use polysight::{ErrorKind, Polysight};
use polysight_gateway::{Gateway, Settings};

use crate::client::{Served, config, question};

const KEYS: &str = r#"
    [gateway]
    origins = ["https://chat.h.example"]
    [[gateway.keys]]
    name = "ann"
    key = "gateway-key-of-ann"
    [[gateway.keys]]
    name = "bob"
    key = "sha256:9d1cb3fb5dcd1bb0c2e0c1d1ff7fdd0e0d37b25c9bdac0e5c2e26f5f6cf2b1d9"
    roles = ["qwen"]
    [[gateway.keys]]
    name = "eve"
    key = "gateway-key-of-eve"
    roles = ["qwen"]
    requests_per_minute = 2
"#;

#[tokio::test]
async fn a_key_opens_its_roles_and_no_others() {
    let served = Served::start(KEYS).await;
    let body = question("default").to_string();
    let status = |headers: &'static str| {
        let (served, body) = (&served, &body);
        async move { served.post(body, headers).await }
    };
    let none = status("").await;
    assert_eq!((none.status, none.error()["code"].as_str()), (401, Some("missing_api_key")));
    let wrong = status("Authorization: Bearer gateway-key-of-anN\r\n").await;
    assert_eq!((wrong.status, wrong.error()["code"].as_str()), (401, Some("invalid_api_key")));
    assert!(!wrong.body.contains("gateway-key"), "{wrong:?}");
    assert_eq!(status("Authorization: Bearer gateway-key-of-ann\r\n").await.status, 200);
    assert_eq!(status("authorization: bearer gateway-key-of-ann\r\n").await.status, 200);
    assert_eq!(status("X-Api-Key: gateway-key-of-ann\r\n").await.status, 200);
    let other = status("X-Api-Key: gateway-key-of-eve\r\n").await;
    assert_eq!((other.status, other.error()["code"].as_str()), (404, Some("model_not_found")));
    assert!(!other.body.contains("`default`?"), "a role of others is not named: {other:?}");
    let list = served.get("/v1/models", "X-Api-Key: gateway-key-of-eve\r\n").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(served.get("/v1/models", "").await.status, 401);
    assert_eq!(served.get("/metrics", "").await.status, 401);
    for open in ["/healthz", "/readyz", "/"] {
        assert_eq!(served.get(open, "").await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn a_key_has_its_own_rate_limit() {
    let served = Served::start(KEYS).await;
    let (body, key) = (question("qwen").to_string(), "X-Api-Key: gateway-key-of-eve\r\n");
    for _ in 0..2 {
        assert_eq!(served.post(&body, key).await.status, 200);
    }
    let reply = served.post(&body, key).await;
    assert_eq!((reply.status, reply.error()["code"].as_str()), (429, Some("key_rate_limit")));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    // The store keeps each count for a second more than a minute, and seconds are rounded up.
    assert!((1..=62).contains(&wait), "{wait}");
    assert_eq!(served.post(&body, "X-Api-Key: gateway-key-of-ann\r\n").await.status, 200);
}

#[tokio::test]
async fn pages_of_listed_origins_alone_may_ask() {
    let served = Served::start(KEYS).await;
    let preflight = |origin: &'static str| {
        let request = format!(
            "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: h\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, x-stainless-lang\r\n\r\n"
        );
        let served = &served;
        async move { served.send(request.as_bytes()).await }
    };
    let known = preflight("https://chat.h.example").await;
    assert_eq!(
        (known.status, known.header("access-control-allow-origin")),
        (204, Some("https://chat.h.example"))
    );
    assert_eq!(known.header("access-control-allow-headers"), Some("authorization, x-stainless-lang"));
    let unknown = preflight("https://evil.example").await;
    assert_eq!((unknown.status, unknown.header("access-control-allow-origin")), (403, None));
    let body = question("default").to_string();
    let headers = "X-Api-Key: gateway-key-of-ann\r\nOrigin: https://chat.h.example\r\n";
    let reply = served.post(&body, headers).await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("https://chat.h.example"))
    );
    assert!(reply.header("access-control-expose-headers").unwrap().contains("x-request-id"));
}

#[tokio::test]
async fn without_keys_a_page_of_another_site_gets_nothing() {
    let served = Served::start("").await;
    let body = question("default").to_string();
    let raw = |host: &str, more: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        )
    };
    let json = "Content-Type: application/json\r\n";
    for (host, more, status) in [
        ("evil.example", json, 403),
        ("127.0.0.1.evil.example", json, 403),
        ("127.0.0.1:8080", json, 200),
        ("[::1]:8080", json, 200),
        ("LOCALHOST:1", json, 200),
        ("localhost", "Content-Type: application/json\r\nOrigin: https://evil.example\r\n", 403),
        ("localhost:8080", "Content-Type: application/json\r\nOrigin: http://localhost:8080\r\n", 200),
        ("localhost", "Content-Type: text/plain\r\nOrigin: null\r\n", 403),
        ("localhost", "", 200),
    ] {
        let reply = served.send(raw(host, more).as_bytes()).await;
        assert_eq!(reply.status, status, "{host} {more}: {reply:?}");
    }
    assert_eq!(served.emulator.requests().len(), 5);
}

#[tokio::test]
async fn without_keys_it_listens_on_loopback_only() {
    let served = Served::start("").await;
    let error = served.gateway.check_address("0.0.0.0:8080".parse().unwrap()).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("[[gateway.keys]]"), "{error}");
    served.gateway.check_address("[::1]:1".parse().unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(served.gateway.clone().serve(listener, std::future::pending()).await.is_err());
}

#[tokio::test]
async fn a_key_for_an_unknown_role_is_a_fault_of_the_config() {
    let served = Served::start("").await;
    let text = config(
        &served.emulator,
        "[gateway]\nkeys = [{ name = \"a\", key = \"gateway-key\", roles = [\"defualt\"] }]",
    );
    let made = Gateway::new(Polysight::from_toml(&text).unwrap(), Settings::from_toml(&text).unwrap());
    let error = made.unwrap_err().to_string();
    assert!(error.contains("did you mean `default`?") && !error.contains("gateway-key"), "{error}");
}
