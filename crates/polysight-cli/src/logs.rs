//! Log lines on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::{Command, Global, LogForm};

/// Begins to log: warnings, and what a server does; more as the command line or `RUST_LOG` says.
pub(crate) fn start(global: &Global, command: &Command) {
    let level = match (global.verbose, command) {
        (0, Command::Serve(_)) | (1, _) => "info",
        (0, _) => "warn",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match global.log {
        LogForm::Text => lines.init(),
        LogForm::Json => lines.json().flatten_event(true).init(),
    }
}
