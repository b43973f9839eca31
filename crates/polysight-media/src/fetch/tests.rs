//! Fetches from servers on loopback, with names that a test resolves.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{ErrorKind, Media, MediaSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";

/// Answers each host's addresses, one list for each look-up; the last one stays.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    fn with(self, host: &str, answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(host.to_owned(), answers.iter().map(parse).collect());
        self
    }
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names.get_mut(host).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// A server that gives each path its reply, then closes; `served` are the heads of the requests.
pub(super) struct Server {
    pub(super) port: u16,
    served: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(replies: Vec<(&'static str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&served);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, replies.clone(), Arc::clone(&log)));
            }
        });
        Self { port, served }
    }

    pub(super) fn url(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("http://{host}:{}{path}", self.port)).unwrap()
    }

    pub(super) fn count(&self) -> usize {
        self.served.lock().unwrap().len()
    }
}

async fn answer(mut stream: TcpStream, replies: Vec<(&'static str, Vec<u8>)>, log: Arc<Mutex<Vec<String>>>) {
    let mut head = vec![0; 4_096];
    let read = stream.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(head);
    let reply = replies.iter().find(|(known, _)| path == *known).map(|(_, reply)| reply.clone());
    let _ = stream
        .write_all(&reply.unwrap_or_else(|| b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()))
        .await;
    match path.as_str() {
        "/silent" | "/stuck" => tokio::time::sleep(Duration::from_secs(5)).await,
        "/endless" => while stream.write_all(&[7; 65_536]).await.is_ok() {},
        _ => {}
    }
}

pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

fn fetcher(server: &Server, policy: FetchPolicy, names: Names) -> Fetcher {
    Fetcher::with_lookup(policy.with_port(server.port), Arc::new(names)).unwrap()
}

/// A policy under which the name `cdn.example`, which the tests lead to loopback, may have that address.
fn open() -> FetchPolicy {
    FetchPolicy::new()
        .with_allowed_host("cdn.example")
        .with_times(Duration::from_secs(20), Duration::from_millis(500))
}

fn names() -> Names {
    Names::default().with("cdn.example", &[&["127.0.0.1"]])
}

#[test]
fn every_form_of_an_address_of_the_inside_is_refused() {
    let fetcher = Fetcher::new(FetchPolicy::new().with_port(22)).unwrap();
    let forms = [
        "http://127.0.0.1/a.png",
        "http://127.1/a.png",
        "http://127.0.1/a.png",
        "http://2130706433/a.png",
        "http://0x7f000001/a.png",
        "http://0x7f.0.0.1/a.png",
        "http://0x7f.1/a.png",
        "http://0177.0.0.1/a.png",
        "http://017700000001/a.png",
        "http://0177.0x0.0.1/a.png",
        "http://%31%32%37.0.0.1/a.png",
        "http://①②⑦.⓪.⓪.①/a.png",
        "http://127。0。0。1/a.png",
        "http://127.0.0.1:22/a.png",
        "http://127.0.0.1./a.png",
        "http://0/a.png",
        "http://0.0.0.0/a.png",
        "http://10.0.0.1/a.png",
        "http://167772161/a.png",
        "http://100.64.0.1/a.png",
        "http://100.100.100.200/latest/meta-data",
        "http://168.63.129.16/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://0xa9fea9fe/latest/meta-data",
        "http://0251.0376.0251.0376/latest/meta-data",
        "http://172.16.0.1/a.png",
        "http://192.168.0.1/a.png",
        "http://192.0.2.1/a.png",
        "http://198.18.0.1/a.png",
        "http://203.0.113.1/a.png",
        "http://224.0.0.1/a.png",
        "http://255.255.255.255/a.png",
        "http://[::]/a.png",
        "http://[::1]/a.png",
        "http://[0:0:0:0:0:0:0:1]/a.png",
        "http://[::127.0.0.1]/a.png",
        "http://[::ffff:127.0.0.1]/a.png",
        "http://[::ffff:7f00:1]/a.png",
        "http://[::ffff:8.8.8.8]/a.png",
        "http://[64:ff9b::127.0.0.1]/a.png",
        "http://[64:ff9b:1::7f00:1]/a.png",
        "http://[2002:7f00:1::]/a.png",
        "http://[2001:0:7f00:1::]/a.png",
        "http://[fd00:ec2::254]/a.png",
        "http://[fe80::1]/a.png",
        "http://[fec0::1]/a.png",
        "http://[ff02::1]/a.png",
        "http://[2001:db8::1]/a.png",
        "http://h.example\\@127.0.0.1/a.png",
        "http:\\\\127.0.0.1/a.png",
        "http://127.0.0.1\t/a.png",
        "http://h.exam\nple/a.png",
        "http://h.example\0.example/a.png",
        "http://h.example./a.png",
        "http://user@h.example/a.png",
        "http://user:secret@h.example/a.png",
        "http://h.example:25/a.png",
        "ftp://h.example/a.png",
        "file:///etc/passwd",
        "gopher://h.example/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "//127.0.0.1/a.png",
        "127.0.0.1/a.png",
    ];
    for form in forms {
        let refused = Fetcher::parse(form).and_then(|url| fetcher.check(&url));
        let error = refused.expect_err(form);
        assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{form}");
        assert!(error.is_local(), "{form}");
        let shown = error.to_string();
        assert!(
            !shown.contains("127.") && !shown.contains("secret") && !shown.contains("169."),
            "{form}: {shown}"
        );
    }
    assert!(fetcher.check(&Fetcher::parse("https://h.example/a.png?sign=1").unwrap()).is_ok());
}

#[tokio::test]
async fn names_that_lead_inside_are_refused_when_they_are_connected_to() {
    let server = Server::start(vec![("/a.png", ok(PNG))]).await;
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["fd00::1"],
        &["127.0.0.1", "192.168.1.1"],
    ] {
        let names = Names::default().with("h.example", &[addresses]);
        let fetcher = fetcher(&server, FetchPolicy::new(), names);
        let error = fetcher.fetch(&server.url("h.example", "/a.png")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{addresses:?}");
        assert!(error.message().starts_with("h.example: the host has "), "{error}");
        assert!(addresses.iter().all(|address| !error.to_string().contains(address)), "{error}");
    }
    // The system's own name for itself.
    let fetcher = Fetcher::new(FetchPolicy::new().with_port(server.port)).unwrap();
    let error = fetcher.fetch(&server.url("localhost", "/a.png")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{error}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn an_answer_that_changes_is_checked_again() {
    // The first look-up is allowed by its network, the one after the redirect leads elsewhere.
    let server = Server::start(vec![("/a.png", redirect("/b.png")), ("/b.png", ok(PNG))]).await;
    let names = Names::default().with("h.example", &[&["127.0.0.1"], &["10.0.0.1"]]);
    let policy = FetchPolicy::new().with_allowed_network("127.0.0.1/32".parse::<ipnet::IpNet>().unwrap());
    let fetcher = fetcher(&server, policy, names);
    let error = fetcher.fetch(&server.url("h.example", "/a.png")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia);
    assert!(error.message().contains("it redirects: the host has a private address"), "{error}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn redirects_to_the_inside_are_refused() {
    for location in [
        "http://127.0.0.1/a.png",
        "http://0x7f000001/a.png",
        "http://[::1]/a.png",
        "http://169.254.169.254/latest/meta-data",
        "//10.0.0.1/a.png",
        "http://h.example\\@127.0.0.1/",
        "http://user:secret@cdn.example/a.png",
        "http://cdn.example./a.png",
        "http://cdn.example:25/a.png",
        "file:///etc/passwd",
        "gopher://cdn.example/",
        "data:image/png;base64,iVBORw0KGgo=",
        "http://inside.example/a.png",
    ] {
        let server = Server::start(vec![("/a.png", redirect(location))]).await;
        let names = names().with("inside.example", &[&["192.168.1.1"]]);
        let fetcher = fetcher(&server, open(), names);
        let error = fetcher.fetch(&server.url("cdn.example", "/a.png")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia, "{location}");
        assert!(error.message().starts_with("cdn.example: it redirects"), "{location}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(server.count(), 1, "{location}");
    }
}

#[tokio::test]
async fn follows_three_redirects_and_not_a_fourth() {
    let server = Server::start(vec![
        ("/4", redirect("/3")),
        ("/3", redirect("/2")),
        ("/2", redirect("/1")),
        ("/1", redirect("/a.png")),
        ("/a.png", ok(PNG)),
    ])
    .await;
    let fetcher = fetcher(&server, open(), names());
    assert_eq!(fetcher.fetch(&server.url("cdn.example", "/3")).await.unwrap().byte_len(), PNG.len() as u64);
    let error = fetcher.fetch(&server.url("cdn.example", "/4")).await.unwrap_err();
    assert!(error.message().contains("more than 3 times"), "{error}");
}

#[tokio::test]
async fn an_allowed_loopback_works_by_host_and_by_network() {
    let server = Server::start(vec![("/a.png?sign=1", ok(PNG))]).await;
    let by_network = FetchPolicy::new().with_allowed_network("127.0.0.0/8".parse::<ipnet::IpNet>().unwrap());
    for (policy, host) in [
        (open(), "cdn.example"),
        (FetchPolicy::new().with_allowed_host("127.0.0.1"), "127.0.0.1"),
        (by_network.clone(), "127.0.0.1"),
        (by_network, "cdn.example"),
    ] {
        let fetched =
            fetcher(&server, policy, names()).fetch(&server.url(host, "/a.png?sign=1")).await.unwrap();
        assert_eq!((fetched.media_type(), fetched.byte_len()), ("image/png", PNG.len() as u64));
        let Media::Image(image) = fetched.media() else { panic!() };
        assert_eq!(image.info().unwrap().shown(), (2, 3));
    }
    for head in server.served.lock().unwrap().iter() {
        let head = head.to_lowercase();
        for name in ["cookie:", "referer:", "authorization:"] {
            assert!(!head.contains(name), "{head}");
        }
    }
}

#[tokio::test]
async fn what_is_large_goes_into_a_file_that_vanishes() {
    let mut body = PNG.to_vec();
    body.resize(300_000, 7);
    let server = Server::start(vec![("/a.png", ok(&body))]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut policy = open().with_max_memory_bytes(100_000);
    policy.folder = Some(folder.path().to_owned());
    let fetched =
        fetcher(&server, policy, names()).fetch(&server.url("cdn.example", "/a.png")).await.unwrap();
    let MediaSource::File(file) = fetched.source() else { panic!("{fetched:?}") };
    assert_eq!(std::fs::read(file.path()).unwrap(), body);
    drop(fetched);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_media_are_refused() {
    let html = b"  <!doctype html><html>log in</html>";
    let declared = |length: u64, body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes(), body].concat()
    };
    let chunked = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    let zipped = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b".to_vec();
    let server = Server::start(vec![
        ("/large", declared(9_000_000, PNG)),
        ("/short", declared(500, PNG)),
        ("/endless", chunked.clone()),
        ("/html", ok(html)),
        ("/json", ok(b"{\"error\": 1}")),
        ("/empty", ok(b"")),
        ("/text", ok(b"words")),
        ("/gzip", zipped),
        ("/cut", ok(&PNG[..12])),
        ("/silent", Vec::new()),
        ("/stuck", [&chunked[..], PNG].concat()),
    ])
    .await;
    let fetcher = fetcher(&server, open().with_max_bytes(1_000_000), names());
    for (path, kind, words) in [
        ("/large", ErrorKind::InvalidMedia, "it is 9000000 bytes, and at most 1000000"),
        ("/short", ErrorKind::MediaFetchFailed, "broke off"),
        ("/endless", ErrorKind::InvalidMedia, "at most 1000000"),
        ("/html", ErrorKind::InvalidMedia, "HTML"),
        ("/json", ErrorKind::InvalidMedia, "JSON"),
        ("/empty", ErrorKind::InvalidMedia, "empty"),
        ("/text", ErrorKind::InvalidMedia, "plain text"),
        ("/gzip", ErrorKind::InvalidMedia, "compressed"),
        ("/cut", ErrorKind::InvalidMedia, "cut off"),
        ("/silent", ErrorKind::MediaFetchFailed, "no answer within"),
        ("/stuck", ErrorKind::MediaFetchFailed, "nothing more arrived within"),
        ("/missing?sign=secret", ErrorKind::MediaFetchFailed, "answers an error"),
    ] {
        let error = fetcher.fetch(&server.url("cdn.example", path)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{path}: {error}");
        assert!(
            error.message().starts_with("cdn.example: ") && error.message().contains(words),
            "{path}: {error}"
        );
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("127.0") && !shown.contains("secret") && error.is_local(), "{shown}");
    }
}

#[tokio::test]
async fn a_longer_body_than_declared_ends_where_it_says() {
    let lying = [&b"HTTP/1.1 200 OK\r\ncontent-length: 33\r\n\r\n"[..], PNG, &[7; 5_000]].concat();
    let server = Server::start(vec![("/a.png", lying)]).await;
    let fetched =
        fetcher(&server, open(), names()).fetch(&server.url("cdn.example", "/a.png")).await.unwrap();
    assert_eq!(fetched.byte_len(), 33);
}

#[tokio::test]
async fn the_whole_time_is_bounded_though_bytes_keep_coming() {
    let drip = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = drip.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = drip.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4_096]).await.unwrap() > 0);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        while stream.write_all(&[7]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let policy = open().with_port(port).with_times(Duration::from_millis(900), Duration::from_millis(500));
    let fetcher = Fetcher::with_lookup(policy, Arc::new(names())).unwrap();
    let url = Url::parse(&format!("http://cdn.example:{port}/")).unwrap();
    let error = fetcher.fetch(&url).await.unwrap_err();
    assert!(error.message().contains("not complete within 900ms"), "{error}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_unreachable_and_shows_no_address() {
    let fetcher = Fetcher::with_lookup(open(), Arc::new(names())).unwrap();
    for host in ["gone.example", "cdn.example"] {
        // Nothing listens at the usual port of loopback, or what does speaks no TLS.
        let url = Url::parse(&format!("https://{host}:8443/a.png?sign=secret")).unwrap();
        let error = fetcher.fetch(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MediaFetchFailed);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("127.0") && !shown.contains("secret"), "{shown}");
    }
}
