//! How much of its full share an instance gets while it starts slowly.

use std::time::Duration;

/// What a full share is counted in.
const PARTS: u32 = 256;

/// A part of a full share, never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const FULL: Share = Share(PARTS);

    /// What a newcomer begins with: a tenth, as with Envoy. With less it would hardly be asked before it is due its all.
    pub const FIRST: Share = Share(PARTS / 10);

    /// What an instance gets that has been in service for `elapsed`, when a slow start takes `time`.
    pub fn after(elapsed: Duration, time: Duration) -> Share {
        let parts = elapsed.as_micros() * u128::from(PARTS) / time.as_micros().max(1);
        Share(parts.clamp(Share::FIRST.0.into(), PARTS.into()) as u32)
    }

    /// Whether nothing is missing.
    pub fn is_full(self) -> bool {
        self == Share::FULL
    }

    /// As it is kept in a shared number.
    pub(super) const fn to_parts(self) -> u32 {
        self.0
    }

    /// What [`Share::to_parts`] gave.
    pub(super) const fn from_parts(parts: u32) -> Share {
        Share(parts)
    }

    /// Whether the next turn is taken by somebody who takes only this share of the turns, evenly spread. `credit` is what
    /// all turns before have left, in parts; it goes round with the number that holds it.
    pub(super) fn takes_turn(self, credit: u32) -> bool {
        credit % PARTS + self.0 >= PARTS
    }

    /// A load as it compares with the loads of others, such that one more brings it to its share of theirs.
    pub(super) fn weigh(self, load: u32) -> u32 {
        match self {
            Share::FULL => load,
            Share(parts) => (u64::from(load) + 1).saturating_mul(PARTS.into()).div_ceil(parts.into()) as u32 - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_grows_from_a_tenth_to_all() {
        let time = Duration::from_secs(100);
        let after = |seconds| Share::after(Duration::from_secs(seconds), time);
        assert_eq!([0, 5, 100, 1_000].map(after), [Share::FIRST, Share::FIRST, Share::FULL, Share::FULL]);
        assert_eq!(after(50), Share(PARTS / 2));
    }

    #[test]
    fn a_load_weighs_by_what_it_would_be_with_a_full_share() {
        assert_eq!([0, 1, 9].map(|load| Share::FULL.weigh(load)), [0, 1, 9]);
        assert_eq!([0, 1, 2].map(|load| Share(PARTS / 2).weigh(load)), [1, 3, 5]);
    }

    proptest! {
        #[test]
        fn turns_are_taken_by_share_whatever_the_number_of_them(parts in 1..=PARTS, turns in 1_u32..2_000, before: u32) {
            let mut credit = before;
            let taken = (0..turns).filter(|_| {
                let takes = Share(parts).takes_turn(credit);
                credit = credit.wrapping_add(parts);
                takes
            });
            let (taken, due) = (taken.count() as u32 * PARTS, turns * parts);
            prop_assert!(taken.abs_diff(due) < PARTS, "{taken} of {due}");
        }
    }
}
