//! A server that does as it is told, for what the emulator is too well-behaved to do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// One thing that the server does with a connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Reads a request to its end; its body is counted and thrown away.
    Request,
    /// Reads the head of a request and leaves its body.
    RequestHead,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes the same bytes again and again, with this pause between, until the client goes away.
    Trickle(Vec<u8>, Duration),
    /// Does nothing until the client goes away.
    Hold,
    /// Cuts the connection with a reset.
    Reset,
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Request line and headers, as they came.
    pub head: String,
    /// What `Content-Length` promised.
    pub promised: Option<u64>,
    /// Bytes of the body that came.
    pub body: u64,
}

#[derive(Debug, Default)]
struct State {
    acts: Arc<[Act]>,
    connections: usize,
    requests: Vec<Arrived>,
}

/// A server on a free port of 127.0.0.1. Every connection plays the same acts, none at first, and is closed after
/// them.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Plays these acts on connections that are made from now on, and forgets what arrived.
    pub fn play(&self, acts: &[Act]) {
        *locked(&self.state) = State { acts: acts.into(), ..State::default() };
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        locked(&self.state).connections
    }

    /// The requests that arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<Arrived> {
        locked(&self.state).requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        locked(&state).connections += 1;
        let (acts, state) = (Arc::clone(&locked(&state).acts), Arc::clone(&state));
        connections.spawn(async move {
            let mut socket = BufReader::new(socket);
            for act in acts.iter() {
                if play(&mut socket, act, &state).await.is_err() {
                    return;
                }
            }
            close(&mut socket).await;
        });
    }
}

async fn play(socket: &mut BufReader<TcpStream>, act: &Act, state: &Mutex<State>) -> io::Result<()> {
    match act {
        Act::Request => {
            let mut arrived = read_head(socket).await?;
            arrived.body = discard(socket, arrived.promised.unwrap_or(0)).await?;
            locked(state).requests.push(arrived);
            Ok(())
        }
        Act::RequestHead => {
            let arrived = read_head(socket).await?;
            locked(state).requests.push(arrived);
            Ok(())
        }
        Act::Write(bytes) => socket.get_mut().write_all(bytes).await,
        Act::Trickle(bytes, pause) => loop {
            socket.get_mut().write_all(bytes).await?;
            sleep(*pause).await;
        },
        Act::Hold => discard(socket, u64::MAX).await.map(drop),
        Act::Reset => {
            // Time for bytes on their way, which a reset would overtake.
            sleep(Duration::from_millis(20)).await;
            socket.get_ref().set_zero_linger()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

async fn read_head(socket: &mut BufReader<TcpStream>) -> io::Result<Arrived> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let promised = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Arrived { head, promised, body: 0 })
}

/// Reads up to so many bytes and keeps none; says how many there were.
async fn discard(socket: &mut BufReader<TcpStream>, bytes: u64) -> io::Result<u64> {
    let mut left = bytes;
    while left > 0 {
        let read = socket.fill_buf().await?.len();
        if read == 0 {
            break;
        }
        let taken = read.min(usize::try_from(left).unwrap_or(read));
        socket.consume(taken);
        left -= taken as u64;
    }
    Ok(bytes - left)
}

/// Ends the connection in good order: a close with unread input would be a reset, and destroy the reply on its way.
async fn close(socket: &mut BufReader<TcpStream>) {
    let _ = socket.get_mut().shutdown().await;
    let mut scratch = [0; 4096];
    let _ = timeout(Duration::from_secs(1), async {
        while socket.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
    })
    .await;
}
