//! Collects everything that a program, its log or its user could see, to be searched at the end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Debug, Write as _};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::secret::{PROMPT, Secret, secrets};

/// Where something was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sort {
    /// An error: its line, its `Debug`, all its parts, its sources and the attempts before it.
    Error,
    /// A message of a panic.
    Panic,
    /// `Debug` of providers, roles and settings.
    Setting,
    /// `Debug` of requests and plans, which are the program's own.
    Request,
    /// `Debug` of answers and of events.
    Answer,
    /// A span or an event of `tracing`.
    Trace,
    /// A record of `log`.
    Log,
}

impl Sort {
    /// Whether the instructions may stand in it: a request holds them. Neither errors nor logs may.
    fn may_hold_the_instructions(self) -> bool {
        matches!(self, Self::Request | Self::Answer)
    }
}

/// All that was shown, each text once with where it came first.
#[derive(Default)]
struct Collected {
    texts: HashMap<(Sort, String), String>,
    times: BTreeMap<Sort, u64>,
}

static COLLECTED: LazyLock<Mutex<Collected>> = LazyLock::new(Mutex::default);

/// Records what was shown at a place.
pub(crate) fn note(sort: Sort, place: &str, text: impl Into<String>) {
    let mut collected = COLLECTED.lock().unwrap_or_else(PoisonError::into_inner);
    *collected.times.entry(sort).or_default() += 1;
    collected.texts.entry((sort, text.into())).or_insert_with(|| place.to_owned());
}

/// Records the two forms of `Debug`.
pub(crate) fn note_debug(sort: Sort, place: &str, value: &(impl Debug + ?Sized)) {
    note(sort, place, format!("{value:?}"));
    note(sort, place, format!("{value:#?}"));
}

/// What was looked through, and what was found.
pub(crate) struct Search {
    pub(crate) times: BTreeMap<Sort, u64>,
    pub(crate) texts: usize,
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
    pub(crate) found: Vec<String>,
}

/// Looks through everything.
pub(crate) fn search() -> Search {
    let collected = COLLECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let index = SecretIndex::new(secrets());
    let mut found = Vec::new();
    for ((sort, text), place) in &collected.texts {
        let hits = index.found_in(text);
        let asked =
            (!sort.may_hold_the_instructions() && text.contains(PROMPT)).then_some("the instructions");
        for what in hits.into_iter().chain(asked) {
            found.push(format!("{what} in {sort:?} at {place}: {text}"));
        }
    }
    found.sort();
    let texts = || collected.texts.keys().map(|(_, text)| text);
    Search {
        times: collected.times.clone(),
        texts: collected.texts.len(),
        lines: texts().map(|text| text.lines().count()).sum(),
        bytes: texts().map(String::len).sum(),
        found,
    }
}

/// SecretIndex by their first two bytes: to look for one after another takes longer than all calls.
struct SecretIndex(Vec<Vec<Secret>>);

impl SecretIndex {
    fn new(secrets: Vec<Secret>) -> Self {
        let mut by_beginning: Vec<Vec<Secret>> = std::iter::repeat_with(Vec::new).take(1 << 16).collect();
        for secret in secrets {
            let bytes = secret.text.as_bytes();
            by_beginning[Self::beginning(bytes[0], bytes[1])].push(secret);
        }
        Self(by_beginning)
    }

    fn beginning(first: u8, second: u8) -> usize {
        usize::from(first) << 8 | usize::from(second)
    }

    /// Whose secrets are in a text.
    fn found_in(&self, text: &str) -> BTreeSet<&'static str> {
        let bytes = text.as_bytes();
        let mut found = BTreeSet::new();
        for at in 1..bytes.len() {
            for secret in &self.0[Self::beginning(bytes[at - 1], bytes[at])] {
                if bytes[at - 1..].starts_with(secret.text.as_bytes()) {
                    found.insert(secret.of);
                }
            }
        }
        found
    }
}

/// Begins to collect spans, events, log records and messages of panics of the whole process.
pub(crate) fn open() {
    tracing::subscriber::set_global_default(Traces(AtomicU64::new(1))).unwrap();
    log::set_logger(&Logs).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    panic::set_hook(Box::new(|info| {
        note(Sort::Panic, "a panic", info.to_string());
        if !UNWRAPS.get() {
            eprintln!("{info}");
        }
    }));
}

thread_local! {
    /// Whether the panic is one of [`unwrap`].
    static UNWRAPS: Cell<bool> = const { Cell::new(false) };
}

/// Panics as a program does that unwraps an error.
pub(crate) fn unwrap<E: Debug + Clone>(error: &E) {
    let failed: Option<Result<(), E>> = Some(Err(error.clone()));
    let unwrap = panic::AssertUnwindSafe(|| failed.map(Result::unwrap));
    UNWRAPS.set(true);
    let caught = panic::catch_unwind(unwrap);
    UNWRAPS.set(false);
    assert!(caught.is_err());
}

/// Keeps every span and event of every level, with all fields.
struct Traces(AtomicU64);

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Fields {
    fn note(self, metadata: &Metadata<'_>) {
        let place = format!("{} {}", metadata.target(), metadata.level());
        note(Sort::Trace, &place, format!("{}{}", metadata.name(), self.0));
    }
}

/// Spans are not distinguished, so what is recorded later has no name.
impl Subscriber for Traces {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        fields.note(attributes.metadata());
        Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        note(Sort::Trace, "a field of a span", fields.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.note(event.metadata());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Logs;

impl log::Log for Logs {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let place = format!("{} {}", record.target(), record.level());
        note(Sort::Log, &place, record.args().to_string());
    }

    fn flush(&self) {}
}
