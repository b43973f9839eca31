//! Sockets that are closed so that the last reply arrives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

/// How long, and how many bytes, are still read from a client that was refused before it had sent everything.
const LIMIT: Duration = Duration::from_secs(1);
const MAX_BYTES: u64 = 4 << 20;

/// A socket that, when dropped, reads a little of what the client is still sending. Closed with unread bytes it would be reset,
/// and a reset overtakes the refusal that the client should read.
pub(super) struct Lingering {
    stream: Option<TcpStream>,
    /// Whether the client has sent its last byte.
    is_at_end: bool,
}

impl Lingering {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), is_at_end: false }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take().filter(|_| !self.is_at_end) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LIMIT, discard(stream)));
        }
    }
}

async fn discard(mut stream: TcpStream) {
    // Whether anybody still listens makes no difference here.
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream.take(MAX_BYTES), &mut tokio::io::sink()).await;
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.stream()?.poll_read(context, buffer));
        self.is_at_end |= read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
