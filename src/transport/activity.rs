//! When bytes last moved on a connection, and a wait that ends when none have for too long.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::Instant;
use crate::runtime::{Either, Io, race};

/// Shared by both directions of a connection. Noting a byte is a store; no timer is touched.
pub struct Activity {
    io: Io,
    began: Instant,
    last: Cell<Instant>,
    /// All that has moved.
    bytes: Cell<u64>,
}

/// The least that has to come of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateFloor {
    /// Time that is free.
    pub grace: Duration,
    /// Bytes for each further second.
    pub bytes_per_second: NonZeroU32,
}

/// What has to be kept up while bytes move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The longest time without any.
    pub silence: Duration,
    /// How many have to come, if that matters.
    pub floor: Option<RateFloor>,
}

impl Pace {
    /// Silence alone counts.
    pub fn of_silence(silence: Duration) -> Pace {
        Pace { silence, floor: None }
    }
}

/// How a pace was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// Nothing moved for too long.
    Idle,
    /// Too little moved.
    Slow,
}

impl RateFloor {
    /// How long `bytes` may take.
    pub fn time_for(&self, bytes: u64) -> Duration {
        let rate = u64::from(self.bytes_per_second.get());
        let (seconds, rest) = (bytes / rate, bytes % rate);
        self.grace.saturating_add(Duration::from_secs(seconds)) + Duration::from_nanos(rest * 1_000_000_000 / rate)
    }
}

impl Activity {
    /// Active now.
    pub fn new(io: &Io) -> Activity {
        Activity { io: io.clone(), began: io.now(), last: Cell::new(io.now()), bytes: Cell::new(0) }
    }

    /// Bytes moved.
    pub fn note(&self) {
        self.last.set(self.io.now());
    }

    /// So many bytes moved.
    pub fn note_bytes(&self, count: u64) {
        self.bytes.set(self.bytes.get() + count);
        self.note();
    }

    /// Waits until what moves no longer keeps `pace`.
    pub async fn until_stalled(&self, pace: Pace) -> Stalled {
        let slow = async {
            match pace.floor {
                Some(floor) => self.until_slow(floor).await,
                None => std::future::pending().await,
            }
        };
        match race(self.until_idle(pace.silence), slow).await {
            Either::First(()) => Stalled::Idle,
            Either::Second(()) => Stalled::Slow,
        }
    }

    async fn until_slow(&self, floor: RateFloor) {
        loop {
            let deadline = self.began + floor.time_for(self.bytes.get());
            if self.io.now() >= deadline {
                return;
            }
            self.io.sleep_until(deadline).await;
        }
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
