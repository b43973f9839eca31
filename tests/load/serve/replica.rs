//! A process of the command `polysight serve`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use crate::client;

/// Longest wait for a replica to do what it was asked to.
const LONG: Duration = Duration::from_secs(60);

/// The program `polysight` of this build: made now if the command that runs these tests did not, or did before a change.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(Path::parent).unwrap();
    let path = built.join(format!("polysight{}", std::env::consts::EXE_SUFFIX));
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let is_new =
        std::fs::metadata(&path).and_then(|file| file.modified()).is_ok_and(|made| made > newest(&crates));
    if !is_new {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "-p", "polysight-cli"]);
        if built.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    }
    path
}

/// When a source below a folder was changed last; tests and texts are none.
fn newest(folder: &Path) -> SystemTime {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources =
        files.filter(|path| !path.ends_with("tests") && path.extension().is_none_or(|end| end != "md"));
    let changed = |path: PathBuf| {
        if path.is_dir() { newest(&path) } else { path.metadata().unwrap().modified().unwrap() }
    };
    sources.map(changed).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) struct Replica {
    child: Child,
    pub(crate) port: u16,
    /// Kept open: a process whose output goes nowhere may stop.
    _output: BufReader<ChildStdout>,
    /// Locked so that a replica can be used by several threads.
    notes: Mutex<Receiver<String>>,
}

impl Replica {
    /// Starts one; port 0 means a free one.
    pub(crate) fn start(program: &Path, config: &Path, port: u16) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--config"])
            .arg(config)
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, notes) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("{line:?} {:?}", notes.try_iter().collect::<Vec<_>>()));
        Self { child, port, _output: output, notes: Mutex::new(notes) }
    }

    /// Has it read its config again, and waits until it has.
    pub(crate) fn reload(&mut self) {
        self.signal("HUP");
        while let Ok(line) = self.notes.get_mut().unwrap().recv_timeout(LONG) {
            assert!(!line.contains("the config is wrong"), "{line}");
            if line.contains("was read again") {
                return;
            }
        }
        panic!("the config was not read again");
    }

    /// Ends it without a warning, as the kernel ends a process that has taken too much memory.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn stop(self) {
        self.signal("TERM");
        self.ended();
    }

    /// Waits until it has ended; it says by its exit code that nothing was left undone.
    pub(crate) fn ended(mut self) {
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Chat requests that have ended by its own count, by status, as soon as there are so many: the last ones may be counted just
    /// after their clients have read them.
    pub(crate) async fn counted(&self, expected: u64) -> BTreeMap<u16, u64> {
        let mut counts = BTreeMap::new();
        for _ in 0..100 {
            counts = self.counters().await;
            if counts.values().sum::<u64>() >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        counts
    }

    async fn counters(&self) -> BTreeMap<u16, u64> {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: wide-canary-key\r\nConnection: close\r\n\r\n";
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let text = client::read(stream).await.body;
        let is_chat = |line: &&str| {
            line.starts_with("polysight_gateway_requests_total{")
                && line.contains("path=\"/v1/chat/completions\"")
        };
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(is_chat) {
            let (labels, count) = line.rsplit_once(' ').unwrap();
            let status = labels.split("status=\"").nth(1).unwrap().split('"').next().unwrap();
            *counts.entry(status.parse().unwrap()).or_default() += count.parse::<u64>().unwrap();
        }
        counts
    }

    /// The most memory that it has held, in KiB; 0 on systems without `/proc`.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.kib("VmHWM:")
    }

    /// The memory that it holds now, in KiB; sets the peak back to it.
    pub(crate) fn resident_kib(&self) -> u64 {
        // Where this cannot be done, the peak since the start is compared, which is stricter.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
        self.kib("VmRSS:")
    }

    fn kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
