//! Layers that wait need tokio's clock.

use polysight_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

/// Says in words what would be a panic of the runtime's own.
///
/// # Errors
/// [`ErrorKind::Config`] outside of a tokio runtime.
pub(crate) fn require_runtime() -> Result<()> {
    Handle::try_current().map(drop).map_err(|_| {
        let message = "no tokio runtime is running here: call it in one, such as under #[tokio::main]";
        Error::new(ErrorKind::Config, message)
    })
}
