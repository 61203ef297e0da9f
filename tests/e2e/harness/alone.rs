//! Tests that load the machine take turns, so that none measures the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held for as long as a test needs the machine for itself and the light tests.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed while it had its turn says nothing about the next.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
