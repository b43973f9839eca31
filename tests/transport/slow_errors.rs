//! The status of an error is known when its body comes slowly or never: the error is given soon, with what came.

use std::time::{Duration, Instant};

use polysight::ErrorKind;

use super::server::{Script, Server};
use super::{ask, hello, line, role};

#[tokio::test]
async fn an_error_whose_body_does_not_end_is_given_with_what_came() {
    let begin = "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n";
    let plain = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (status, kind, head, first, piece) in [
        ("401 Unauthorized", ErrorKind::Authentication, begin, "", " "),
        ("403 Forbidden", ErrorKind::Permission, begin, "", "\n"),
        ("400 Bad Request", ErrorKind::InvalidRequest, plain, "7\r\nno good\r\n", "1\r\nx\r\n"),
        ("413 Too Large", ErrorKind::InvalidRequest, plain, "9\r\ntoo large\r\n", ""),
        ("402 Payment Required", ErrorKind::Billing, begin, "{\"error\":{\"message\":\"pay\"}}", " "),
        ("500 Failed", ErrorKind::Server, plain, "6\r\nfailed\r\n", "1\r\nx\r\n"),
    ] {
        let reply = format!("HTTP/1.1 {status}\r\n{head}{first}");
        let script = Script::Drip { reply, piece, pause: Duration::from_millis(20) };
        let server = Server::start(None, script).await;
        let settings = "timeouts = { drain_timeout = 0.2 }";
        let begun = Instant::now();
        let error = ask(&role(&server.url(), settings).unwrap(), hello()).await.unwrap_err();
        let shown = line(&error);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?} {shown}", begun.elapsed());
        assert_eq!((error.kind(), error.status()), (kind, status[..3].parse().ok()), "{shown}");
        let words = ["no good", "too large", "pay", "failed"].into_iter().find(|words| first.contains(words));
        assert!(words.is_none_or(|words| shown.contains(words)), "{shown}");
    }
}
