//! How many bytes of request bodies are held in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of all bodies together, at most: four of the largest.
pub(crate) const MAX_BYTES: u64 = 4 * crate::route::MAX_BODY;

/// The bytes that are held.
#[derive(Clone, Default)]
pub(crate) struct BodyMemory(Arc<AtomicU64>);

/// The bytes of one body, given back when dropped.
pub(crate) struct HeldBytes {
    memory: BodyMemory,
    bytes: u64,
}

impl BodyMemory {
    pub(crate) fn hold(&self) -> HeldBytes {
        HeldBytes { memory: self.clone(), bytes: 0 }
    }
}

impl HeldBytes {
    /// Takes more bytes; `false` where all bodies together have too many.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.memory.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_BYTES
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_one_limit() {
        let memory = BodyMemory::default();
        let (mut first, mut second) = (memory.hold(), memory.hold());
        assert!(first.grow(MAX_BYTES - 1) && second.grow(1));
        assert!(!second.grow(1));
        drop(first);
        assert!(second.grow(1));
        drop(second);
        assert!(memory.hold().grow(MAX_BYTES));
    }
}
