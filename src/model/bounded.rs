//! Numbers whose range is part of their type, so that a limit out of range cannot be written down.

use std::fmt;
use std::time::Duration;

use super::Invalid;

/// A whole number from `MIN` to `MAX`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// For constants: a value out of range does not compile when evaluated in a `const`.
    pub const fn of(value: u32) -> Self {
        assert!(MIN <= value && value <= MAX, "count out of its range");
        Self(value)
    }

    /// `value`, if it lies in the range.
    pub fn new(value: i64) -> Result<Self, Invalid> {
        u32::try_from(value)
            .ok()
            .filter(|value| (MIN..=MAX).contains(value))
            .map(Self)
            .ok_or_else(|| Invalid::new(format!("expected a whole number from {MIN} to {MAX}")))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Count<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A span of time from `MIN_MS` to `MAX_MS` milliseconds, both included, in whole milliseconds. Written in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds<const MIN_MS: u32, const MAX_MS: u32>(u32);

impl<const MIN_MS: u32, const MAX_MS: u32> Seconds<MIN_MS, MAX_MS> {
    /// For constants, in milliseconds: a value out of range does not compile when evaluated in a `const`.
    pub const fn of_ms(milliseconds: u32) -> Self {
        assert!(MIN_MS <= milliseconds && milliseconds <= MAX_MS, "time out of its range");
        Self(milliseconds)
    }

    /// `seconds`, rounded to whole milliseconds, if that lies in the range.
    pub fn new(seconds: f64) -> Result<Self, Invalid> {
        let milliseconds = (seconds * 1000.0).round();
        if !(f64::from(MIN_MS)..=f64::from(MAX_MS)).contains(&milliseconds) {
            return Err(Invalid::new(format!(
                "expected {} to {} seconds",
                f64::from(MIN_MS) / 1000.0,
                f64::from(MAX_MS) / 1000.0
            )));
        }
        Ok(Self(milliseconds as u32))
    }

    /// The time.
    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    /// The time in milliseconds.
    pub const fn as_ms(self) -> u32 {
        self.0
    }
}

/// In seconds, without a unit and without needless zeros: `30`, `0.1`.
impl<const MIN_MS: u32, const MAX_MS: u32> fmt::Display for Seconds<MIN_MS, MAX_MS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / 1000.0).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_holds_its_ends_and_nothing_beyond() {
        for (value, good) in [(1, false), (2, true), (10, true), (11, false), (-1, false), (i64::MAX, false)] {
            assert_eq!(Count::<2, 10>::new(value).is_ok(), good, "{value}");
        }
        assert_eq!(Count::<2, 10>::new(0).unwrap_err().to_string(), "expected a whole number from 2 to 10");
    }

    #[test]
    fn seconds_hold_their_ends_and_refuse_what_is_no_time() {
        for (value, good) in
            [(0.1, true), (300.0, true), (0.0994, false), (300.001, false), (f64::NAN, false), (-1.0, false)]
        {
            assert_eq!(Seconds::<100, 300_000>::new(value).is_ok(), good, "{value}");
        }
        assert_eq!(Seconds::<100, 300_000>::new(f64::INFINITY).unwrap_err().to_string(), "expected 0.1 to 300 seconds");
        assert_eq!(Seconds::<100, 300_000>::new(0.25).unwrap().get(), Duration::from_millis(250));
        assert_eq!(Seconds::<100, 300_000>::of_ms(30_000).to_string(), "30");
    }
}
