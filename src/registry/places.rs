//! A number of things that may be open at once, counted exactly over all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;

/// How many places are taken. Touched once when one is taken and once when it is given back.
#[derive(Debug, Default)]
pub struct Places(CachePadded<AtomicUsize>);

/// One taken place; dropping it gives it back.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl Places {
    /// Takes a place if with it no more than `limit` are taken.
    pub fn take(self: &Arc<Places>, limit: usize) -> Option<Place> {
        let place = Place(self.clone());
        // Counting before looking gives the last place away exactly once; a refused one is uncounted by its guard.
        (self.0.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }

    /// Places taken now.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_can_be_taken_when_another_is_given_back() {
        let places = Arc::new(Places::default());
        let first = places.take(2);
        let second = places.take(2);
        assert!(first.is_some() && second.is_some() && places.take(2).is_none());
        assert_eq!(places.taken(), 2);
        drop(first);
        assert!(places.take(2).is_some());
    }
}
