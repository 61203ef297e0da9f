//! When bytes last moved on a connection, and a wait that ends when none have for too long.

use std::cell::Cell;
use std::time::Duration;

use crate::base::Instant;
use crate::runtime::Io;

/// Shared by both directions of a connection. Noting a byte is a store; no timer is touched.
pub struct Activity {
    io: Io,
    last: Cell<Instant>,
}

impl Activity {
    /// Active now.
    pub fn new(io: &Io) -> Activity {
        Activity { io: io.clone(), last: Cell::new(io.now()) }
    }

    /// Bytes moved.
    pub fn note(&self) {
        self.last.set(self.io.now());
    }

    /// Waits until nothing has moved for `timeout`.
    pub async fn until_idle(&self, timeout: Duration) {
        loop {
            let deadline = self.last.get() + timeout;
            if self.io.now() >= deadline {
                return;
            }
            self.io.sleep_until(deadline).await;
        }
    }
}
