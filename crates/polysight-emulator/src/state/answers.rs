//! The queue of prepared answers.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::lock;
use crate::chat::prepared_answer::{InvalidAnswer, PreparedAnswer};

/// Answers that wait, at most.
const MAX_QUEUED: usize = 10_000;
/// Their bytes together, at most.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// Prepared answers in the order in which chat requests take them.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    answers: VecDeque<PreparedAnswer>,
    bytes: usize,
}

impl Answers {
    /// Puts answers at the end of the queue, all or none.
    pub(crate) fn push(&self, answers: Vec<PreparedAnswer>) -> Result<(), InvalidAnswer> {
        let mut queue = lock(&self.0);
        let bytes = queue.bytes + answers.iter().map(PreparedAnswer::bytes).sum::<usize>();
        if queue.answers.len() + answers.len() > MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(InvalidAnswer::new(format!(
                "the queue is full: at most {MAX_QUEUED} answers and {MAX_QUEUED_BYTES} bytes wait at once"
            )));
        }
        queue.bytes = bytes;
        queue.answers.extend(answers);
        Ok(())
    }

    /// The next answer.
    pub(crate) fn take(&self) -> Option<PreparedAnswer> {
        let mut queue = lock(&self.0);
        let answer = queue.answers.pop_front()?;
        queue.bytes -= answer.bytes();
        Some(answer)
    }

    pub(crate) fn clear(&self) {
        *lock(&self.0) = Queue::default();
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_what_waits() {
        let answers = Answers::default();
        let large = PreparedAnswer { text: "x".repeat(1024 * 1024), calls: Vec::new() };
        for _ in 0..64 {
            answers.push(vec![large.clone()]).unwrap();
        }
        assert!(answers.push(vec![large.clone()]).unwrap_err().to_string().contains("full"));
        assert_eq!(answers.take(), Some(large.clone()));
        answers.push(vec![large]).unwrap();
        answers.clear();
        assert!(answers.push(vec![PreparedAnswer::default(); MAX_QUEUED + 1]).is_err());
        assert_eq!((answers.len(), answers.take()), (0, None));
    }
}
