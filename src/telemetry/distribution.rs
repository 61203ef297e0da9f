//! What histograms say when they are read: several cores' counts merged.

use super::Histogram;
use super::layout::{self, COLUMNS, MAX_US, ROWS};
use std::time::Duration;

/// The merged counts of any number of [`Histogram`]s.
#[derive(Debug, Clone)]
pub struct Distribution {
    counts: Box<[[u64; COLUMNS]; ROWS]>,
    sum_us: u64,
}

impl Distribution {
    /// No durations yet.
    pub fn new() -> Self {
        Self { counts: Box::new([[0; COLUMNS]; ROWS]), sum_us: 0 }
    }

    /// Adds what one core's histogram holds now.
    pub fn merge(&mut self, histogram: &Histogram) {
        for (row, column, count) in histogram.counts() {
            self.counts[row][column] += count;
        }
        self.sum_us = self.sum_us.wrapping_add(histogram.sum_us());
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.counts.as_flattened().iter().sum()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.cells().next().is_none()
    }

    /// The sum of all durations, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// How many durations were no longer than each of `bounds` (ascending). A duration is placed by the midpoint of
    /// its cell: one within 1.6 % of a bound may be counted on its other side.
    pub fn cumulative<const N: usize>(&self, bounds: &[Duration; N]) -> [u64; N] {
        let mut at_most = [0; N];
        for (row, column, count) in self.cells() {
            let value = Duration::from_micros(layout::midpoint_of(row, column));
            let first = bounds.partition_point(|bound| *bound < value);
            if let Some(bucket) = at_most.get_mut(first) {
                *bucket += count;
            }
        }
        let mut total = 0;
        at_most.map(|count| {
            total += count;
            total
        })
    }

    /// The same counts as a `hdrhistogram` of microseconds with two significant digits, for quantiles and for its
    /// log format.
    pub fn to_hdr(&self) -> hdrhistogram::Histogram<u64> {
        let mut merged = hdrhistogram::Histogram::new_with_bounds(1, MAX_US, 2)
            .expect("a range of 1 to 2^32 with 2 digits is valid by the crate's documentation");
        for (row, column, count) in self.cells() {
            merged.saturating_record_n(layout::midpoint_of(row, column), count);
        }
        merged
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        let rows = self.counts.iter().enumerate();
        rows.flat_map(|(row, counts)| counts.iter().enumerate().map(move |(column, count)| (row, column, *count)))
            .filter(|(_, _, count)| *count > 0)
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> FromIterator<&'a Histogram> for Distribution {
    fn from_iter<I: IntoIterator<Item = &'a Histogram>>(histograms: I) -> Self {
        let mut merged = Self::new();
        histograms.into_iter().for_each(|histogram| merged.merge(histogram));
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(values_us: &[u64]) -> Histogram {
        let histogram = Histogram::default();
        values_us.iter().for_each(|value| histogram.record(Duration::from_micros(*value)));
        histogram
    }

    #[test]
    fn buckets_are_cumulative_and_leave_out_what_is_longer() {
        let merged: Distribution = [&recorded(&[90, 400, 2_000]), &recorded(&[400, 9_000_000])].into_iter().collect();
        let bounds = [100, 500, 5_000].map(Duration::from_micros);
        assert_eq!(merged.cumulative(&bounds), [1, 3, 4]);
        assert_eq!(merged.count(), 5);
        assert_eq!(merged.sum_us(), 9_002_890);
    }

    #[test]
    fn an_empty_distribution_reads_as_zero() {
        let merged = Distribution::new();
        assert_eq!(merged.count(), 0);
        assert_eq!(merged.cumulative(&[Duration::from_secs(1)]), [0]);
        assert_eq!(merged.to_hdr().len(), 0);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_three_percent_of_the_sorted_values(
            mut values in prop::collection::vec(1..=MAX_US, 1..200),
            split in 0..200_usize,
        ) {
            let split = split.min(values.len());
            let merged: Distribution = [&recorded(&values[..split]), &recorded(&values[split..])].into_iter().collect();
            let hdr = merged.to_hdr();
            prop_assert_eq!(hdr.len(), values.len() as u64);
            prop_assert_eq!(merged.sum_us(), values.iter().sum::<u64>());
            values.sort_unstable();
            for quantile in [0.5, 0.9, 0.99, 1.0] {
                let rank = ((values.len() as f64 * quantile).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                let told = hdr.value_at_quantile(quantile) as f64;
                prop_assert!((told - exact).abs() <= exact * 0.03 + 1.0, "p{quantile}: {told} for {exact}");
            }
        }
    }
}
