//! A histogram of durations that one thread writes and any thread reads. Merging and quantiles are in
//! [`Distribution`](super::Distribution).

use super::Counter;
use super::layout::{self, COLUMNS, ROWS};
use std::sync::OnceLock;
use std::time::Duration;

/// How long something took, in microseconds, 3.1 % fine up to 71.6 minutes.
///
/// Memory comes with use: 24 bytes for one never written, then 448, and 256 for each octave of
/// values seen (latencies between 0.5 ms and 64 ms: 2.2 KiB in all; every octave: 7.4 KiB).
#[derive(Debug, Default)]
pub struct Histogram {
    sum_us: Counter,
    rows: OnceLock<Box<Rows>>,
}

type Rows = [OnceLock<Box<Row>>; ROWS];
type Row = [Counter; COLUMNS];

impl Histogram {
    /// Counts one duration, rounded to the microsecond. Only the owning core's thread calls this.
    pub fn record(&self, elapsed: Duration) {
        let elapsed_us = whole_microseconds(elapsed);
        let (row, column) = layout::locate(elapsed_us);
        self.rows.get_or_init(Box::default)[row].get_or_init(Box::default)[column].increment();
        self.sum_us.add(elapsed_us);
    }

    /// The sum of all durations recorded, in microseconds, not limited by the range of the cells.
    pub(super) fn sum_us(&self) -> u64 {
        self.sum_us.get()
    }

    /// Row, column and count of every cell that was ever written.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        let rows = self.rows.get().into_iter().flat_map(|rows| rows.iter().enumerate());
        rows.filter_map(|(row, cells)| cells.get().map(|cells| (row, cells)))
            .flat_map(|(row, cells)| cells.iter().enumerate().map(move |(column, count)| (row, column, count.get())))
            .filter(|(_, _, count)| *count > 0)
    }
}

fn whole_microseconds(elapsed: Duration) -> u64 {
    let rounded = elapsed.saturating_add(Duration::from_nanos(500));
    rounded.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(rounded.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allocated_before_the_first_record() {
        let histogram = Histogram::default();
        assert!(histogram.rows.get().is_none());
        assert_eq!(histogram.counts().count(), 0);

        histogram.record(Duration::from_millis(3));
        let rows = histogram.rows.get().expect("allocated by the record");
        assert_eq!(rows.iter().filter(|row| row.get().is_some()).count(), 1);
    }

    #[test]
    fn durations_round_to_the_microsecond_and_saturate() {
        for (elapsed, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(499), 0),
            (Duration::from_nanos(500), 1),
            (Duration::from_nanos(1_499), 1),
            (Duration::new(1, 999_999_500), 2_000_000),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(whole_microseconds(elapsed), expected, "{elapsed:?}");
        }
        let histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [(ROWS - 1, COLUMNS - 1, 1)]);
    }
}
