//! A reply before it becomes bytes on a socket.

use crate::clock;
use crate::json::Json;

/// Status, headers and body, still to be framed.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Sent chunk by chunk as they are.
    Stream(Vec<Piece>),
}

/// One write of a streamed body.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    pub(crate) bytes: Vec<u8>,
}

/// What a piece carries, for faults that happen at a certain place of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PieceKind {
    /// A delta with a piece of the answer.
    Delta,
    /// The chunk with the finish reason.
    Finish,
    /// `[DONE]`.
    Done,
    /// Anything else: comments, errors, damage.
    Other,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Json) -> Self {
        Self::whole(status, "application/json; charset=UTF-8", body.to_text())
    }

    pub(crate) fn whole(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: Body::Whole(body.into()),
        }
    }

    pub(crate) fn plain(status: u16, text: &str) -> Self {
        Self::whole(status, "text/plain; charset=UTF-8", text)
    }

    /// A body of `length` bytes where `most` are taken.
    pub(crate) fn too_large(length: u64, most: u64) -> Self {
        Self::plain(413, &format!("the body has {length} bytes; at most {most} are taken here\n"))
    }

    pub(crate) fn stream(pieces: Vec<Piece>) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), "text/event-stream;charset=UTF-8".to_owned()),
                ("cache-control".to_owned(), "no-cache".to_owned()),
            ],
            body: Body::Stream(pieces),
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Status line and headers with the final empty line; `extra` are the headers of the framing.
    pub(crate) fn head(&self, extra: &[(&str, String)]) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let date = clock::http_date(clock::since_epoch().as_secs());
        let own =
            [("date", date.as_str()), ("server", concat!("polysight-emulator/", env!("CARGO_PKG_VERSION")))];
        let given = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let framing = extra.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.into_iter().chain(given).chain(framing) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head + "\r\n"
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
