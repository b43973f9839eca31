//! What is measured.

use std::path::Path;

use bytes::Bytes;

use crate::clients::{Client as _, Facade, Http2, Limit, Naive, Picture, Question};
use crate::corpus;
use crate::measure::Sample;
use crate::server::Scenario;

/// One thing that is measured.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub pictures: Pictures,
    pub scenario: Scenario,
    /// Requests in a repetition.
    pub requests: usize,
    /// Requests at a time.
    pub in_flight: usize,
    pub group: Group,
}

/// What cases are run, and shown, together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Those of a run that names no cases.
    Main,
    /// Sizes of pictures by requests in flight. What handwritten copies hold there would not fit a machine, so that only
    /// those that hold none take turns.
    Grid,
    /// TLS, over a line with a delay.
    Tls,
    /// Run by name alone.
    Named,
}

impl Group {
    pub const ALL: [Self; 4] = [Self::Main, Self::Grid, Self::Tls, Self::Named];

    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Grid => "grid",
            Self::Tls => "tls",
            Self::Named => "named",
        }
    }

    /// Those who take turns, the one that others are held against first.
    pub fn clients(self) -> &'static [&'static str] {
        match self {
            Self::Main | Self::Named => &[Facade::<false>::NAME, Limit::NAME, Naive::NAME],
            Self::Grid => &[Facade::<false>::NAME, Limit::NAME],
            Self::Tls => &[Facade::<false>::NAME, Http2::NAME, Naive::NAME],
        }
    }

    /// What a repetition cost: CPU a unit, time for what waits, in microseconds.
    pub fn cost(self, sample: &Sample) -> f64 {
        match self {
            Self::Tls => sample.wall_us as f64,
            _ => sample.first_us.unwrap_or(sample.cpu_us as f64 / sample.units.max(1) as f64),
        }
    }
}

/// The pictures of a request.
#[derive(Clone, Copy)]
pub enum Pictures {
    None,
    /// So many files of so many bytes.
    Files(usize, usize),
    /// One picture of so many bytes, held by the caller and shared.
    Shared(usize),
}

pub const PHOTO: usize = 338_274;
const MB: usize = 1_000_000;

const PLAIN: Case = Case {
    name: "W1",
    what: "a small text request, one after another",
    pictures: Pictures::None,
    scenario: Scenario::Answer,
    requests: 2_000,
    in_flight: 1,
    group: Group::Main,
};

const fn deltas(name: &'static str, what: &'static str, chunk: usize) -> Case {
    let scenario = Scenario::Deltas { count: 20_000, chunk };
    Case { name, what, scenario, requests: 5, ..PLAIN }
}

const fn shared(name: &'static str, what: &'static str, size: usize, requests: usize) -> Case {
    Case { name, what, pictures: Pictures::Shared(size), requests, ..PLAIN }
}

const fn many(name: &'static str, what: &'static str, in_flight: usize) -> Case {
    Case { name, what, pictures: Pictures::Shared(MB), requests: in_flight, in_flight, ..PLAIN }
}

/// A stream of so many deltas, for what it holds: that must not grow with its length.
const fn long(name: &'static str, what: &'static str, count: usize) -> Case {
    Case { name, what, scenario: Scenario::Deltas { count, chunk: 16 << 10 }, requests: 1, ..PLAIN }
}

const fn grid(name: &'static str, size: usize, in_flight: usize) -> Case {
    let least = if size < MB { 128 } else { 16 };
    Case {
        name,
        what: "a point of the grid: a picture in memory, requests in flight",
        pictures: Pictures::Shared(size),
        requests: if in_flight > least { in_flight } else { least },
        in_flight,
        group: Group::Grid,
        ..PLAIN
    }
}

const fn tls(name: &'static str, what: &'static str, in_flight: usize) -> Case {
    let pictures = Pictures::Shared(4_900_000);
    Case { name, what, pictures, requests: in_flight, in_flight, group: Group::Tls, ..PLAIN }
}

pub const CASES: &[Case] = &[
    PLAIN,
    Case {
        name: "W2",
        what: "one file of 5 MB",
        pictures: Pictures::Files(1, 5 * MB),
        requests: 12,
        ..PLAIN
    },
    Case {
        name: "W2-photo",
        what: "one file of 338 KB",
        pictures: Pictures::Files(1, PHOTO),
        requests: 80,
        ..PLAIN
    },
    Case {
        name: "W3",
        what: "five files of 5 MB, 16 requests in flight",
        pictures: Pictures::Files(5, 5 * MB),
        requests: 16,
        in_flight: 16,
        ..PLAIN
    },
    deltas("W4-event", "20,000 deltas, an HTTP chunk each", 0),
    deltas("W4-bulk", "20,000 deltas in chunks of 16 KiB", 16 << 10),
    deltas("W4-odd", "20,000 deltas in chunks of 61 bytes", 61),
    long("L-100K", "100,000 deltas in chunks of 16 KiB", 100_000),
    long("L-1M", "a million deltas in chunks of 16 KiB", 1_000_000),
    Case {
        name: "W6",
        what: "from the server's write of the first delta to the caller",
        scenario: Scenario::First,
        requests: 150,
        ..PLAIN
    },
    shared("S-1K", "a picture of 1 KB in memory", 1_000, 200),
    shared("S-64K", "a picture of 64 KB in memory", 64_000, 100),
    shared("S-1M", "a picture of 1 MB in memory", MB, 30),
    shared("S-5M", "a picture of 5 MB in memory", 5 * MB, 12),
    shared("S-20M", "a picture of 20 MB in memory", 20 * MB, 5),
    many("F-1", "1 MB in memory, 1 request in flight", 1),
    many("F-16", "1 MB in memory, 16 requests in flight", 16),
    many("F-64", "1 MB in memory, 64 requests in flight", 64),
    many("F-256", "1 MB in memory, 256 requests in flight", 256),
    grid("G-1K-1", 1_000, 1),
    grid("G-1K-16", 1_000, 16),
    grid("G-1K-256", 1_000, 256),
    grid("G-64K-1", 64_000, 1),
    grid("G-64K-16", 64_000, 16),
    grid("G-64K-256", 64_000, 256),
    grid("G-1M-1", MB, 1),
    grid("G-1M-16", MB, 16),
    grid("G-1M-256", MB, 256),
    grid("G-5M-1", 5 * MB, 1),
    grid("G-5M-16", 5 * MB, 16),
    grid("G-5M-256", 5 * MB, 256),
    grid("G-20M-1", 20 * MB, 1),
    grid("G-20M-16", 20 * MB, 16),
    grid("G-20M-256", 20 * MB, 256),
    tls("TLS-1", "4.9 MB over TLS and 40 ms of round trip, until the answer is there", 1),
    tls("TLS-16", "the same, 16 at once, until every answer is there", 16),
    Case {
        name: "check",
        what: "whether the pictures arrive whole",
        pictures: Pictures::Files(2, PHOTO),
        scenario: Scenario::Check,
        requests: 2,
        group: Group::Named,
        ..PLAIN
    },
];

/// The case of a name.
pub fn named(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

impl Case {
    /// Deltas are what counts in streams, requests elsewhere.
    pub fn unit(&self) -> &'static str {
        match self.scenario {
            Scenario::Deltas { .. } => "delta",
            _ => "request",
        }
    }

    pub fn is_streamed(&self) -> bool {
        matches!(self.scenario, Scenario::Deltas { .. } | Scenario::First | Scenario::Slow { .. })
    }

    /// The same with other numbers of requests and deltas.
    pub fn scaled(&self, requests: Option<usize>, count: Option<usize>) -> Self {
        let scenario = match (self.scenario, count) {
            (Scenario::Deltas { chunk, .. }, Some(count)) => Scenario::Deltas { count, chunk },
            (scenario, _) => scenario,
        };
        Self { scenario, requests: requests.unwrap_or(self.requests), ..*self }
    }

    /// The request that goes before what is measured: over a slow line one without pictures.
    pub fn warm_up(&self, folder: &Path) -> Question {
        let pictures = if self.group == Group::Tls { Pictures::None } else { self.pictures };
        Self { pictures, ..*self }.question(folder)
    }

    /// The request, with pictures from a folder or made for it.
    pub fn question(&self, folder: &Path) -> Question {
        let pictures = match self.pictures {
            Pictures::None => Vec::new(),
            Pictures::Files(count, size) => vec![Picture::File(folder.join(file_name(size))); count],
            Pictures::Shared(size) => vec![Picture::Shared(Bytes::from(corpus::jpeg(size)))],
        };
        Question { text: "图里有什么?请用中文描述。".to_owned(), pictures }
    }

    /// The text that every answer must be; `None` where it tells the time.
    pub fn expected(&self) -> Option<String> {
        match (self.scenario, self.pictures) {
            (Scenario::Answer, _) => Some(corpus::text(crate::server::ANSWER_WORDS)),
            (Scenario::Deltas { count, .. } | Scenario::Slow { count, .. }, _) => Some(corpus::text(count)),
            (Scenario::First, _) => None,
            (Scenario::Check, Pictures::Files(count, size)) => {
                Some(vec![corpus::fingerprint(&corpus::jpeg(size)); count].join(" "))
            }
            (Scenario::Check, _) => Some(String::new()),
        }
    }
}

/// Writes the files that the cases send.
pub fn write_files(folder: &Path) -> std::io::Result<()> {
    for size in [PHOTO, 5 * MB] {
        std::fs::write(folder.join(file_name(size)), corpus::jpeg(size))?;
    }
    Ok(())
}

fn file_name(size: usize) -> String {
    format!("{size}.jpg")
}
