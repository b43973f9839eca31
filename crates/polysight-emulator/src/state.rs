//! What the connections of one emulator share.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::chat::completion::Stamp;
use crate::clock;
use crate::faults::Fault;
use crate::json::Json;
use crate::keys::Key;
use crate::record::RecordedRequest;

/// How the emulator was told to behave.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) keys: Vec<Key>,
    pub(crate) legacy: bool,
    pub(crate) pace: Option<Duration>,
    pub(crate) async_polls: u32,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) forbidden: Vec<String>,
    pub(crate) kept_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            legacy: false,
            pace: None,
            async_polls: 1,
            max_in_flight: None,
            forbidden: Vec::new(),
            kept_requests: 10_000,
        }
    }
}

/// Results of asynchronous requests that are kept for polling.
const KEPT_TASKS: usize = 1000;

pub(crate) struct State {
    pub(crate) settings: Settings,
    /// Permits for decoding media: a picture of the largest size takes hundreds of megabytes.
    pub(crate) workers: Semaphore,
    script: Mutex<VecDeque<Vec<Fault>>>,
    requests: Mutex<VecDeque<RecordedRequest>>,
    tasks: Mutex<VecDeque<Task>>,
    in_flight: AtomicUsize,
    counter: AtomicU64,
    random: RandomState,
}

/// An asynchronous request.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) request_id: String,
    /// The account that may ask for it.
    pub(crate) owner: String,
    pub(crate) polls_left: u32,
    pub(crate) result: Json,
}

/// A place among the requests in flight, given back when dropped.
pub(crate) struct Seat {
    state: Arc<State>,
    /// Requests in flight when it was taken, this one included.
    pub(crate) taken: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        Self {
            settings,
            workers: Semaphore::new(workers),
            script: Mutex::default(),
            requests: Mutex::default(),
            tasks: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            counter: AtomicU64::new(0),
            random: RandomState::new(),
        }
    }

    pub(crate) fn take_seat(self: &Arc<Self>) -> Seat {
        let taken = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        Seat { state: Arc::clone(self), taken }
    }

    pub(crate) fn script(&self, faults: Vec<Fault>) {
        lock(&self.script).push_back(faults);
    }

    /// The faults of the next request; none when the script is over.
    pub(crate) fn next_faults(&self) -> Vec<Fault> {
        lock(&self.script).pop_front().unwrap_or_default()
    }

    pub(crate) fn record(&self, request: RecordedRequest) {
        keep(&mut lock(&self.requests), request, self.settings.kept_requests);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.requests).iter().cloned().collect()
    }

    pub(crate) fn clear_requests(&self) {
        lock(&self.requests).clear();
    }

    pub(crate) fn add_task(&self, task: Task) {
        keep(&mut lock(&self.tasks), task, KEPT_TASKS);
    }

    /// A task as it was before this poll, if the account owns it.
    pub(crate) fn poll_task(&self, id: &str, owner: &str) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        let task = tasks.iter_mut().find(|task| task.id == id && task.owner == owner)?;
        let before = task.clone();
        task.polls_left = task.polls_left.saturating_sub(1);
        Some(before)
    }

    /// A fresh id: Beijing time and 16 hex digits, or 19 decimal digits in the legacy shape.
    pub(crate) fn stamp(&self) -> Stamp {
        let created = clock::since_epoch().as_secs();
        let number = self.random_number();
        let id = if self.settings.legacy {
            (1_000_000_000_000_000_000 + number % 9_000_000_000_000_000_000).to_string()
        } else {
            format!("{}{number:016x}", clock::beijing_stamp(created))
        };
        Stamp { id, created }
    }

    /// A number that does not repeat soon.
    pub(crate) fn random_number(&self) -> u64 {
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.counter.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    list.push_back(item);
    while list.len() > most {
        list.pop_front();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
