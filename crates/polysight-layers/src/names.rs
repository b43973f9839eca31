//! Names for calls.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names for calls, unlike any other's in any process.
#[derive(Debug)]
pub(crate) struct CallNames {
    process: u64,
    count: AtomicU64,
}

impl Default for CallNames {
    fn default() -> Self {
        // The standard library seeds its hashers from the system's randomness.
        Self { process: RandomState::new().hash_one(std::process::id()), count: AtomicU64::new(0) }
    }
}

impl CallNames {
    pub(crate) fn next(&self) -> String {
        format!("{:016x}-{:x}", self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
