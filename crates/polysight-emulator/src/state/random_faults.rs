//! Random faults, the same in each run of the same seed.

use std::sync::Mutex;

use super::lock;
use crate::faults::Fault;

/// Draws faults for a share of the requests.
pub(crate) struct RandomFaults {
    share: f64,
    faults: Vec<Fault>,
    state: Mutex<u64>,
}

impl RandomFaults {
    /// `share` of the requests, 0 to 1, meet one of `faults`, each as often as the others.
    pub(crate) fn new(share: f64, seed: u64, faults: Vec<Fault>) -> Self {
        Self { share, faults, state: Mutex::new(seed) }
    }

    /// The fault of the next request, if it meets one.
    pub(crate) fn draw(&self) -> Option<Fault> {
        if self.unit() >= self.share {
            return None;
        }
        let place = (self.unit() * self.faults.len() as f64) as usize;
        self.faults.get(place).cloned()
    }

    /// A number in `[0, 1)`: SplitMix64, whose every state is a good one.
    fn unit(&self) -> f64 {
        let mut state = lock(&self.state);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_the_share_that_was_asked_for_and_every_fault_alike() {
        let faults = vec![Fault::Html502, Fault::Empty500];
        let random = RandomFaults::new(0.2, 7, faults.clone());
        let drawn: Vec<Fault> = (0..10_000).filter_map(|_| random.draw()).collect();
        assert!((1_900..2_100).contains(&drawn.len()), "{}", drawn.len());
        let first = drawn.iter().filter(|fault| **fault == Fault::Html502).count();
        assert!((900..1_100).contains(&first), "{first}");
        let again = RandomFaults::new(0.2, 7, faults);
        assert_eq!((0..10_000).filter_map(|_| again.draw()).collect::<Vec<_>>(), drawn);
    }

    #[test]
    fn strikes_never_or_always_when_told_so() {
        assert_eq!(RandomFaults::new(0.0, 1, vec![Fault::Html502]).draw(), None);
        assert_eq!(RandomFaults::new(1.0, 1, vec![Fault::Html502]).draw(), Some(Fault::Html502));
        assert_eq!(RandomFaults::new(1.0, 1, Vec::new()).draw(), None);
    }
}
