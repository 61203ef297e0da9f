//! A point in monotonic time that a simulated kernel can make up.
//!
//! `std::time::Instant` cannot be constructed, so virtual time needs a type of its own. The real kernel fills it from
//! `CLOCK_MONOTONIC` (clock_gettime(2)), read once per turn of the executor.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds of monotonic time since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    nanoseconds: u64,
}

impl Instant {
    /// The start of time.
    pub const ZERO: Instant = Instant { nanoseconds: 0 };

    /// The instant `nanoseconds` after the start of time.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Instant {
        Instant { nanoseconds }
    }

    /// Nanoseconds since the start of time.
    pub const fn as_nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Time from `earlier` to `self`; zero when `earlier` is not earlier.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of time (584 years), so that "never" can be written as `Duration::MAX`.
    fn add(self, duration: Duration) -> Instant {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Instant { nanoseconds: self.nanoseconds.saturating_add(nanoseconds) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_and_differences_do_not_underflow() {
        let start = Instant::from_nanoseconds(5);
        assert_eq!((start + Duration::MAX).as_nanoseconds(), u64::MAX);
        assert_eq!(Instant::ZERO.since(start), Duration::ZERO);
        assert_eq!((start + Duration::from_nanos(7)).since(start), Duration::from_nanos(7));
    }
}
