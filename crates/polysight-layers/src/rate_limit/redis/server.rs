//! A real server for tests: on a free port of loopback, without files, ended on drop.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `redis-server` or `valkey-server`.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one; `None`, with a word on stdout, where there is no such program.
    pub(crate) fn start() -> Option<Self> {
        Self::start_at(None)
    }

    /// Starts one at a port that another has left.
    pub(crate) fn start_at(port: Option<u16>) -> Option<Self> {
        // Another program may take a free port before the server does.
        for _ in 0..10 {
            let port = port.unwrap_or_else(free_port);
            let spawned = ["redis-server", "valkey-server"].iter().find_map(|name| spawn(name, port));
            let Some(child) = spawned else {
                println!("left out: no redis-server");
                return None;
            };
            let mut server = Self { child, port };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn answers(&mut self) -> bool {
        for _ in 0..600 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.is_up().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Another test's server may have taken the port: its answer names another process.
    fn is_up(&self) -> Option<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(b"INFO server\r\nQUIT\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let own = format!("process_id:{}", self.child.id());
        answer.lines().any(|line| line == own).then_some(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(name: &str, port: u16) -> Option<Child> {
    Command::new(name)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(["--port", &port.to_string()])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}
