//! Many pictures, by all cores, within a bound of memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use polysight_core::catalog::ImageCard;
use polysight_core::{Error, ErrorKind, Image, Result};

use super::{Cancel, FitPlan, FitSettings, Fitted, as_it_is, carry_out};

/// How many pictures are fitted at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ManyOptions {
    /// Threads. Default: one a core.
    pub threads: usize,
    /// Most memory of all threads together, in MiB; a picture that may take more is done alone. Default: 1024.
    pub max_memory: u32,
}

impl Default for ManyOptions {
    fn default() -> Self {
        Self { threads: thread::available_parallelism().map_or(1, usize::from), max_memory: 1_024 }
    }
}

impl ManyOptions {
    /// One thread a core, and 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of threads, at least 1.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the most memory of all threads together, in MiB.
    #[must_use]
    pub fn with_max_memory(mut self, mib: u32) -> Self {
        self.max_memory = mib;
        self
    }
}

/// How far a list is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Pictures that are done, this one included.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
}

/// Results that wait for an earlier one, for each thread.
const WAITING_PER_THREAD: usize = 2;

/// Fits many files. `each` gets one result or one error a file, in the order of the list, on the calling thread, as soon as it
/// and all before it are done; when it breaks off, the rest is left. A result is held only until `each` has it, so memory is
/// bounded however long the list is.
///
/// # Errors
/// [`ErrorKind::Config`] for settings out of range. What is wrong with a file is the result of that file.
pub fn fit_many(
    paths: &[PathBuf],
    card: &ImageCard,
    settings: &FitSettings,
    options: &ManyOptions,
    mut each: impl FnMut(Progress, &Path, Result<Fitted>) -> ControlFlow<()>,
) -> Result<()> {
    settings.check()?;
    let threads = options.threads.clamp(1, paths.len().max(1));
    let shared = Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        ahead: threads * WAITING_PER_THREAD,
        memory: u64::from(options.max_memory) << 20,
        cancel: Cancel::default(),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| shared.work(paths, card, settings));
        }
        for (index, path) in paths.iter().enumerate() {
            let result = shared.wait_for(index);
            if each(Progress { done: index + 1, total: paths.len() }, path, result).is_break() {
                break;
            }
        }
        shared.stop();
    });
    Ok(())
}

/// The files of a folder that are named like pictures, sorted by name; folders in it are not entered.
///
/// # Errors
/// [`ErrorKind::InvalidMedia`] when the folder cannot be read.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    const ENDINGS: [&str; 12] =
        ["jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif"];
    let failed = |error: std::io::Error| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Error::new(ErrorKind::InvalidMedia, format!("{name}: the folder cannot be read: {error}"))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ENDINGS.iter().any(|known| ending == *known) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[derive(Default)]
struct State {
    /// The next file to be taken.
    next: usize,
    /// The file that `each` waits for.
    wanted: usize,
    done: BTreeMap<usize, Result<Fitted>>,
    memory_in_use: u64,
    is_stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ahead: usize,
    memory: u64,
    cancel: Cancel,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_while(state, |state| !until(state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.cancel.cancel();
        self.state().is_stopped = true;
        self.changed.notify_all();
    }

    fn wait_for(&self, index: usize) -> Result<Fitted> {
        let mut state = self.state();
        state.wanted = index;
        self.changed.notify_all();
        let mut state = self.wait(state, |state| state.done.contains_key(&index));
        let missing = || Err(Error::new(ErrorKind::InvalidMedia, "the picture was not done"));
        state.done.remove(&index).unwrap_or_else(missing)
    }

    fn work(&self, paths: &[PathBuf], card: &ImageCard, settings: &FitSettings) {
        while let Some(index) = self.take(paths.len()) {
            let Some(path) = paths.get(index) else { return };
            let result = self.one(path, card, settings);
            self.state().done.insert(index, result);
            self.changed.notify_all();
        }
    }

    /// The next file, once it is near enough to the one that is waited for.
    fn take(&self, total: usize) -> Option<usize> {
        let is_near = |state: &State| state.is_stopped || state.next < state.wanted + self.ahead;
        let mut state = self.wait(self.state(), is_near);
        let index = state.next;
        state.next += 1;
        (!state.is_stopped && index < total).then_some(index)
    }

    fn one(&self, path: &Path, card: &ImageCard, settings: &FitSettings) -> Result<Fitted> {
        let image = Image::from_file(path)?;
        let Some(plan) = FitPlan::new(&image, card, settings)? else {
            return as_it_is(&image, settings, &self.cancel);
        };
        let memory = plan.memory().min(self.memory);
        let has_room = |state: &State| state.is_stopped || state.memory_in_use + memory <= self.memory;
        self.wait(self.state(), has_room).memory_in_use += memory;
        let result = carry_out(&image, plan, settings, &self.cancel);
        self.state().memory_in_use -= memory;
        self.changed.notify_all();
        result
    }
}
