//! Requests over blocking sockets, a thread for each connection, so that no runtime's timer is measured.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Result;

/// One request, to be sent often.
pub struct Load {
    address: String,
    request: Arc<Vec<u8>>,
}

/// No request takes longer.
const LONG: Duration = Duration::from_secs(300);
/// Connections of a paced load: more than are busy at any time.
const PACED: usize = 32;

impl Load {
    /// `base` is `http://ADDRESS`.
    pub fn new(base: &str, path: &str, body: &str) -> Self {
        let address = base.trim_start_matches("http://").to_owned();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAuthorization: Bearer key-of-the-bench\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        Self { address, request: Arc::new([head.as_bytes(), body.as_bytes()].concat()) }
    }

    /// Sends as fast as answers come, over so many connections; gives the time.
    pub fn closed(&self, connections: usize, requests: usize) -> Result<Duration> {
        let left = Arc::new(AtomicUsize::new(requests));
        let started = Instant::now();
        let workers = self.workers(connections, move |_, connection| {
            let next = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            while next().is_ok() {
                connection.exchange()?;
            }
            Ok(Vec::new())
        })?;
        ended(workers)?;
        Ok(started.elapsed())
    }

    /// Sends at a rate, whatever comes back; gives p50 and p99 of the time of a request, in milliseconds.
    pub fn paced(&self, rate: f64, requests: usize) -> Result<(f64, f64)> {
        let started = Instant::now() + Duration::from_millis(50);
        let workers = self.workers(PACED, move |worker, connection| {
            let mut times = Vec::new();
            for number in (worker..requests).step_by(PACED) {
                let due = started + Duration::from_secs_f64(number as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let sent = Instant::now();
                connection.exchange()?;
                times.push(sent.elapsed().as_secs_f64() * 1_000.0);
            }
            Ok(times)
        })?;
        let mut times = ended(workers)?;
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        Ok((at(0.5), at(0.99)))
    }

    fn workers<W>(&self, count: usize, work: W) -> Result<Vec<JoinHandle<Result<Vec<f64>>>>>
    where
        W: Fn(usize, &mut Connection) -> Result<Vec<f64>> + Clone + Send + 'static,
    {
        let start = |worker| {
            let (address, request, work) = (self.address.clone(), Arc::clone(&self.request), work.clone());
            let run = move || work(worker, &mut Connection::open(&address, request)?);
            Ok(std::thread::Builder::new().stack_size(256 << 10).spawn(run)?)
        };
        (0..count).map(start).collect()
    }
}

fn ended(workers: Vec<JoinHandle<Result<Vec<f64>>>>) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.join().map_err(|_| "a worker panicked")??);
    }
    Ok(all)
}

struct Connection {
    stream: TcpStream,
    request: Arc<Vec<u8>>,
    reply: Vec<u8>,
}

impl Connection {
    fn open(address: &str, request: Arc<Vec<u8>>) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONG))?;
        Ok(Self { stream, request, reply: Vec::new() })
    }

    /// Sends the request, and reads the whole reply.
    fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.request)?;
        self.reply.clear();
        let mut space = [0; 64 << 10];
        loop {
            match self.stream.read(&mut space)? {
                0 => return Err("the reply broke off".into()),
                count => self.reply.extend_from_slice(&space[..count]),
            }
            if is_whole(&self.reply)? {
                return Ok(());
            }
        }
    }
}

/// Whether a reply is there to its end. One that is no good answer ends the run.
fn is_whole(reply: &[u8]) -> Result<bool> {
    let Some(end) = memchr::memmem::find(reply, b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    let body = &reply[end + 4..];
    if !head.starts_with("http/1.1 200") {
        return Err(format!("no good answer: {head} {}", String::from_utf8_lossy(body)).into());
    }
    let length =
        head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    let is_there = length.map_or(body.ends_with(b"\r\n0\r\n\r\n"), |length: usize| body.len() >= length);
    let tail = &body[body.len().saturating_sub(64)..];
    if is_there && head.contains("text/event-stream") && memchr::memmem::find(tail, b"[DONE]").is_none() {
        return Err(format!("a stream that is not done: {}", String::from_utf8_lossy(tail)).into());
    }
    Ok(is_there)
}
