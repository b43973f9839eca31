//! What the connections of one emulator share.

mod answers;
pub(crate) mod body_memory;
pub(crate) mod concurrency;
pub(crate) mod prompt_cache;
pub(crate) mod quota;
pub(crate) mod random_faults;
pub(crate) mod record;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use answers::Answers;
use body_memory::BodyMemory;
use concurrency::{Allowed, Concurrency};
use prompt_cache::PromptCache;
use quota::QuotaUsage;
use random_faults::RandomFaults;
use record::RecordedRequest;

use crate::auth::Key;
use crate::chat::completion::Stamp;
use crate::clock;
use crate::faults::Fault;
use crate::json::Json;
use crate::media::Medium;

/// How the emulator is set up.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) keys: Vec<Key>,
    pub(crate) legacy: bool,
    /// The gateway serves models that it does not know.
    pub(crate) any_model: bool,
    pub(crate) delta_delay: Option<Duration>,
    pub(crate) async_polls: u32,
    pub(crate) allowed: Allowed,
    pub(crate) random_faults: Option<Arc<RandomFaults>>,
    pub(crate) forbidden: Vec<String>,
    pub(crate) kept_requests: usize,
    pub(crate) quotas: bool,
    /// Baidu's access keys with their secrets.
    pub(crate) iam: Vec<(String, String)>,
    pub(crate) iam_life: Option<Duration>,
    /// Of tickets and of files.
    pub(crate) upload_life: (Duration, Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            legacy: false,
            any_model: false,
            delta_delay: None,
            async_polls: 1,
            allowed: Allowed::default(),
            random_faults: None,
            forbidden: Vec::new(),
            kept_requests: 10_000,
            quotas: false,
            iam: Vec::new(),
            iam_life: None,
            upload_life: (Duration::from_secs(300), Duration::from_secs(48 * 3600)),
        }
    }
}

/// Results of asynchronous requests that are kept for polling.
const KEPT_TASKS: usize = 1000;
/// Short-lived keys that are remembered.
const KEPT_IAM_KEYS: usize = 10_000;
/// Uploaded files that are remembered: what was measured of them, not their bytes.
const KEPT_UPLOADS: usize = 1000;

pub(crate) struct State {
    pub(crate) settings: Settings,
    /// Permits for decoding media: a picture of the largest size takes hundreds of megabytes.
    pub(crate) workers: Semaphore,
    pub(crate) answers: Answers,
    pub(crate) body_memory: BodyMemory,
    script: Mutex<VecDeque<Vec<Fault>>>,
    requests: Mutex<VecDeque<RecordedRequest>>,
    tasks: Mutex<VecDeque<Task>>,
    iam_keys: Mutex<VecDeque<IamKey>>,
    uploads: Mutex<VecDeque<Upload>>,
    pub(crate) quota_usage: QuotaUsage,
    pub(crate) prompt_cache: PromptCache,
    pub(crate) address: SocketAddr,
    pub(crate) concurrency: Concurrency,
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

/// A short-lived key of Baidu's.
#[derive(Clone, Debug)]
pub(crate) struct IamKey {
    pub(crate) text: String,
    pub(crate) expires: Instant,
}

/// A file that was uploaded to Alibaba's store.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) medium: Medium,
    pub(crate) expires: Instant,
}

impl State {
    pub(crate) fn new(settings: Settings, address: SocketAddr) -> Self {
        let workers = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        Self {
            settings,
            workers: Semaphore::new(workers),
            answers: Answers::default(),
            body_memory: BodyMemory::default(),
            script: Mutex::default(),
            requests: Mutex::default(),
            tasks: Mutex::default(),
            iam_keys: Mutex::default(),
            uploads: Mutex::default(),
            quota_usage: QuotaUsage::default(),
            prompt_cache: PromptCache::default(),
            address,
            concurrency: Concurrency::default(),
            counter: AtomicU64::new(0),
            random: RandomState::new(),
        }
    }

    pub(crate) fn script(&self, faults: Vec<Fault>) {
        lock(&self.script).push_back(faults);
    }

    /// The faults of the next request: those of the script, then random ones.
    pub(crate) fn next_faults(&self) -> Vec<Fault> {
        let scripted = lock(&self.script).pop_front();
        scripted.unwrap_or_else(|| {
            self.settings.random_faults.as_ref().and_then(|faults| faults.draw()).into_iter().collect()
        })
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

    pub(crate) fn add_iam_key(&self, key: IamKey) {
        keep(&mut lock(&self.iam_keys), key, KEPT_IAM_KEYS);
    }

    /// Whether a short-lived key is still good; `None` where it was never issued here.
    pub(crate) fn iam_key(&self, text: &str) -> Option<bool> {
        let keys = lock(&self.iam_keys);
        keys.iter().find(|key| key.text == text).map(|key| Instant::now() < key.expires)
    }

    /// Keeps a file; `false` where there is one of this name.
    pub(crate) fn add_upload(&self, upload: Upload) -> bool {
        let mut uploads = lock(&self.uploads);
        uploads.retain(|known| Instant::now() < known.expires);
        let fresh = uploads.iter().all(|known| known.name != upload.name);
        if fresh {
            keep(&mut uploads, upload, KEPT_UPLOADS);
        }
        fresh
    }

    pub(crate) fn upload(&self, name: &str) -> Option<Medium> {
        let uploads = lock(&self.uploads);
        let found = uploads.iter().find(|upload| upload.name == name && Instant::now() < upload.expires)?;
        Some(found.medium.clone())
    }

    /// Signs a text so that this emulator, and no other, knows it again.
    pub(crate) fn seal(&self, text: &str) -> String {
        let sealed = |salt: u8| {
            let mut hasher = self.random.build_hasher();
            hasher.write_u8(salt);
            hasher.write(text.as_bytes());
            hasher.finish()
        };
        format!("{:016x}{:016x}", sealed(1), sealed(2))
    }

    /// A fresh id in the form of a UUID.
    pub(crate) fn uuid(&self) -> String {
        let hex = format!("{:016x}{:016x}", self.random_number(), self.random_number());
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
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

/// The content of a mutex, also where a thread has panicked with it: it holds counts and lists.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
