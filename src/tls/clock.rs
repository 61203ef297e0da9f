//! The wall clock TLS reads for certificate validity and ticket age: the system's, or one set by a simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// A source of wall-clock time, cheap to clone; clones of a given clock tell the same time.
#[derive(Clone, Debug, Default)]
pub enum WallClock {
    /// The operating system's.
    #[default]
    System,
    /// Seconds since the Unix epoch, stored by whoever drives the time.
    Given(Arc<AtomicU64>),
}

impl WallClock {
    /// Seconds since the Unix epoch.
    pub fn now_seconds(&self) -> u64 {
        match self {
            Self::System => UnixTime::now().as_secs(),
            Self::Given(seconds) => seconds.load(Ordering::Relaxed),
        }
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.now_seconds())))
    }
}
