//! HTTP/1.1 is the default: each picture that is on its way has a connection of its own.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::server::{Authority, Script, Server};
use super::{ask, hello, role, upload};

async fn uploads(server: &Server, settings: &str, count: usize) {
    let role = role(&server.url(), settings).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let role = role.clone();
        calls.spawn(async move { ask(&role, upload(300_000)).await.unwrap() });
    }
    let texts = timeout(Duration::from_secs(30), calls.join_all()).await.unwrap();
    assert_eq!(texts, vec!["hello"; count]);
}

#[tokio::test]
async fn pictures_at_the_same_time_use_a_connection_each() {
    for count in [1, 2, 5, 16] {
        let server = Server::start(None, Script::Answer(count)).await;
        uploads(&server, "", count).await;
        assert_eq!(server.connections(), count);
    }
}

#[tokio::test]
async fn the_same_holds_over_tls_with_a_server_that_offers_http_2() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    for count in [1, 6] {
        let security = authority.server(None, &["h2", "http/1.1"]);
        let server = Server::start(security, Script::Answer(count)).await;
        uploads(&server, &format!("ca_file = '{}'", file.display()), count).await;
        assert_eq!(server.connections(), count);
        assert!(server.heads()[0].starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn connections_are_kept_for_the_next_picture() {
    let server = Server::start(None, Script::Answer(1)).await;
    let role = role(&server.url(), "").unwrap();
    for _ in 0..4 {
        ask(&role, upload(50_000)).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn http_2_is_offered_where_a_provider_asks_for_it() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    // The server takes HTTP/2 and speaks none: what arrives is the preface.
    for (setting, protocols, is_answered) in [
        ("", ["h2", "http/1.1"].as_slice(), true),
        ("http2 = false", &["h2", "http/1.1"], true),
        ("http2 = true", &["http/1.1"], true),
        ("http2 = true", &["h2", "http/1.1"], false),
        ("http2 = true", &["h2"], false),
    ] {
        let server = Server::start(authority.server(None, protocols), Script::Answer(1)).await;
        let settings =
            format!("ca_file = '{}'\n{setting}\ntimeouts = {{ first_byte = 0.5 }}", file.display());
        let result = ask(&role(&server.url(), &settings).unwrap(), hello()).await;
        assert_eq!(result.is_ok(), is_answered, "{setting} {protocols:?}: {result:?}");
        let preface = server.heads().first().is_some_and(|head| head.starts_with("PRI * HTTP/2.0"));
        assert_eq!(preface, !is_answered, "{setting} {protocols:?}");
    }
}
