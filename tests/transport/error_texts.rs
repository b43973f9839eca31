//! The error of a connection names the server and the cause, each once, in one line.

use std::net::TcpListener;
use std::time::Duration;

use polysight::{Billed, ErrorKind, TimeoutPhase};

use super::server::{Authority, Close, Script, Server};
use super::{ask, hello, line, role};

/// A free port on which nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn failure(url: &str, settings: &str) -> (ErrorKind, Billed, String) {
    let error = ask(&role(url, settings).unwrap(), hello()).await.unwrap_err();
    let shown = line(&error);
    for twice in
        ["connection refused", "connection reset", "connection closed", "network failure", "127.0.0.1"]
    {
        assert!(shown.matches(twice).count() <= 1, "{twice}: {shown}");
    }
    assert!(std::error::Error::source(&error).is_none(), "the cause stands in the message: {error:?}");
    (error.kind(), error.billed(), shown)
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let port = closed_port();
    for (url, place, cause) in [
        (format!("http://127.0.0.1:{port}/v1"), format!("127.0.0.1:{port}"), "connection refused"),
        (format!("https://127.0.0.1:{port}/v1"), format!("127.0.0.1:{port}"), "connection refused"),
        (format!("http://localhost:{port}/v1"), format!("localhost:{port}"), "connection refused"),
        ("http://no-such-host.invalid/v1".to_owned(), "no-such-host.invalid:80".to_owned(), "no such host"),
        ("https://no-such-host.invalid/v1".to_owned(), "no-such-host.invalid:443".to_owned(), "no such host"),
    ] {
        let (kind, billed, shown) = failure(&url, "").await;
        assert!(shown.contains(&format!("no connection to {place}: {cause}")), "{shown}");
        assert_eq!((kind, billed), (ErrorKind::Network, Billed::No), "{shown}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_named() {
    for (reply, close, cause) in [
        ("", Close::Linger, "connection closed"),
        ("", Close::Reset, "connection reset"),
        ("HTTP/1.1 200", Close::Linger, "connection closed"),
        ("HTTP/1.1 200", Close::Reset, "connection reset"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", Close::Linger, "its head is not HTTP"),
    ] {
        let script = Script::Refuse { read: usize::MAX, reply: reply.to_owned(), close };
        let server = Server::start(None, script).await;
        let (kind, billed, shown) = failure(&server.url(), "").await;
        assert!(shown.contains(&format!("no reply from {}: {cause}", server.address)), "{shown}");
        assert_eq!((kind, billed), (ErrorKind::Network, Billed::Perhaps), "{shown}");
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_named() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n";
    let chunked =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{";
    for (reply, close) in [
        (head.to_owned(), Close::Linger),
        (format!("{head}{{\"choices\":["), Close::Linger),
        (format!("{head}{{\"choices\":["), Close::Reset),
        (chunked.to_owned(), Close::Linger),
        (chunked.to_owned(), Close::Reset),
    ] {
        let server = Server::start(None, Script::Refuse { read: usize::MAX, reply, close }).await;
        let (kind, billed, shown) = failure(&server.url(), "").await;
        assert!(shown.contains(&format!("the reply of {} broke off", server.address)), "{shown}");
        assert!(kind == ErrorKind::Network && billed == Billed::Likely, "{shown}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_named() {
    let plain = Server::start(None, Script::Answer(1)).await;
    let authority = Authority::new();
    let tls = Server::start(authority.server(None, &[]), Script::Answer(1)).await;
    for url in [plain.url().replace("http:", "https:"), tls.url()] {
        let (kind, billed, shown) = failure(&url, "timeouts = { connect = 2 }").await;
        assert!(shown.contains("no connection to 127.0.0.1:"), "{shown}");
        assert!(shown.contains("TLS: ") || kind == ErrorKind::Timeout(TimeoutPhase::Connect), "{shown}");
        assert_eq!(billed, Billed::No, "{shown}");
    }
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_named() {
    // It accepts and says nothing, so that the handshake has no end.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let begun = std::time::Instant::now();
    let settings = "timeouts = { connect = 0.1 }";
    let (kind, billed, shown) = failure(&format!("https://{address}/v1"), settings).await;
    assert!(shown.contains(&format!("no connection to {address}: none within 0.1 s")), "{shown}");
    assert_eq!((kind, billed), (ErrorKind::Timeout(TimeoutPhase::Connect), Billed::No), "{shown}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}
