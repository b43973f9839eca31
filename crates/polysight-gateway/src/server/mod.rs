//! Connections, and what comes over them.

pub(crate) mod access;
pub(crate) mod body;
mod chat;
mod linger;
pub(crate) mod metrics;
mod origin;
mod page;
pub(crate) mod record;
mod reply;
mod routes;
#[cfg(feature = "otlp")]
mod traces;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use linger::Lingering;
pub(crate) use reply::Body;

use crate::Gateway;
use crate::settings::Settings;

/// How long a connection may take to send the error that its stream was cut with.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves connections until `shutdown`, and then those that are busy for a while.
///
/// # Errors
/// When spans are to be sent and cannot be.
pub(crate) async fn serve(
    gateway: Gateway,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let state = gateway.state();
    let settings = &state.settings;
    let (cut, cut_seen) = watch::channel(false);
    let server = Server {
        is_loopback: listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        gateway: gateway.clone(),
        cut: cut_seen,
        draining: Arc::default(),
        #[cfg(feature = "otlp")]
        traces: traces::Traces::start(settings.otlp_endpoint.as_deref())?,
    };
    let connections = GracefulShutdown::new();
    accept(&server, &listener, &connections, settings, shutdown).await;
    drop(listener);
    server.draining.store(true, std::sync::atomic::Ordering::Relaxed);
    let grace = gateway.state().settings.shutdown_grace;
    let ended = connections.shutdown();
    tokio::pin!(ended);
    if tokio::time::timeout(grace, &mut ended).await.is_err() {
        // All receivers may be gone.
        let _ = cut.send(true);
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
    }
    #[cfg(feature = "otlp")]
    if let Some(traces) = &server.traces {
        traces.shut_down().await;
    }
    Ok(())
}

/// What every connection knows.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) gateway: Gateway,
    /// Whether it can be reached from this machine alone.
    pub(crate) is_loopback: bool,
    /// Becomes true when streams must end.
    cut: watch::Receiver<bool>,
    /// Whether the shutdown has begun.
    pub(crate) draining: Arc<std::sync::atomic::AtomicBool>,
    /// Where spans of requests go.
    #[cfg(feature = "otlp")]
    traces: Option<Arc<traces::Traces>>,
}

impl Server {
    pub(crate) fn cut(&self) -> Cut {
        Cut::new(self.cut.clone())
    }
}

async fn accept(
    server: &Server,
    listener: &TcpListener,
    connections: &GracefulShutdown,
    settings: &Settings,
    shutdown: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(settings.max_connections));
    let http = http(settings);
    tokio::pin!(shutdown);
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (stream, permit) = tokio::select! {
            biased;
            () = &mut shutdown => return,
            next = next => match next {
                Some((Ok((stream, _)), permit)) => (stream, permit),
                Some((Err(error), _)) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                None => return,
            },
        };
        let connection = connection(&http, server.clone(), stream);
        let watched = connections.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks concerns its client alone.
            let _ = watched.await;
            drop(permit);
        });
    }
}

/// How long nothing is accepted after an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(50);

fn http(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_headers(settings.max_headers)
        .max_header_size(settings.max_header_bytes);
    http
}

fn connection(
    http: &http1::Builder,
    server: Server,
    stream: TcpStream,
) -> http1::Connection<
    TokioIo<Lingering>,
    impl hyper::service::HttpService<
        hyper::body::Incoming,
        ResBody = Body,
        Error = std::convert::Infallible,
        Future: Send,
    > + use<>,
> {
    // Small events must not wait for more.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let server = server.clone();
        // hyper keeps room for this future as long as the connection is open: an idle one should not hold it.
        Box::pin(async move { Ok(routes::answer(server, request).await) })
    });
    http.serve_connection(TokioIo::new(Lingering::new(stream)), service)
}

/// Is ready when a stream must end before its time.
pub(crate) struct Cut(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Cut {
    fn new(mut seen: watch::Receiver<bool>) -> Self {
        Self(Box::pin(async move {
            if seen.wait_for(|is_cut| *is_cut).await.is_err() {
                std::future::pending::<()>().await;
            }
        }))
    }

    /// Not to be polled again once it was ready.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}
