//! What became of the targets that gave no answer.

use std::time::Duration;

use polysight_core::{Attempt, Error};

use crate::reply::listed;

/// The targets that gave no answer to one request, in the order in which they were come to.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<Note>);

#[derive(Debug)]
struct Note {
    member: usize,
    fate: Fate,
    error: Error,
    took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    Skipped,
    Failed,
}

impl Log {
    /// The target does not take the request.
    pub(super) fn refused(&mut self, member: usize, error: Error) {
        self.0.push(Note { member, fate: Fate::Refused, error, took: Duration::ZERO });
    }

    /// The target was not asked since it failed before.
    pub(super) fn skipped(&mut self, member: usize, error: Error) {
        self.0.push(Note { member, fate: Fate::Skipped, error, took: Duration::ZERO });
    }

    /// The target was asked.
    pub(super) fn failed(&mut self, member: usize, error: Error, took: Duration) {
        self.0.push(Note { member, fate: Fate::Failed, error, took });
    }

    /// True when no target was really asked.
    pub(super) fn nobody_asked(&self) -> bool {
        self.0.iter().all(|note| note.fate != Fate::Failed)
    }

    /// Takes back that a target was skipped.
    pub(super) fn unskip(&mut self, member: usize) {
        self.0.retain(|note| note.member != member);
    }

    /// All of them as tries before an answer.
    pub(super) fn into_attempts(self) -> Vec<Attempt> {
        self.0.into_iter().flat_map(|note| listed(note.error, note.took)).collect()
    }

    /// The last real failure, or the refusal of the target that is listed first if nobody was asked; the others are
    /// tries before it. `None` when there is nothing to tell.
    pub(super) fn into_error(mut self) -> Option<Error> {
        let place = match self.0.iter().rposition(|note| note.fate == Fate::Failed) {
            Some(last) => last,
            None => {
                self.0.sort_by_key(|note| (note.fate != Fate::Refused, note.member));
                0
            }
        };
        let note = (place < self.0.len()).then(|| self.0.remove(place))?;
        Some(note.error.with_earlier_attempts(self.into_attempts()))
    }
}
