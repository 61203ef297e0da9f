//! How many client connections the node holds, over all cores, and the most it may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::registry::{Place, Places};

/// The places for the client connections of a node. Touched once per accept and once per close.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Places>,
    limit: AtomicUsize,
}

impl Admission {
    /// Room for `limit` connections.
    pub fn new(limit: usize) -> Arc<Admission> {
        Arc::new(Admission { places: Arc::default(), limit: AtomicUsize::new(limit) })
    }

    /// Admits one more connection, or none when the node is full.
    pub fn admit(&self) -> Option<Place> {
        self.places.take(self.limit.load(Ordering::Relaxed))
    }

    /// From now on there is room for `limit`. Whoever is in stays in.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.places.taken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_limit_turns_nobody_out() {
        let admission = Admission::new(2);
        let held = (admission.admit(), admission.admit());
        admission.set_limit(1);
        assert!(held.0.is_some() && admission.open() == 2 && admission.admit().is_none());
        drop(held);
        let one = admission.admit();
        assert!(one.is_some() && admission.admit().is_none());
    }
}
