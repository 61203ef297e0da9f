//! A number that one thread writes and any thread reads. Owns neither names nor labels.
//!
//! # Why no read-modify-write instruction
//!
//! Every cell belongs to one core's cells ([`PerCore`](super::PerCore)) and only that core's thread writes it. With one
//! writer the value it loads is always the last it stored, so a relaxed load followed by a relaxed store loses
//! nothing, and compiles to plain moves where `fetch_add` would lock the line. Readers see each cell move through
//! its values in order (coherence); they get no ordering between cells, and metrics need none.
//!
//! A second writer would be a bug, not undefined behaviour: it could lose counts.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A number that only grows. Wraps at 2^64, which a reader sees as a counter reset.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning core's thread calls this.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`. Only the owning core's thread calls this.
    pub fn add(&self, amount: u64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(amount), Ordering::Relaxed);
    }

    /// The value now, from any thread.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls on one core. The sum over cores is what is reported, so one core's share may be
/// negative where work begins on one core and ends on another.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds one. Only the owning core's thread calls this.
    pub fn increment(&self) {
        self.shift(1);
    }

    /// Takes one away. Only the owning core's thread calls this.
    pub fn decrement(&self) {
        self.shift(-1);
    }

    /// Replaces the value. Only the owning core's thread calls this.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now, from any thread.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn shift(&self, by: i64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(by), Ordering::Relaxed);
    }
}
