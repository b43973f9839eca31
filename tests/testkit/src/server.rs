//! A server that sends exactly what a test says, byte by byte, and records what arrives: for what the emulator is too
//! well-behaved to do.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::Reply;

/// One thing that the server does with a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads a request to its end and keeps it.
    ReadRequest,
    /// Reads a request to its end; of its body only the length is kept.
    DiscardRequest,
    /// Reads the head of a request and leaves its body unread.
    ReadHead,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends the same bytes again and again, with this pause between, until the client closes.
    Repeat(Vec<u8>, Duration),
    /// Sends nothing until the client closes.
    Hang,
    /// Resets the connection.
    Reset,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// Request line and headers, without the blank line at their end.
    pub head: String,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// The body, where it was kept.
    pub body: Vec<u8>,
    /// Bytes of the body that arrived.
    pub body_length: u64,
}

impl ReceivedRequest {
    /// The request line, such as `POST /v1/chat/completions HTTP/1.1`.
    #[must_use]
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body; null if it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

type Handler = Arc<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>;

/// What every connection does.
#[derive(Clone)]
enum Script {
    Steps(Arc<[Step]>),
    /// One request, answered by this function.
    Handler(Handler),
}

struct State {
    script: Script,
    connections: usize,
    open: usize,
    requests: Vec<ReceivedRequest>,
}

/// A server on a free port of 127.0.0.1. Every connection follows the same script, and is closed after it. The server stops
/// when it is dropped.
pub struct MockServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl fmt::Debug for MockServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MockServer({})", self.address)
    }
}

impl MockServer {
    /// A server that closes each connection at once; see [`play`](Self::play).
    pub async fn start() -> Self {
        Self::following(Script::Steps(Arc::new([]))).await
    }

    /// A server that answers every request with the same reply.
    pub async fn with_reply(reply: Reply) -> Self {
        Self::with_handler(move |_| reply.clone()).await
    }

    /// A server that answers each request with what a function makes of it, one request a connection.
    pub async fn with_handler(handler: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) -> Self {
        Self::following(Script::Handler(Arc::new(handler))).await
    }

    async fn following(script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { script, connections: 0, open: 0, requests: Vec::new() }));
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Follows these steps on connections that are made from now on, and forgets what arrived.
    pub fn play(&self, steps: &[Step]) {
        let mut state = locked(&self.state);
        state.script = Script::Steps(steps.into());
        (state.connections, state.requests) = (0, Vec::new());
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        locked(&self.state).connections
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        locked(&self.state).open
    }

    /// The requests that arrived, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        locked(&self.state).requests.clone()
    }

    /// The requests that arrived; forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut locked(&self.state).requests)
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let connection = Connection::new(socket, Arc::clone(&state));
        // A client that closes early is what some tests want.
        connections.spawn(async move { connection.follow().await.unwrap_or_default() });
        while connections.try_join_next().is_some() {}
    }
}

struct Connection {
    socket: BufReader<TcpStream>,
    script: Script,
    state: Arc<Mutex<State>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        locked(&self.state).open -= 1;
    }
}

impl Connection {
    fn new(socket: TcpStream, state: Arc<Mutex<State>>) -> Self {
        // Each piece must leave at once.
        let _ = socket.set_nodelay(true);
        let script = {
            let mut state = locked(&state);
            state.connections += 1;
            state.open += 1;
            state.script.clone()
        };
        Self { socket: BufReader::new(socket), script, state }
    }

    async fn follow(mut self) -> io::Result<()> {
        let steps = match self.script.clone() {
            Script::Steps(steps) => steps.to_vec(),
            Script::Handler(handler) => {
                let request = self.read_request().await?;
                locked(&self.state).requests.push(request.clone());
                handler(&request).into_steps()
            }
        };
        for step in steps {
            self.perform(step).await?;
        }
        self.close().await;
        Ok(())
    }

    async fn perform(&mut self, step: Step) -> io::Result<()> {
        let request = match step {
            Step::ReadRequest => self.read_request().await?,
            Step::DiscardRequest => {
                let mut request = self.read_head().await?;
                request.body_length = self.discard(request.content_length.unwrap_or(0)).await?;
                request
            }
            Step::ReadHead => self.read_head().await?,
            Step::Send(bytes) => return self.socket.get_mut().write_all(&bytes).await,
            Step::Repeat(bytes, pause) => loop {
                self.socket.get_mut().write_all(&bytes).await?;
                sleep(pause).await;
            },
            Step::Hang => return self.discard(u64::MAX).await.map(drop),
            Step::Reset => {
                // Time for bytes on their way, which a reset would overtake.
                sleep(Duration::from_millis(30)).await;
                self.socket.get_ref().set_zero_linger()?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        };
        locked(&self.state).requests.push(request);
        Ok(())
    }

    async fn read_request(&mut self) -> io::Result<ReceivedRequest> {
        let mut request = self.read_head().await?;
        let length = request.content_length.unwrap_or(0);
        (&mut self.socket).take(length).read_to_end(&mut request.body).await?;
        request.body_length = request.body.len() as u64;
        if request.body_length < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(request) }
    }

    async fn read_head(&mut self) -> io::Result<ReceivedRequest> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.socket.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        head.truncate(head.trim_end().len());
        let mut request = ReceivedRequest { head, content_length: None, body: Vec::new(), body_length: 0 };
        request.content_length = request.header("content-length").and_then(|value| value.parse().ok());
        Ok(request)
    }

    /// Reads up to so many bytes and keeps none; gives how many there were.
    async fn discard(&mut self, bytes: u64) -> io::Result<u64> {
        let mut left = bytes;
        while left > 0 {
            let read = self.socket.fill_buf().await?.len();
            if read == 0 {
                break;
            }
            let taken = read.min(usize::try_from(left).unwrap_or(read));
            self.socket.consume(taken);
            left -= taken as u64;
        }
        Ok(bytes - left)
    }

    /// Closes in good order: a close with unread input would be a reset, and destroy the reply on its way.
    async fn close(&mut self) {
        let _ = self.socket.get_mut().shutdown().await;
        let _ = timeout(Duration::from_secs(1), self.discard(u64::MAX)).await;
    }
}
