//! Faults counted by reason: an array, because the reasons are a closed set and this is on the request path.

use super::Counter;
use crate::model::{Keyword, Reason};

/// One counter for each [`Reason`].
#[derive(Debug)]
pub struct ErrorCounters([Counter; Reason::ALL.len()]);

impl ErrorCounters {
    /// Counts one fault. Only the owning core's thread calls this.
    pub fn record(&self, reason: Reason) {
        self.0[reason as usize].increment();
    }

    /// How many faults of this reason there were.
    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize].get()
    }
}

impl Default for ErrorCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let counters = ErrorCounters::default();
        for (times, reason) in Reason::ALL.iter().enumerate() {
            (0..times).for_each(|_| counters.record(*reason));
        }
        for (times, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(counters.get(*reason), times as u64, "{reason}");
        }
    }
}
