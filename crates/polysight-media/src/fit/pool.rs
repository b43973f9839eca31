//! Room for work on pictures: threads that may block, and memory.

use std::fmt;
use std::sync::Arc;

use polysight_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// What pictures that are fitted at the same time may take; shared by its clones, and by the layers that are given one.
#[derive(Clone)]
pub struct FitPool {
    threads: Arc<Semaphore>,
    /// A permit a MiB.
    memory: Arc<Semaphore>,
    max_memory: u32,
}

impl Default for FitPool {
    /// One picture a core, and 1 GiB.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from), 1_024)
    }
}

impl FitPool {
    /// So many pictures at the same time, at least 1, and so much memory, in MiB; a picture that may take more is done alone.
    #[must_use]
    pub fn new(pictures: usize, max_memory: u32) -> Self {
        let max_memory = max_memory.max(1);
        Self {
            threads: Arc::new(Semaphore::new(pictures.clamp(1, Semaphore::MAX_PERMITS))),
            memory: Arc::new(Semaphore::new(max_memory as usize)),
            max_memory,
        }
    }

    /// Does work that may block once there is room for it.
    pub(super) async fn run<T: Send + 'static>(
        self,
        memory: u64,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let closed = |_| Error::new(ErrorKind::InvalidMedia, "pictures are not fitted any more");
        let mib = u32::try_from(memory.div_ceil(1 << 20)).unwrap_or(u32::MAX).clamp(1, self.max_memory);
        let thread = self.threads.acquire_owned().await.map_err(closed)?;
        let memory = self.memory.acquire_many_owned(mib).await.map_err(closed)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is over, also when nothing waits for it any more.
            let _permits = (thread, memory);
            work()
        });
        done.await.map_err(not_fitted)?
    }
}

impl fmt::Debug for FitPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, memory) = (self.threads.available_permits(), self.memory.available_permits());
        write!(f, "FitPool(room for {threads} pictures, {memory} of {} MiB)", self.max_memory)
    }
}

pub(super) fn not_fitted(error: JoinError) -> Error {
    Error::new(ErrorKind::InvalidMedia, "the picture was not fitted").with_source(error)
}
