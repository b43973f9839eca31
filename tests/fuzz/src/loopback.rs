//! Calls over a real socket: the only way to what lies between the public surface and the wire.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use polysight_wire::{Limits, ReplyHead, Transport};
use tokio::runtime::{Builder, Runtime};

/// A server on a free port that answers everything with one reply, and a client's runtime and transport to call it.
pub(crate) struct Loopback {
    pub(crate) url: String,
    pub(crate) transport: Transport,
    runtime: Runtime,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    reply: Vec<u8>,
    requests: Vec<Request>,
}

/// A request as it arrived: its head's lines.
pub(crate) struct Request {
    lines: Vec<String>,
}

impl Request {
    pub(crate) fn target(&self) -> &str {
        self.lines[0].split(' ').nth(1).expect("a request line")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Loopback {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::<Mutex<Script>>::default();
        let served = Arc::clone(&script);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let script = Arc::clone(&served);
                thread::spawn(move || serve(socket, &script));
            }
        });
        let limits = Limits::default().with_max_reply_bytes(1 << 20).with_max_line_bytes(1 << 16);
        Self {
            url,
            transport: Transport::builder().limits(limits).build().expect("a transport"),
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            script,
        }
    }

    /// Makes a call that the server answers so; gives what came of it and the requests that arrived.
    pub(crate) fn call<T>(
        &self,
        head: &ReplyHead,
        body: &[u8],
        call: impl Future<Output = T>,
    ) -> (T, Vec<Request>) {
        self.script().reply = reply(head, body);
        let result = self.runtime.block_on(call);
        (result, std::mem::take(&mut self.script().requests))
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the requests of a connection until the client closes it.
fn serve(mut socket: TcpStream, script: &Mutex<Script>) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let request = Request { lines };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let reply = {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            script.requests.push(request);
            script.reply.clone()
        };
        socket.write_all(&reply).ok()?;
    }
}

/// The reply's bytes, framed by its length whatever its headers say, so that no call waits for more.
fn reply(head: &ReplyHead, body: &[u8]) -> Vec<u8> {
    let status =
        if head.status < 200 || head.status == 204 || head.status == 304 { 200 } else { head.status };
    let body = Bytes::copy_from_slice(body);
    let mut reply = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in &head.headers {
        if !matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "connection" | "trailer" | "upgrade"
        ) {
            reply.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(&body);
    reply
}
