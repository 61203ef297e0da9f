//! How many client connections the node holds, over all cores, and the most it may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;

/// Counts the client connections of a node exactly. Touched once per accept and once per close.
#[derive(Debug)]
pub struct Admission {
    open: CachePadded<AtomicUsize>,
    limit: usize,
}

/// One admitted connection; dropping it makes room for another.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
}

impl Admission {
    /// Room for `limit` connections.
    pub fn new(limit: usize) -> Arc<Admission> {
        Arc::new(Admission { open: CachePadded::new(AtomicUsize::new(0)), limit })
    }

    /// Admits one more connection, or none when the node is full.
    pub fn admit(self: &Arc<Admission>) -> Option<Admitted> {
        let admitted = Admitted { admission: self.clone() };
        // Counting before looking admits the last one exactly once; a refused one is uncounted by its guard.
        (self.open.fetch_add(1, Ordering::Relaxed) < self.limit).then_some(admitted)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_node_admits_when_one_leaves() {
        let admission = Admission::new(2);
        let first = admission.admit();
        let second = admission.admit();
        assert!(first.is_some() && second.is_some() && admission.admit().is_none());
        assert_eq!(admission.open(), 2);
        drop(first);
        assert!(admission.admit().is_some());
    }
}
