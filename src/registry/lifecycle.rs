//! How far the node has come in its life, readable by every thread with one load.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Instant;

/// The life of the node. It goes forward only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Not every listener accepts yet.
    Starting,
    /// Every listener accepts.
    Serving,
    /// No new connection is accepted; what is in flight may finish until the deadline.
    Draining {
        /// When what is left is cut.
        deadline: Instant,
    },
    /// Everything ends now.
    Stopped,
}

const STARTING: u64 = 0;
const SERVING: u64 = 1;
const STOPPED: u64 = u64::MAX;

/// A [`Lifecycle`] that any thread may move forward. Anything between the constants is a deadline in nanoseconds.
#[derive(Debug)]
pub(super) struct LifecycleCell(AtomicU64);

impl LifecycleCell {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(STARTING))
    }

    pub(super) fn get(&self) -> Lifecycle {
        match self.0.load(Ordering::Relaxed) {
            STARTING => Lifecycle::Starting,
            SERVING => Lifecycle::Serving,
            STOPPED => Lifecycle::Stopped,
            deadline => Lifecycle::Draining { deadline: Instant::from_nanoseconds(deadline) },
        }
    }

    /// Goes forward to `next`; answers whether that changed anything. A node that drains may be given more time, not
    /// less.
    pub(super) fn advance(&self, next: Lifecycle) -> bool {
        let next = match next {
            Lifecycle::Starting => STARTING,
            Lifecycle::Serving => SERVING,
            Lifecycle::Draining { deadline } => deadline.as_nanoseconds().clamp(SERVING + 1, STOPPED - 1),
            Lifecycle::Stopped => STOPPED,
        };
        self.0.fetch_max(next, Ordering::Relaxed) < next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_goes_forward_only() {
        let cell = LifecycleCell::new();
        let draining = |nanoseconds| Lifecycle::Draining { deadline: Instant::from_nanoseconds(nanoseconds) };
        for (next, changes, then) in [
            (Lifecycle::Starting, false, Lifecycle::Starting),
            (Lifecycle::Serving, true, Lifecycle::Serving),
            (draining(500), true, draining(500)),
            (Lifecycle::Serving, false, draining(500)),
            (draining(400), false, draining(500)),
            (Lifecycle::Stopped, true, Lifecycle::Stopped),
            (draining(u64::MAX), false, Lifecycle::Stopped),
        ] {
            assert_eq!((cell.advance(next), cell.get()), (changes, then), "{next:?}");
        }
        let cell = LifecycleCell::new();
        assert!(cell.advance(draining(0)), "a deadline in the past is still a deadline");
        assert_eq!(cell.get(), draining(2));
    }
}
