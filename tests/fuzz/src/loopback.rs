//! Calls over a real socket: the only way to what lies between the public surface and the wire.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polysight_testkit::{MockServer, ReceivedRequest, Reply};
use polysight_wire::{Limits, ReplyHead, Transport};
use tokio::runtime::{Builder, Runtime};

/// A server that answers everything with one reply, and a client's runtime and transport to call it.
pub(crate) struct Loopback {
    pub(crate) transport: Transport,
    runtime: Runtime,
    server: MockServer,
    reply: Arc<Mutex<Reply>>,
}

impl Loopback {
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let reply = Arc::<Mutex<Reply>>::default();
        let current = Arc::clone(&reply);
        let server = runtime.block_on(MockServer::with_handler(move |_| locked(&current).clone()));
        let limits = Limits::default().with_max_reply_bytes(1 << 20).with_max_line_bytes(1 << 16);
        let transport = Transport::builder().limits(limits).build().expect("a transport");
        Self { transport, runtime, server, reply }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    /// Makes a call that the server answers so; gives what came of it and the requests that arrived.
    pub(crate) fn call<T>(
        &self,
        head: &ReplyHead,
        body: &[u8],
        call: impl Future<Output = T>,
    ) -> (T, Vec<ReceivedRequest>) {
        *locked(&self.reply) = reply(head, body);
        let result = self.runtime.block_on(call);
        (result, self.server.take_requests())
    }
}

fn locked(reply: &Mutex<Reply>) -> MutexGuard<'_, Reply> {
    reply.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reply's bytes, framed by its length whatever its headers say, so that no call waits for more.
fn reply(head: &ReplyHead, body: &[u8]) -> Reply {
    let status =
        if head.status < 200 || head.status == 204 || head.status == 304 { 200 } else { head.status };
    let mut bytes = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len())
        .into_bytes();
    for (name, value) in &*head.headers {
        if !matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection" | "trailer" | "upgrade"
        ) {
            bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    Reply::nothing().send(bytes).send("\r\n").send(body)
}
