//! What a policy says about a setting that cannot be.

use std::fmt::Debug;

use polysight_core::{Error, ErrorKind, Result};

/// Refuses a setting unless `ok`, in words that name it, its value and what is allowed.
pub(crate) fn require(ok: bool, name: &str, value: impl Debug, allowed: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, format!("`{name}` is {value:?}, but must be {allowed}")))
}
