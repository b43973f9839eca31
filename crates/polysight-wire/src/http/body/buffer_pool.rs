//! Blocks of memory that are used again.
//!
//! Without them every request would ask the allocator for its send window anew and give it back, and the page faults
//! of that cost as much as encoding an ordinary photograph.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Media bytes that are encoded at a time: a multiple of 3, so that no block but the last is padded.
pub(crate) const BLOCK_INPUT: usize = 24 << 10;
/// Their length as base64.
pub(crate) const BLOCK_OUTPUT: usize = BLOCK_INPUT / 3 * 4;
/// Blocks that are kept for later, 2 MiB in all.
const MAX_KEPT: usize = 64;

/// Blocks that wait to be used again.
#[derive(Debug, Clone, Default)]
pub(crate) struct BufferPool {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl BufferPool {
    /// A block of [`BLOCK_OUTPUT`] bytes with arbitrary content.
    pub(crate) fn take(&self) -> Vec<u8> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; BLOCK_OUTPUT])
    }

    /// Gives the first `len` bytes of a block out; the block comes back when they are dropped.
    pub(crate) fn lend(&self, block: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(Lent { block, len, pool: self.clone() })
    }

    /// Takes a block back.
    pub(crate) fn give_back(&self, block: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT {
            kept.push(block);
        }
    }
}

struct Lent {
    block: Vec<u8>,
    len: usize,
    pool: BufferPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.block.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_when_it_was_sent() {
        let pool = BufferPool::default();
        let block = pool.take();
        let address = block.as_ptr();
        drop(pool.lend(block, 10));
        let again = pool.take();
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn keeps_no_more_than_its_limit() {
        let pool = BufferPool::default();
        for _ in 0..MAX_KEPT + 10 {
            pool.give_back(vec![0; BLOCK_OUTPUT]);
        }
        assert_eq!(pool.kept.lock().unwrap().len(), MAX_KEPT);
    }
}
