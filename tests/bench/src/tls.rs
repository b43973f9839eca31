//! The path that calls to a vendor take: TLS, HTTP/1.1 or HTTP/2, and a line that takes its time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::{Result, corpus, server};

/// The authority of the server's certificate, in the folder of the run.
pub const CA_FILE: &str = "ca.pem";

/// How long each direction takes: a round trip of 40 ms.
const DELAY: Duration = Duration::from_millis(20);

/// What a stream, and a connection of HTTP/2 may send unasked: the protocol's own default, in bytes.
const WINDOW: u32 = 65_535;

/// Binds the server and the relay before it, writes the certificate, and gives the port of the relay. Both run until the
/// runtime ends.
pub async fn start(folder: &Path) -> Result<u16> {
    let acceptor = acceptor(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let relay = TcpListener::bind("127.0.0.1:0").await?;
    let (target, port) = (listener.local_addr()?, relay.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(acceptor.clone(), stream));
        }
    });
    tokio::spawn(async move {
        while let Ok((near, _)) = relay.accept().await {
            tokio::spawn(forward(near, target));
        }
    });
    Ok(port)
}

fn acceptor(folder: &Path) -> Result<TlsAcceptor> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(folder.join(CA_FILE), certified.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
    let mut config =
        config.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(acceptor.accept(stream).await?);
    let mut connection = auto::Builder::new(TokioExecutor::new());
    connection.http2().initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    connection.serve_connection(stream, service_fn(reply)).await
}

/// Throws the body away and gives the plain answer.
async fn reply(request: Request<Incoming>) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut reply = Response::new(Full::from(server::document(&corpus::text(server::ANSWER_WORDS))));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(server::JSON));
    Ok(reply)
}

/// Carries bytes both ways, each [`DELAY`] late.
async fn forward(near: TcpStream, target: SocketAddr) -> Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::spawn(delayed(from_near, to_far));
    delayed(from_far, to_near).await
}

async fn delayed(mut from: OwnedReadHalf, to: OwnedWriteHalf) -> Result<()> {
    // More than any case has under way, so that it is the delay alone that limits.
    let (sender, underway) = mpsc::channel(4096);
    tokio::spawn(write_late(underway, to));
    loop {
        let mut piece = BytesMut::with_capacity(64 << 10);
        if from.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        sender.send((Instant::now() + DELAY, piece)).await?;
    }
}

async fn write_late(mut underway: mpsc::Receiver<(Instant, BytesMut)>, mut to: OwnedWriteHalf) -> Result<()> {
    while let Some((due, piece)) = underway.recv().await {
        sleep_until(due).await;
        to.write_all(&piece).await?;
    }
    Ok(to.shutdown().await?)
}
