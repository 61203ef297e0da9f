//! What may be tried again after an instance failed a request, and how often.

use std::time::Duration;

use crate::base::Instant;

/// How often one request may be tried in all, counting the first: three retries, as with HAProxy.
pub const ATTEMPTS_MAX: usize = 4;

/// What was lost, as far as another attempt is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The instance could not be connected to.
    Connecting,
    /// The instance could be connected to, and its TLS handshake failed: that costs it work.
    Handshaking,
    /// The connection ended before anything of the request was sent and before anything was answered, or the instance
    /// says that it has not begun on it.
    Unsent {
        /// Whether it was a kept connection, which an instance may close at any time.
        kept: bool,
    },
    /// The connection ended after some of the request was sent and before anything was answered.
    Sent {
        /// Whether it was a kept connection.
        kept: bool,
        /// Whether doing it twice is as good as doing it once (RFC 9110 section 9.2.2).
        idempotent: bool,
        /// Whether the whole request is still at hand.
        repeatable: bool,
    },
    /// Something of an answer has come, or the time for one is up: the instance is at work on the request.
    Underway,
}

/// How to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// On a fresh connection to the same instance, where the request keeps its place: an instance may close a kept
    /// connection at any time, and that says nothing about the instance.
    Same,
    /// On a fresh connection to whichever instance is chosen: nothing speaks against the same.
    Any,
    /// On another instance.
    Elsewhere,
}

/// Why it is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRetry {
    /// It has been tried as often as it may.
    TriedOut,
    /// An instance may have done it, or does it still; or there is not all of it to send again.
    Unsafe,
    /// It could be, and there is no budget left: too much is tried again as it is.
    OverBudget,
}

impl Lost {
    /// How a request that was lost like this may be tried again, after this many attempts.
    ///
    /// What an instance may have begun to work on is repeated only at the expense of `budget`. An attempt that sent
    /// nothing costs no instance any work and is free.
    ///
    /// # Errors
    /// Why it may not.
    pub fn retry(self, attempts: usize, budget: &mut RetryBudget, now: Instant) -> Result<Retry, NoRetry> {
        if attempts >= ATTEMPTS_MAX {
            return Err(NoRetry::TriedOut);
        }
        let (retry, is_free) = match self {
            Self::Connecting => (Retry::Elsewhere, true),
            Self::Unsent { kept: true } => (Retry::Same, true),
            Self::Unsent { kept: false } => (Retry::Any, true),
            Self::Handshaking | Self::Sent { kept: false, idempotent: true, repeatable: true } => {
                (Retry::Elsewhere, false)
            }
            Self::Sent { kept: true, idempotent: true, repeatable: true } => (Retry::Same, false),
            Self::Sent { .. } | Self::Underway => return Err(NoRetry::Unsafe),
        };
        if is_free || budget.spend(now) { Ok(retry) } else { Err(NoRetry::OverBudget) }
    }
}

/// How many requests one core may repeat: a share of those it serves, and a few more for when there is little traffic.
/// Instances that fail under load would otherwise get the same load again from every request that they failed.
#[derive(Debug)]
pub struct RetryBudget {
    /// In parts of one retry.
    parts: u32,
    filled_at: Instant,
}

impl RetryBudget {
    /// One retry for every five requests.
    const PARTS_PER_RETRY: u32 = 5;
    const PARTS_PER_REQUEST: u32 = 1;
    /// Ten retries per second whatever the traffic.
    const PARTS_PER_SECOND: u32 = 10 * Self::PARTS_PER_RETRY;
    /// What can be saved up: an instance that dies with a thousand requests in flight loses all of them at once.
    const PARTS_MAX: u32 = 1_000 * Self::PARTS_PER_RETRY;

    /// A full budget: at the start nothing is known that would speak against a retry.
    pub const fn new(now: Instant) -> Self {
        Self { parts: Self::PARTS_MAX, filled_at: now }
    }

    /// Notes that a request is served.
    pub fn earn(&mut self) {
        self.parts = (self.parts + Self::PARTS_PER_REQUEST).min(Self::PARTS_MAX);
    }

    /// Takes one retry, if there is one.
    fn spend(&mut self, now: Instant) -> bool {
        self.fill(now);
        match self.parts.checked_sub(Self::PARTS_PER_RETRY) {
            Some(left) => {
                self.parts = left;
                true
            }
            None => false,
        }
    }

    /// Adds what the time since the last filling is worth. Time too short for a whole part is kept for later.
    fn fill(&mut self, now: Instant) {
        const PART: Duration = Duration::from_nanos(1_000_000_000 / RetryBudget::PARTS_PER_SECOND as u64);
        let parts = now.since(self.filled_at).as_nanos() / PART.as_nanos();
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.parts = self.parts.saturating_add(parts).min(Self::PARTS_MAX);
        self.filled_at = self.filled_at + PART.saturating_mul(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    fn after(duration: Duration) -> Instant {
        START + duration
    }

    /// Spends until nothing is left and answers how much that was.
    fn drain(budget: &mut RetryBudget, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.spend(now)).count()
    }

    #[test]
    fn what_may_be_tried_again_and_where() {
        let sent = |kept, idempotent, repeatable| Lost::Sent { kept, idempotent, repeatable };
        for (lost, expected) in [
            (Lost::Connecting, Ok(Retry::Elsewhere)),
            (Lost::Handshaking, Ok(Retry::Elsewhere)),
            (Lost::Unsent { kept: true }, Ok(Retry::Same)),
            (Lost::Unsent { kept: false }, Ok(Retry::Any)),
            (sent(true, true, true), Ok(Retry::Same)),
            (sent(false, true, true), Ok(Retry::Elsewhere)),
            (sent(true, false, true), Err(NoRetry::Unsafe)),
            (sent(false, false, true), Err(NoRetry::Unsafe)),
            (sent(true, true, false), Err(NoRetry::Unsafe)),
            (Lost::Underway, Err(NoRetry::Unsafe)),
        ] {
            let mut budget = RetryBudget::new(START);
            assert_eq!(lost.retry(1, &mut budget, START), expected, "{lost:?}");
            let tried_out = lost.retry(ATTEMPTS_MAX, &mut budget, START);
            assert_eq!(tried_out, Err(NoRetry::TriedOut), "{lost:?} after the last attempt");
        }
    }

    #[test]
    fn only_what_may_cost_an_instance_work_is_charged() {
        let repeat = Lost::Sent { kept: true, idempotent: true, repeatable: true };
        let mut budget = RetryBudget::new(START);
        let granted = (0..5_000).filter(|_| repeat.retry(1, &mut budget, START).is_ok()).count();
        assert_eq!(granted, 1_000, "what was saved up");
        assert_eq!(Lost::Handshaking.retry(1, &mut budget, START), Err(NoRetry::OverBudget));
        assert_eq!(Lost::Connecting.retry(1, &mut budget, START), Ok(Retry::Elsewhere));
        assert_eq!(Lost::Unsent { kept: true }.retry(1, &mut budget, START), Ok(Retry::Same));
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests() {
        let mut budget = RetryBudget::new(START);
        drain(&mut budget, START);
        (0..1_003).for_each(|_| budget.earn());
        assert_eq!(drain(&mut budget, START), 200);
        (0..2).for_each(|_| budget.earn());
        assert_eq!(drain(&mut budget, START), 1, "no part is lost");
    }

    #[test]
    fn ten_a_second_come_by_themselves_however_often_it_is_asked() {
        let mut budget = RetryBudget::new(START);
        drain(&mut budget, START);
        let granted: usize = (1..=1_000).map(|step| drain(&mut budget, after(Duration::from_millis(step)))).sum();
        assert_eq!(granted, 10);
        assert_eq!(drain(&mut budget, after(Duration::from_secs(86_400))), 1_000, "no more is saved up");
    }
}
