//! Which cell of a histogram a value falls into: HdrHistogram's log-linear layout with 64 sub-buckets.
//!
//! Row 0 holds 0 to 31 microseconds, one value to a cell; every row above covers one octave in 32 equal cells, so a
//! cell is never wider than 1/32 (3.1 %) of the values in it, and its midpoint within 1.6 % of each.

use std::ops::RangeInclusive;

/// Cells in a row.
pub(super) const COLUMNS: usize = 1 << COLUMN_BITS;

/// Rows: as many octaves as it takes to pass one hour.
pub(super) const ROWS: usize = (VALUE_BITS - COLUMN_BITS) as usize + 1;

/// The largest value told apart, 2^32 - 1 microseconds (71.6 minutes). Longer is counted as this.
pub(super) const MAX_US: u64 = (1 << VALUE_BITS) - 1;

const COLUMN_BITS: u32 = 5;
const VALUE_BITS: u32 = 32;

/// The row and column of a value in microseconds; always below [`ROWS`] and [`COLUMNS`].
pub(super) fn locate(value_us: u64) -> (usize, usize) {
    let value = value_us.min(MAX_US);
    let row = (u64::BITS - value.leading_zeros()).saturating_sub(COLUMN_BITS);
    let column = (value >> row.saturating_sub(1)) % COLUMNS as u64;
    (row as usize, column as usize)
}

/// The values, in microseconds, that share a cell.
pub(super) fn values_of(row: usize, column: usize) -> RangeInclusive<u64> {
    let shift = row.saturating_sub(1);
    let octave = if row == 0 { 0 } else { COLUMNS };
    let low = ((octave + column) as u64) << shift;
    low..=low + (1 << shift) - 1
}

/// The one value, in microseconds, that stands for a cell when it is reported.
pub(super) fn midpoint_of(row: usize, column: usize) -> u64 {
    let values = values_of(row, column);
    values.start() + (values.end() - values.start()) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cells_tile_the_range_without_gap_or_overlap() {
        let mut next = 0;
        for row in 0..ROWS {
            for column in 0..COLUMNS {
                let values = values_of(row, column);
                assert_eq!(*values.start(), next);
                assert_eq!(locate(*values.start()), (row, column));
                assert_eq!(locate(*values.end()), (row, column));
                next = values.end() + 1;
            }
        }
        assert_eq!(next, MAX_US + 1);
        let one_hour_us = 3_600_000_000;
        assert_ne!(locate(one_hour_us), locate(u64::MAX), "one hour is told apart");
    }

    proptest! {
        #[test]
        fn midpoint_is_within_two_percent(value in 1..=MAX_US) {
            let (row, column) = locate(value);
            let error = midpoint_of(row, column).abs_diff(value);
            prop_assert!(error * 50 <= value);
        }

        #[test]
        fn anything_longer_is_the_last_cell(value in MAX_US..) {
            prop_assert_eq!(locate(value), (ROWS - 1, COLUMNS - 1));
        }
    }
}
