//! A server that speaks TLS where a test wants it, and closes as a test says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// An authority made for one test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("Authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names.
    pub(crate) fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Issued {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// TLS for `localhost` and 127.0.0.1, with certificates of clients asked for by this authority's name or not.
    pub(crate) fn server(&self, clients: Option<&Self>, protocols: &[&str]) -> Security {
        self.server_for(&["localhost", "127.0.0.1"], clients, protocols)
    }

    pub(crate) fn server_for(&self, names: &[&str], clients: Option<&Self>, protocols: &[&str]) -> Security {
        let issued = self.issue(names, ExtendedKeyUsagePurpose::ServerAuth);
        let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Some(TlsAcceptor::from(Arc::new(config)))
    }
}

/// TLS, or none.
pub(crate) type Security = Option<TlsAcceptor>;

/// How a connection is closed after the reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Close {
    /// Writing ends, and what comes is read for a while.
    Linger,
    /// At once; unread bytes make the system reset the connection.
    AtOnce,
    /// With a reset, after the reply has arrived.
    Reset,
}

/// What a connection does.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    /// Answers each request when it has been read and, where a number is given, so many requests are being answered.
    Answer(usize),
    /// Reads the head and so many bytes of the body, replies, closes.
    Refuse { read: usize, reply: String, close: Close },
    /// Reads a request, sends this, and goes on sending a piece at each pause.
    Drip { reply: String, piece: &'static str, pause: Duration },
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    waiting: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(security: Security, script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if security.is_some() { "https" } else { "http" };
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (security, script, state) = (security.clone(), script.clone(), Arc::clone(&shared));
                state.connections.fetch_add(1, Ordering::SeqCst);
                // A client that closes early is what some tests want.
                tokio::spawn(async move {
                    connection(socket, security, script, &state).await.unwrap_or_default()
                });
            }
        });
        Self { address, scheme, state, task }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    pub(crate) fn url_at(&self, host: &str) -> String {
        format!("{}://{host}:{}/v1", self.scheme, self.address.port())
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Request lines and headers, oldest first.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

async fn connection(tcp: TcpStream, security: Security, script: Script, state: &State) -> io::Result<()> {
    if matches!(script, Script::Refuse { close: Close::Reset, .. }) {
        tcp.set_zero_linger()?;
    }
    tcp.set_nodelay(true)?;
    let mut socket: Box<dyn Socket> = match security {
        None => Box::new(tcp),
        Some(acceptor) => Box::new(acceptor.accept(tcp).await?),
    };
    match script {
        Script::Answer(together) => loop {
            let (head, _) = read_request(&mut socket, usize::MAX).await?;
            state.heads.lock().unwrap().push(head);
            state.waiting.fetch_add(1, Ordering::SeqCst);
            while state.waiting.load(Ordering::SeqCst) < together {
                sleep(Duration::from_millis(2)).await;
            }
            socket.write_all(answer("hello").as_bytes()).await?;
        },
        Script::Refuse { read, reply, close } => {
            let (head, _) = read_request(&mut socket, read).await?;
            state.heads.lock().unwrap().push(head);
            socket.write_all(reply.as_bytes()).await?;
            socket.flush().await?;
            match close {
                Close::AtOnce => {}
                Close::Reset => sleep(Duration::from_millis(30)).await,
                Close::Linger => {
                    socket.shutdown().await?;
                    let mut rest = vec![0; 1 << 16];
                    let drain = async { while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
                    let _ = timeout(Duration::from_secs(2), drain).await;
                }
            }
        }
        Script::Drip { reply, piece, pause } => {
            let (head, _) = read_request(&mut socket, usize::MAX).await?;
            state.heads.lock().unwrap().push(head);
            socket.write_all(reply.as_bytes()).await?;
            loop {
                sleep(pause).await;
                socket.write_all(piece.as_bytes()).await?;
            }
        }
    }
    Ok(())
}

/// The head of a request, and how much of its body was read: at most so many bytes.
pub(crate) async fn read_request(socket: &mut Box<dyn Socket>, limit: usize) -> io::Result<(String, usize)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let mut byte = [0];
        socket.read_exact(&mut byte).await?;
        bytes.push(byte[0]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut left = length.unwrap_or(0).min(limit);
    let read = left;
    let mut piece = vec![0; 1 << 16];
    while left > 0 {
        let space = left.min(piece.len());
        match socket.read(&mut piece[..space]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => left -= count,
        }
    }
    Ok((head, read))
}

pub(crate) fn answer(text: &str) -> String {
    reply(
        "200 OK",
        &format!(
            r#"{{"model":"m","choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#
        ),
    )
}

pub(crate) fn reply(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}
