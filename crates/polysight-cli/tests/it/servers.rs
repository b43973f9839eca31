//! `serve` and `emulate`: addresses, signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{ChildStdout, Command};

use crate::program::{Program, Running};

/// Sends a signal to a program.
pub(crate) fn signal(running: &Running, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), running.0.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Reads the first line and takes the address from it.
fn address(running: &mut Running) -> (String, BufReader<ChildStdout>) {
    let mut out = BufReader::new(running.0.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix('\n'));
    (address.unwrap_or_else(|| panic!("{line}")).to_owned(), out)
}

/// Sends a request and reads the whole reply.
fn http(address: &str, head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        socket,
        "{head} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
        Authorization: Bearer any\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    reply
}

fn stderr(running: &mut Running) -> String {
    let mut text = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_emulator_says_where_it_listens_and_stops_when_asked() {
    for name in ["TERM", "INT"] {
        let mut running = Program::new().spawn(&["emulate"]);
        let (address, mut out) = address(&mut running);
        let reply = http(
            &address,
            "POST /v1/chat/completions",
            r#"{"model": "Qwen2.5-VL-72B-Instruct", "messages": [{"role": "user", "content": "Hello"}]}"#,
        );
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        signal(&running, name);
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{name}");
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(&format!("http://{address}/api/paas/v4")), "{rest}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = Program::new().run(&["emulate", "--port", &port]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains(&port) && ran.err.contains("--port 0"), "{ran:?}");
    let listen = format!("127.0.0.1:{port}");
    let ran = Program::new().run(&["serve", "--emulator", "--listen", &listen]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains(&port) && ran.err.contains("--listen 127.0.0.1:0"), "{ran:?}");
    assert_eq!(Program::new().run(&["serve", "--emulator", "--listen", "nowhere"]).code, 2);
}

const CHAT: &str = r#"{"model": "default", "messages": [{"role": "user", "content": "Hello"}]}"#;

#[test]
fn the_gateway_serves_the_emulators_roles_and_stops_when_asked() {
    for name in ["TERM", "INT"] {
        let mut running = Program::new().spawn(&["serve", "--emulator", "--listen", "127.0.0.1:0"]);
        let (address, _out) = address(&mut running);
        let models = http(&address, "GET /v1/models", "");
        assert!(models.starts_with("HTTP/1.1 200"), "{models}");
        for role in ["default", "ernie", "qwen", "zhipu"] {
            assert!(models.contains(&format!("\"{role}\"")), "{models}");
        }
        let reply = http(&address, "POST /v1/chat/completions", CHAT);
        assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("You asked: Hello"), "{reply}");
        signal(&running, name);
        assert_eq!(running.0.wait().unwrap().code(), Some(0), "{name}");
    }
}

/// Waits until stderr says this.
fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, part: &str) {
    let found = lines.map(Result::unwrap).find(|line| line.contains(part));
    assert!(found.is_some(), "stderr ended without: {part}");
}

#[test]
fn a_hangup_reads_the_config_again_and_a_wrong_one_is_refused() {
    let role = |name: &str| {
        format!(
            "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\n[roles.{name}]\nmodel = \"glm-4.6v\"\n"
        )
    };
    let program = Program::new().with_file("polysight.toml", role("first"));
    let mut running = program.spawn(&["serve", "--listen", "127.0.0.1:0"]);
    let (address, _out) = address(&mut running);
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let models = || http(&address, "GET /v1/models", "");
    assert!(models().contains("\"first\""));

    let program = program.with_file("polysight.toml", role("second"));
    signal(&running, "HUP");
    wait_for(&mut lines, "polysight.toml was read again");
    assert!(models().contains("\"second\"") && !models().contains("\"first\""));

    let _program = program.with_file("polysight.toml", "[roles.third\nbackend = ?");
    signal(&running, "HUP");
    wait_for(&mut lines, "error: polysight.toml:");
    wait_for(&mut lines, "what was served before is served on");
    assert!(models().contains("\"second\""));
    signal(&running, "TERM");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_gateway_without_keys_listens_on_loopback_alone() {
    let mut running = Program::new().spawn(&["serve", "--emulator", "--listen", "0.0.0.0:0"]);
    assert_eq!(running.0.wait().unwrap().code(), Some(1));
    assert!(stderr(&mut running).contains("error: "));
}
