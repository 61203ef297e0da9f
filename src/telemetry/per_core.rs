//! One `T` for each data-plane core, each on cache lines of its own.

use crossbeam::utils::CachePadded;

/// The cells of one subject (a listener, an instance), once per core. Core `i`'s thread is the only writer of the
/// `i`th; any thread reads all. Padding keeps one core's stores from taking another core's line away.
#[derive(Debug)]
pub struct PerCore<T> {
    cores: Box<[CachePadded<T>]>,
}

impl<T: Default> PerCore<T> {
    /// Zeroed cells for `cores` data-plane threads.
    pub fn new(cores: usize) -> Self {
        Self { cores: (0..cores).map(|_| CachePadded::new(T::default())).collect() }
    }
}

impl<T> PerCore<T> {
    /// The cells of core number `core`, counted from 0 in the order the workers were started (not the CPU number).
    ///
    /// # Panics
    ///
    /// When there is no such core: the caller mixed up two nodes' cells.
    pub fn core(&self, core: usize) -> &T {
        &self.cores[core]
    }

    /// Every core's cells, in core order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.cores.iter().map(|cells| &**cells)
    }

    /// The sum over cores of one number of each. Wraps, as the counters do.
    pub fn sum(&self, number: impl Fn(&T) -> u64) -> u64 {
        self.iter().map(number).fold(0, u64::wrapping_add)
    }

    /// The sum over cores of one number that may fall.
    pub fn sum_signed(&self, number: impl Fn(&T) -> i64) -> i64 {
        self.iter().map(number).fold(0, i64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Counter, Gauge};

    #[test]
    fn cores_do_not_share_cache_lines() {
        let counters = PerCore::<Counter>::new(3);
        let address = |core| std::ptr::from_ref(counters.core(core)).addr();
        assert!(address(1) - address(0) >= 64);
        assert_eq!(address(1) % 64, 0);
    }

    #[test]
    fn one_writer_per_core_loses_nothing_under_readers() {
        const ROUNDS: u64 = 100_000;
        let counters = PerCore::<Counter>::new(2);
        std::thread::scope(|scope| {
            let writers = [0, 1].map(|core| {
                let counter = counters.core(core);
                scope.spawn(move || (0..ROUNDS).for_each(|_| counter.increment()))
            });
            let mut last = 0;
            while writers.iter().any(|writer| !writer.is_finished()) {
                let now = counters.sum(Counter::get);
                assert!(now >= last, "a counter never falls");
                last = now;
            }
        });
        assert_eq!(counters.sum(Counter::get), 2 * ROUNDS);
    }

    #[test]
    fn work_that_ends_on_another_core_still_sums_right() {
        let gauges = PerCore::<Gauge>::new(2);
        gauges.core(0).increment();
        gauges.core(0).increment();
        gauges.core(1).decrement();
        assert_eq!(gauges.sum_signed(Gauge::get), 1);
    }
}
