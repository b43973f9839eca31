//! What hostile clients cost: each kind of bad input has its status, and the memory of the gateway's process stays flat.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use polysight_emulator::Emulator;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{LONG, Reply, and, chat_request, config, question, read};
use crate::replica::{self, Replica};

const IDLE: usize = 2_000;
const STREAMS: usize = 50;
const GIGABYTE: usize = 1 << 30;
/// What the process may hold beyond what it held before, in KiB; an idle connection is counted apart.
const MOST_KIB: u64 = 8 << 10;
const MOST_KIB_IDLE: u64 = 24;

/// A gateway in a process of its own, and what it held when it had answered some requests.
struct Served {
    replica: Replica,
    address: SocketAddr,
    resident_kib: u64,
    _emulator: Emulator,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start(more: &str) -> Self {
        // Files and sockets of this process, and of those that it starts, up to what the system lets it have.
        let own = std::process::id().to_string();
        let _ = Command::new("prlimit").args(["--pid", &own, "--nofile=8192:"]).status();
        let emulator = Emulator::builder().delta_delay(Duration::from_millis(20)).start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("polysight.toml");
        std::fs::write(&path, config(&emulator, more)).unwrap();
        let replica = Replica::start(&replica::program(), &path, 0);
        let address = SocketAddr::from(([127, 0, 0, 1], replica.port));
        let mut served = Self { replica, address, resident_kib: 0, _emulator: emulator, _folder: folder };
        for _ in 0..20 {
            served.is_well("at first").await;
        }
        served.resident_kib = served.replica.resident_kib();
        served
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connections(&self, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(self.connect().await);
        }
        streams
    }

    async fn send(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        // A gateway that refuses early may have closed already.
        let _ = stream.write_all(bytes).await;
        read(stream).await
    }

    /// Whether a good request is answered.
    async fn is_well(&self, when: &str) {
        let reply = self.send(&chat_request(&question("default").to_string(), "")).await;
        assert_eq!(reply.status, 200, "{when}: {reply:?}");
    }

    /// Prints and checks what it held at most since the last look.
    async fn check(&self, what: &str, status: u16, most_kib: u64) {
        let grown = self.replica.peak_kib().saturating_sub(self.resident_kib);
        println!("{what}: {status}; at most {grown} KiB more than before");
        assert!(grown <= most_kib, "{what}: {grown} KiB");
        self.is_well(what).await;
        self.replica.resident_kib();
    }
}

/// Sends this head, and then pieces until so many bytes are sent or they are not read any more; then reads the reply.
async fn pour(served: &Served, head: &str, piece: &[u8], bytes: usize) -> (Reply, usize) {
    let (mut reader, mut writer) = served.connect().await.into_split();
    let reply = tokio::spawn(async move {
        let mut bytes = Vec::new();
        // What had come before a reset counts.
        let _ = tokio::time::timeout(LONG, reader.read_to_end(&mut bytes)).await.expect("the reply ends");
        Reply::of(&bytes)
    });
    writer.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    while sent < bytes && writer.write_all(piece).await.is_ok() {
        sent += piece.len();
    }
    (reply.await.unwrap(), sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_leaves_the_memory_of_the_process_flat() {
    let limits = "[gateway]\nmax_body = 1048576\nbody_timeout = 1\nheader_timeout = 4";
    let served = Served::start(limits).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

    let piece = vec![b'x'; 64 << 10];
    let known = format!("{head}Content-Length: {GIGABYTE}\r\n\r\n");
    let (reply, sent) = pour(&served, &known, &piece, GIGABYTE).await;
    assert_eq!((reply.status, &reply.error()["code"]), (413, &"body_too_large".into()), "{reply:?}");
    served.check(&format!("a body of 1 GiB, {} MiB of it sent", sent >> 20), reply.status, MOST_KIB).await;

    let unknown = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n", &*piece, b"\r\n"].concat();
    let (reply, sent) = pour(&served, &unknown, &chunk, GIGABYTE).await;
    assert_eq!((reply.status, &reply.error()["code"]), (413, &"body_too_large".into()), "{reply:?}");
    served.check(&format!("1 GiB in chunks, {} MiB of it sent", sent >> 20), reply.status, MOST_KIB).await;

    let headers: String = (0..10_000).map(|index| format!("X-{index}: a\r\n")).collect();
    let reply = served.send(&chat_request("{}", &headers)).await;
    assert_eq!(reply.status, 431, "{reply:?}");
    served.check("10,000 headers", reply.status, MOST_KIB).await;

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let reply = served.send(&chat_request(&deep, "")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    served.check("JSON of depth 100,000", reply.status, MOST_KIB).await;

    let half = format!("{head}Content-Length: 1000000\r\n\r\n{}", "x".repeat(1_000));
    let mut silent = served.connections(100).await;
    for stream in &mut silent {
        stream.write_all(half.as_bytes()).await.unwrap();
    }
    for reply in read_all(silent).await {
        assert_eq!((reply.status, &reply.error()["code"]), (408, &"body_timeout".into()), "{reply:?}");
    }
    served.check("100 times part of a body and then silence", 408, MOST_KIB).await;

    let idle = served.connections(IDLE).await;
    served.is_well("beside idle connections").await;
    let started = Instant::now();
    for reply in read_all(idle).await {
        assert!(matches!(reply.status, 0 | 408), "{reply:?}");
    }
    assert!(started.elapsed() < LONG, "idle connections are closed");
    served.check("2,000 idle connections", 408, MOST_KIB_IDLE * IDLE as u64).await;
    served.replica.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_streams_finish_after_a_sigterm() {
    let served = Served::start("").await;
    let request = chat_request(&and(question("default"), "stream", true).to_string(), "");
    let mut streams = Vec::new();
    for mut stream in served.connections(STREAMS).await {
        stream.write_all(&request).await.unwrap();
        let mut begun = vec![0; 1 << 10];
        let count = tokio::time::timeout(LONG, stream.read(&mut begun)).await.unwrap().unwrap();
        begun.truncate(count);
        assert!(begun.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&begun));
        streams.push((stream, begun));
    }
    served.replica.signal("TERM");
    for (mut stream, mut begun) in streams {
        let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut begun)).await.unwrap();
        let reply = Reply::of(&begun);
        assert_eq!(reply.data().last(), Some(&"[DONE]"), "{reply:?}");
        assert!(reply.text().contains("What is it?"), "{reply:?}");
    }
    assert!(TcpStream::connect(served.address).await.is_err(), "nothing new is accepted");
    served.replica.ended();
}

/// Reads the replies of all of them concurrently.
async fn read_all(streams: Vec<TcpStream>) -> Vec<Reply> {
    streams.into_iter().map(read).collect::<JoinSet<_>>().join_all().await
}
