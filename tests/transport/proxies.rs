//! A proxy that was named is used, or the error names it; nothing goes out without it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::child::call;
use super::server::{Authority, Script, Server, Socket, answer, read_request};

/// A proxy that leads every connection to one server, whatever host it is asked for, and keeps what it was asked.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let seen = Arc::clone(&shared);
                tokio::spawn(async move { serve(socket, target, &seen).await.unwrap_or_default() });
            }
        });
        Self { address, seen, task }
    }

    fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Speaks SOCKS 4, 4a and 5, and HTTP: the first byte says which.
async fn serve(mut socket: TcpStream, target: SocketAddr, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    let asked = match first[0] {
        4 => socks4(&mut socket).await?,
        5 => socks5(&mut socket).await?,
        _ => match http(socket, seen).await? {
            Some(tunnel) => return lead(tunnel, target).await,
            None => return Ok(()),
        },
    };
    seen.lock().unwrap().push(asked);
    lead(Box::new(socket), target).await
}

async fn lead(mut socket: Box<dyn Socket>, target: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    copy_bidirectional(&mut socket, &mut server).await.map(drop)
}

async fn bytes(socket: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    socket.read_exact(&mut bytes).await.map(|_| bytes)
}

async fn text(socket: &mut TcpStream) -> io::Result<String> {
    let length = socket.read_u8().await?;
    Ok(String::from_utf8_lossy(&bytes(socket, length.into()).await?).into_owned())
}

async fn up_to_zero(socket: &mut TcpStream) -> io::Result<String> {
    let mut text = String::new();
    loop {
        match socket.read_u8().await? {
            0 => return Ok(text),
            byte => text.push(byte.into()),
        }
    }
}

async fn socks4(socket: &mut TcpStream) -> io::Result<String> {
    let head = bytes(socket, 8).await?;
    up_to_zero(socket).await?;
    let host = match head[4..] {
        [0, 0, 0, last] if last > 0 => up_to_zero(socket).await?,
        ref address => address.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
    };
    socket.write_all(&[0, 0x5a, 0, 0, 0, 0, 0, 0]).await?;
    Ok(format!("socks4 {host}"))
}

async fn socks5(socket: &mut TcpStream) -> io::Result<String> {
    let [_, methods] = bytes(socket, 2).await?[..] else { return Err(io::ErrorKind::InvalidData.into()) };
    let with_password = bytes(socket, methods.into()).await?.contains(&2);
    socket.write_all(&[5, if with_password { 2 } else { 0 }]).await?;
    let mut asked = "socks5".to_owned();
    if with_password {
        socket.read_u8().await?;
        asked = format!("{asked} {}:{} at", text(socket).await?, text(socket).await?);
        socket.write_all(&[1, 0]).await?;
    }
    let host = match bytes(socket, 4).await?[3] {
        1 => bytes(socket, 4).await?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        3 => text(socket).await?,
        _ => format!("{:?}", bytes(socket, 16).await?),
    };
    bytes(socket, 2).await?;
    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(format!("{asked} {host}"))
}

/// A tunnel, or nothing where the proxy has answered for the server.
async fn http(socket: TcpStream, seen: &Mutex<Vec<String>>) -> io::Result<Option<Box<dyn Socket>>> {
    let mut socket: Box<dyn Socket> = Box::new(socket);
    let (head, _) = read_request(&mut socket, usize::MAX).await?;
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let line = head.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    seen.lock().unwrap().push([line, authorization.unwrap_or_default()].join(" ").trim().to_owned());
    if head.starts_with("CONNECT ") {
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        return Ok(Some(socket));
    }
    socket.write_all(answer("by proxy").as_bytes()).await?;
    Ok(None)
}

/// A proxy before a server, plain or with TLS; the settings with which it is trusted.
async fn before(authority: Option<(&Authority, &str)>) -> (Server, Proxy, String) {
    let security = authority.and_then(|(authority, _)| authority.server_for(&["h.example"], None, &[]));
    let server = Server::start(security, Script::Answer(1)).await;
    let proxy = Proxy::start(server.address).await;
    let settings = authority.map(|(_, file)| format!("ca_file = '{file}'")).unwrap_or_default();
    (server, proxy, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_of_every_kind_are_used() {
    let authority = Authority::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let (plain, plain_proxy, _) = before(None).await;
    let (tls, tls_proxy, settings) = before(Some((&authority, file.path().to_str().unwrap()))).await;
    let plain_url = format!("http://h.example:{}/v1", plain.address.port());
    let tls_url = format!("https://h.example:{}/v1", tls.address.port());
    let asked_plain = format!("POST {plain_url}/chat/completions");
    let asked_tls = format!("CONNECT h.example:{}", tls.address.port());
    // Basic dXNlcjpwYSBzcw== is `user:pa ss`.
    for (variable, proxy, by_plain, by_tls) in [
        ("ALL_PROXY", "socks5h://@", "socks5 h.example", "socks5 h.example"),
        (
            "all_proxy",
            "socks5h://user:pa%20ss@@",
            "socks5 user:pa ss at h.example",
            "socks5 user:pa ss at h.example",
        ),
        ("ALL_PROXY", "socks4a://@", "socks4 h.example", "socks4 h.example"),
        ("ALL_PROXY", "SOCKS5H://@", "socks5 h.example", "socks5 h.example"),
        ("ALL_PROXY", "http://@", &asked_plain, &asked_tls),
        ("all_proxy", " http://@/ ", &asked_plain, &asked_tls),
        ("ALL_PROXY", "@", &asked_plain, &asked_tls),
        (
            "ALL_PROXY",
            "http://user:pa%20ss@@",
            &format!("{asked_plain} Basic dXNlcjpwYSBzcw=="),
            &format!("{asked_tls} Basic dXNlcjpwYSBzcw=="),
        ),
    ] {
        for (url, settings, server, asked) in
            [(&plain_url, "", &plain_proxy, by_plain), (&tls_url, &*settings, &tls_proxy, by_tls)]
        {
            let value = match proxy.strip_suffix("@@") {
                Some(start) => format!("{start}@{}", server.address),
                None => proxy.replace('@', &server.address.to_string()),
            };
            for (settings, variables) in [
                (settings.to_owned(), vec![(variable, &*value)]),
                (format!("{settings}\nproxy = '{value}'"), vec![("ALL_PROXY", "garbage://h.example")]),
            ] {
                let outcome = call(url, &settings, &variables).await;
                let text = if asked.starts_with("POST") { "ok by proxy" } else { "ok hello" };
                assert_eq!((&*outcome, server.take_seen()), (text, vec![asked.to_owned()]), "{url} {value}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socks_proxies_that_want_addresses_get_them() {
    let (server, proxy, _) = before(None).await;
    for scheme in ["socks4", "socks5"] {
        let value = format!("{scheme}://{}", proxy.address);
        let outcome = call(&server.url_at("localhost"), "", &[("HTTP_PROXY", &value)]).await;
        let asked = vec![format!("{scheme} 127.0.0.1")];
        assert_eq!((&*outcome, proxy.take_seen()), ("ok hello", asked), "{value}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_variable_of_the_scheme_goes_first_and_no_proxy_holds() {
    let (server, proxy, _) = before(None).await;
    let good = format!("socks5h://{}", proxy.address);
    let nowhere = "http://127.0.0.1:9";
    for (variables, is_proxied) in [
        (vec![("HTTP_PROXY", &*good), ("ALL_PROXY", nowhere)], true),
        (vec![("http_proxy", &*good), ("HTTPS_PROXY", nowhere)], true),
        (vec![("HTTP_PROXY", ""), ("http_proxy", &*good)], true),
        (vec![("HTTPS_PROXY", nowhere)], false),
        (vec![("ALL_PROXY", nowhere), ("NO_PROXY", "127.0.0.1")], false),
        (vec![("ALL_PROXY", nowhere), ("no_proxy", "*")], false),
        // A CGI program has `HTTP_PROXY` from the header of a request.
        (vec![("HTTP_PROXY", nowhere), ("REQUEST_METHOD", "GET")], false),
        (vec![("http_proxy", &*good), ("REQUEST_METHOD", "GET")], true),
    ] {
        let outcome = call(&server.url(), "", &variables).await;
        assert_eq!(
            (&*outcome, proxy.take_seen().len()),
            ("ok hello", usize::from(is_proxied)),
            "{variables:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_cannot_be_used_is_an_error_and_nothing_goes_out() {
    let (server, proxy, _) = before(None).await;
    for (value, words) in [
        ("garbage://user:canary@@", "scheme `garbage`"),
        ("socks://user:canary@@", "scheme `socks`"),
        ("ftp://@", "scheme `ftp`"),
        ("socks6h://@", "scheme `socks6h`"),
        ("http://", "scheme `http`"),
        ("socks5://", "scheme `socks5`"),
        ("http://user:canary@", "scheme `http`"),
        ("http://user:canary pass@@", "scheme `http`"),
        ("/canary", "not a URL"),
        ("::", "not a URL"),
        ("garbage:/canary", "not a URL"),
    ] {
        let value = value
            .replace("@@", &format!("@{}", proxy.address))
            .replace("://@", &format!("://{}", proxy.address));
        for variable in ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "https_proxy"] {
            let outcome = call(&server.url(), "", &[(variable, &*value)]).await;
            assert!(outcome.starts_with("config no ") && outcome.contains(words), "{value}: {outcome}");
            assert!(outcome.contains(&format!("variable {variable}")), "{value}: {outcome}");
            assert!(!outcome.contains("canary") && !outcome.contains("user"), "{value}: {outcome}");
        }
        let outcome = call(&server.url(), &format!("proxy = '{value}'"), &[]).await;
        assert!(outcome.starts_with("config no ") && outcome.contains(words), "{value}: {outcome}");
        assert!(outcome.contains("providers.p.proxy") && !outcome.contains("canary"), "{value}: {outcome}");
    }
    assert_eq!((server.connections(), proxy.take_seen().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_answer_is_named_and_nothing_goes_out() {
    let (server, _, _) = before(None).await;
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closing.local_addr().unwrap().port();
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    for (value, words) in [
        ("http://user:canary@127.0.0.1:9".to_owned(), "proxy 127.0.0.1:9: connection refused"),
        ("socks5://127.0.0.1:9".to_owned(), "proxy 127.0.0.1:9: connection refused"),
        ("https://127.0.0.1:9".to_owned(), "proxy 127.0.0.1:9: connection refused"),
        ("socks5h://no-such-host.invalid".to_owned(), "proxy no-such-host.invalid:1080: no such host"),
        (format!("socks5h://127.0.0.1:{port}"), "SOCKS error"),
        (format!("socks4a://127.0.0.1:{port}"), "SOCKS error"),
    ] {
        let outcome = call(&server.url(), "", &[("ALL_PROXY", &*value)]).await;
        assert!(outcome.starts_with("network no ") && outcome.contains(words), "{value}: {outcome}");
        assert!(!outcome.contains("canary"), "{outcome}");
    }
    assert_eq!(server.connections(), 0);
}
