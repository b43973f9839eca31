//! A server that refuses a large request answers early and closes. Its answer is read, however it closes.

use polysight::{Billed, ErrorKind};

use super::server::{Authority, Close, Script, Security, Server, reply};
use super::{ask, line, role, upload};

const REFUSALS: [(&str, ErrorKind, usize); 6] = [
    ("401 Unauthorized", ErrorKind::Authentication, 1),
    ("402 Payment Required", ErrorKind::Billing, 1),
    ("403 Forbidden", ErrorKind::Permission, 1),
    ("413 Payload Too Large", ErrorKind::InvalidRequest, 1),
    ("422 Unprocessable", ErrorKind::InvalidRequest, 1),
    // The status itself says that the same request may succeed later.
    ("429 Too Many Requests", ErrorKind::RateLimited, 3),
];

const CLOSES: [Close; 3] = [Close::Linger, Close::AtOnce, Close::Reset];

/// Each refusal once; `turn` says which way of closing comes first.
async fn check(security: &Security, settings: &str, (bytes, read): (usize, usize), turn: usize) {
    let request = upload(bytes);
    for (index, (status, kind, attempts)) in REFUSALS.into_iter().enumerate() {
        let close = CLOSES[(index + turn) % CLOSES.len()];
        let words = "the gateway has refused it";
        let status_line = format!("{status}\r\nConnection: close");
        let reply = reply(&status_line, &format!(r#"{{"error":{{"message":"{words}"}}}}"#));
        let server = Server::start(security.clone(), Script::Refuse { read, reply, close }).await;
        let error = ask(&role(&server.url(), settings).unwrap(), request.clone()).await.unwrap_err();
        let shown = format!("{status} {close:?} {bytes} {read}: {}", line(&error));
        assert_eq!(error.kind(), kind, "{shown}");
        assert_eq!(error.billed(), Billed::No, "{shown}");
        assert_eq!(error.status(), status[..3].parse().ok(), "{shown}");
        assert!(shown.contains(words), "{shown}");
        assert_eq!(server.heads().len(), attempts, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_an_early_refusal_is_read() {
    let sizes = [(2_000_000, 0), (2_000_000, 500_000), (20_000_000, 0), (20_000_000, 5_000_000)];
    for (turn, size) in sizes.into_iter().enumerate() {
        check(&None, "", size, turn).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_an_early_refusal_is_read_over_tls() {
    let authority = Authority::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let settings = format!("ca_file = '{}'", file.path().display());
    let sizes = [(2_000_000, 0), (2_000_000, 300_000), (20_000_000, 0)];
    for (turn, size) in sizes.into_iter().enumerate() {
        check(&authority.server(None, &["http/1.1"]), &settings, size, turn).await;
    }
}

#[tokio::test]
async fn a_refusal_of_any_shape_is_read() {
    // The refusal by the head alone, without a body, and one whose length is not given.
    for reply in [
        "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\nthe end is the end of the connection",
        "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.0 413 Too Large\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
    ] {
        for close in CLOSES {
            let server =
                Server::start(None, Script::Refuse { read: 0, reply: reply.to_owned(), close }).await;
            let error = ask(&role(&server.url(), "").unwrap(), upload(4_000_000)).await.unwrap_err();
            assert_eq!(
                (error.status(), error.billed()),
                (Some(413), Billed::No),
                "{close:?} {reply:?}: {error}"
            );
            assert_eq!(server.heads().len(), 1, "{close:?} {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_without_a_word_is_still_a_broken_connection() {
    for close in [Close::AtOnce, Close::Reset, Close::Linger] {
        let server = Server::start(None, Script::Refuse { read: 1_000, reply: String::new(), close }).await;
        let error = ask(&role(&server.url(), "").unwrap(), upload(4_000_000)).await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::Perhaps), "{error}");
        let port = server.address.port().to_string();
        let shown = line(&error);
        assert!(shown.contains(&port) && shown.contains("connection "), "{shown}");
    }
}
