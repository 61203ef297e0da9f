//! Where the load balancers of the API are kept: a map from names to [encoded](codec) records, changed one at a time.
//!
//! Every change raises the [`Revision`], and names the one it was made for: of two writers that read the same, one is
//! told that it is [outdated](StoreError::Outdated). [`EmbeddedStore`] is a file of this node; [`MemoryStore`] can be
//! shared by several services, as a distributed engine will be.

pub mod codec;
mod embedded;
mod memory;

pub use embedded::EmbeddedStore;
pub use memory::MemoryStore;

use std::fmt;
use tokio::sync::watch;

/// How many changes there have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u64);

impl Revision {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// All that is kept, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// When this was so.
    pub revision: Revision,
    /// The records by the names of their load balancers.
    pub records: Vec<(String, Vec<u8>)>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Keep this record, instead of any before it.
    Put(String, Vec<u8>),
    /// Keep none of this name.
    Delete(String),
}

/// What keeps records. Calls may wait for a disk or a network: not for the control thread.
pub trait Store: Send + Sync {
    /// All that is kept, at the newest revision.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    fn read(&self) -> Result<Contents, StoreError>;

    /// Makes a change, if the newest revision is `expected`. Once this has returned, no crash undoes it; if it fails,
    /// nothing of it has happened.
    ///
    /// # Errors
    ///
    /// Somebody else was first, or the store cannot be written.
    fn compare_and_swap(&self, expected: Revision, write: &Write) -> Result<Revision, StoreError>;

    /// The newest revision, and word of every later one.
    fn watch(&self) -> watch::Receiver<Revision>;
}

/// Why a store does not do what it is asked.
#[derive(Debug)]
pub enum StoreError {
    /// The change was made for an older revision than this, the newest.
    Outdated(Revision),
    /// What the engine says.
    Engine(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outdated(Revision(newest)) => write!(formatter, "somebody else has made change {newest} meanwhile"),
            Self::Engine(cause) => formatter.write_str(cause),
        }
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn put(name: &str, value: &str) -> Write {
        Write::Put(name.to_owned(), value.as_bytes().to_vec())
    }

    fn with_each(check: impl Fn(&dyn Store)) {
        let directory = tempfile::tempdir().unwrap();
        check(&MemoryStore::default());
        check(&EmbeddedStore::open(directory.path()).unwrap());
    }

    #[test]
    fn whoever_comes_second_is_told() {
        with_each(|store| {
            let first = store.read().unwrap().revision;
            let mut news = store.watch();
            let second = store.compare_and_swap(first, &put("web", "1")).unwrap();
            assert!(news.has_changed().unwrap() && *news.borrow_and_update() == second);
            let late = store.compare_and_swap(first, &put("web", "2"));
            assert!(matches!(late, Err(StoreError::Outdated(newest)) if newest == second));
            let contents = Contents { revision: second, records: vec![("web".to_owned(), b"1".to_vec())] };
            assert_eq!(store.read().unwrap(), contents);
        });
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        let mut revision = store.read().unwrap().revision;
        for write in [put("web", "1"), put("shop", "2"), Write::Delete("web".to_owned()), put("shop", "3")] {
            revision = store.compare_and_swap(revision, &write).unwrap();
        }
        let held = EmbeddedStore::open(directory.path()).map(drop).unwrap_err();
        assert!(held.to_string().contains("elbow.redb"), "{held}");
        drop(store);
        let contents = EmbeddedStore::open(directory.path()).unwrap().read().unwrap();
        assert_eq!(contents, Contents { revision, records: vec![("shop".to_owned(), b"3".to_vec())] });
    }

    #[test]
    fn a_closed_store_can_be_had_by_another_and_then_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        let revision = store.compare_and_swap(store.read().unwrap().revision, &put("web", "1")).unwrap();
        store.close();
        assert!(store.read().is_err() && store.compare_and_swap(revision, &put("web", "2")).is_err());
        let other = EmbeddedStore::open(directory.path()).unwrap();
        assert!(store.reopen().is_err(), "one at a time");
        assert_eq!(other.read().unwrap().revision, revision);
        drop(other);
        store.reopen().unwrap();
        assert_eq!(store.compare_and_swap(revision, &put("web", "2")).unwrap(), revision.next());
    }

    #[test]
    fn a_file_that_is_no_store_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("elbow.redb");
        std::fs::write(&path, "precious").unwrap();
        assert!(EmbeddedStore::open(directory.path()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert!(EmbeddedStore::open(&directory.path().join("none")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Both stores are the same map.
        #[test]
        fn stores_are_maps(writes in prop::collection::vec((0_u8..4, prop::option::of("[a-z]{0,3}")), 0..12)) {
            let mut map = BTreeMap::new();
            let stores = (tempfile::tempdir().unwrap(), MemoryStore::default());
            let embedded = EmbeddedStore::open(stores.0.path()).unwrap();
            for (name, value) in writes {
                let (name, value) = (format!("lb-{name}"), value.map(String::into_bytes));
                let write = match &value {
                    Some(value) => Write::Put(name.clone(), value.clone()),
                    None => Write::Delete(name.clone()),
                };
                for store in [&stores.1 as &dyn Store, &embedded] {
                    let revision = store.read().unwrap().revision;
                    store.compare_and_swap(revision, &write).unwrap();
                }
                match value {
                    Some(value) => drop(map.insert(name, value)),
                    None => drop(map.remove(&name)),
                }
            }
            let expected: Vec<_> = map.into_iter().collect();
            prop_assert_eq!(&embedded.read().unwrap(), &stores.1.read().unwrap());
            prop_assert_eq!(embedded.read().unwrap().records, expected);
        }
    }
}
