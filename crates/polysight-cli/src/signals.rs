//! Signals that stop a server or make it read its config again.

use std::future::Future;
use std::io;

/// Ends when the process is asked to stop: by Ctrl-C, or SIGTERM where there are signals.
///
/// # Errors
/// When the signals cannot be had.
#[cfg(unix)]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends when the process is asked to stop: by Ctrl-C.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(crate) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without a handler the default one stops the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Ends when the process is asked to stop for the second time.
///
/// # Errors
/// When the signals cannot be had.
pub(crate) fn stop_at_once() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let first = stop()?;
    Ok(async move {
        first.await;
        match stop() {
            Ok(second) => second.await,
            Err(_) => std::future::pending().await,
        }
    })
}

/// Requests to read the config again: SIGHUP, where there are signals.
pub(crate) struct Hangups {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangups {
    /// Begins to listen; the signal no longer ends the process.
    ///
    /// # Errors
    /// When the signal cannot be had.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Ends at the next one; never where there are no signals.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        self.signal.recv().await;
    }

    /// Ends at the next one; never where there are no signals.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
