//! Replies as steps, good ones and others.

use crate::Step;

/// A reply as steps, after which the connection is closed.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    steps: Vec<Step>,
    chunked: bool,
}

impl Reply {
    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A document with its length. `head` holds further lines such as `Retry-After: 2`.
    #[must_use]
    pub fn document(status: u16, head: &[&str], body: impl AsRef<[u8]>) -> Self {
        let length = format!("Content-Length: {}", body.as_ref().len());
        let lines: Vec<&str> = head.iter().copied().chain([length.as_str()]).collect();
        Self::default().send(head_of(status, &lines)).send(body.as_ref())
    }

    /// A JSON document.
    #[must_use]
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::document(status, &["Content-Type: application/json"], body)
    }

    /// The head of a body in chunks, each piece of it one chunk, so that pieces arrive as they were sent.
    #[must_use]
    pub fn chunked(status: u16, head: &[&str]) -> Self {
        let lines: Vec<&str> = head.iter().copied().chain(["Transfer-Encoding: chunked"]).collect();
        let mut reply = Self::default().send(head_of(status, &lines));
        reply.chunked = true;
        reply
    }

    /// The head of an event stream.
    #[must_use]
    pub fn events() -> Self {
        Self::chunked(200, &["Content-Type: text/event-stream"])
    }

    /// Sends bytes as they are.
    #[must_use]
    pub fn send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.steps.push(Step::Send(bytes.as_ref().to_vec()));
        self
    }

    /// Sends a piece of the body.
    #[must_use]
    pub fn piece(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        if !self.chunked || bytes.is_empty() {
            return self.send(bytes);
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send(chunk)
    }

    /// Sends pieces of the body.
    #[must_use]
    pub fn pieces(self, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        pieces.into_iter().fold(self, Self::piece)
    }

    /// Ends the body as it should.
    #[must_use]
    pub fn end(self) -> Self {
        if self.chunked { self.send("0\r\n\r\n") } else { self }
    }

    /// Then follows this step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// What the server does once it has read the request.
    #[must_use]
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

fn head_of(status: u16, lines: &[&str]) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head + "\r\n"
}
