//! Waiting for what can be observed, with an end.

use std::time::{Duration, Instant};

/// Looks until `observe` yields something, for at most `patience`.
///
/// # Panics
/// When the time is up, with `what` was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, mut observe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = observe() {
            return found;
        }
        assert!(started.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Looks for all of `time` that `observe` stays true.
///
/// # Panics
/// At once when it does not, with `what` should have held.
#[track_caller]
pub fn holds_for(what: &str, time: Duration, mut observe: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < time {
        assert!(observe(), "no longer so after {:?}: {what}", started.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
}
