//! An open connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// What bytes go over: TCP, or TLS over it.
pub(super) trait Transfer: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transfer for T {}

pub(super) type Socket = Box<dyn Transfer>;

/// A connection whose reply can be read even when the request could not be written to its end.
///
/// A server that refuses a large request answers early and closes. What is still being sent then fails, while the answer lies
/// in the receive buffer. So a failure to write because the peer has closed is no failure here: the write waits, and what
/// can be read decides, which is the answer or, without one, the end.
pub(crate) struct Stream {
    socket: TokioIo<Socket>,
    is_http2: bool,
    is_proxied: bool,
    /// The peer takes nothing any more.
    is_closed: bool,
}

impl Stream {
    pub(super) fn new(socket: Socket, is_http2: bool) -> Self {
        Self { socket: TokioIo::new(socket), is_http2, is_proxied: false, is_closed: false }
    }

    /// The peer is a proxy that reads the requests.
    pub(super) fn through_proxy(mut self) -> Self {
        self.is_proxied = true;
        self
    }

    fn write_with<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TokioIo<Socket>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_closed {
            return Poll::Pending;
        }
        match write(Pin::new(&mut self.socket), context) {
            Poll::Ready(Err(error)) if is_closed_by_peer(&error) => {
                self.is_closed = true;
                // The connection is polled once more, so that it waits for what can be read.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }
}

fn is_closed_by_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(context, |socket, context| socket.poll_write(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(context, |socket, context| socket.poll_write_vectored(context, slices))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(context, |socket, context| socket.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_closed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}
