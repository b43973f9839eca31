//! A server that says exactly what a test tells it to, byte by byte.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done after a request has been read.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes are sent.
    Send(Vec<u8>),
    /// Nothing more is sent, and the connection stays open until the client closes it.
    Hang,
    /// The connection is reset.
    Reset,
}

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

    /// Then does this.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
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

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The path.
    pub path: String,
    /// The header lines.
    pub head: String,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// A server on loopback that answers every request with the same reply. It stops when dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(reply: Reply) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let arrived = Arc::<Mutex<Vec<Arrived>>>::default();
        let task = tokio::spawn(accept(listener, reply, Arc::clone(&arrived)));
        Ok(Self { address, arrived, task })
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What has arrived so far.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, reply: Reply, arrived: Arc<Mutex<Vec<Arrived>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (steps, arrived) = (reply.steps.clone(), Arc::clone(&arrived));
        tokio::spawn(async move {
            // A client that hangs up early is what some tests want.
            let _ = serve(socket, steps, &arrived).await;
        });
    }
}

async fn serve(mut socket: TcpStream, steps: Vec<Step>, arrived: &Mutex<Vec<Arrived>>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let Some(request) = read_request(&mut socket).await? else { return Ok(()) };
    arrived.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    for step in steps {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::Hang => while socket.read(&mut [0; 64]).await? > 0 {},
            Step::Reset => {
                // Lets what was sent arrive: a reset throws away what the client has not read yet.
                socket.flush().await?;
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                return socket.set_zero_linger();
            }
        }
    }
    socket.shutdown().await
}

async fn read_request(socket: &mut TcpStream) -> io::Result<Option<Arrived>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = whole(&bytes) {
            return Ok(Some(request));
        }
        let mut block = [0; 4_096];
        match socket.read(&mut block).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(block.get(..count).unwrap_or_default()),
        }
    }
}

/// The request, once all of its head and of the body's promised length is there.
fn whole(bytes: &[u8]) -> Option<Arrived> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = bytes.get(end + 4..)?.get(..length.unwrap_or(0))?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Some(Arrived { path, body: serde_json::from_slice(body).unwrap_or_default(), head })
}
