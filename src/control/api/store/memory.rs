//! A store that ends with the process.

use super::{Contents, Revision, Store, StoreError, Write};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<BTreeMap<String, Vec<u8>>>,
    revision: watch::Sender<Revision>,
}

impl MemoryStore {
    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // No panic can happen while it is held.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn read(&self) -> Result<Contents, StoreError> {
        let records = self.records();
        let copies = records.iter().map(|(name, value)| (name.clone(), value.clone()));
        Ok(Contents { revision: *self.revision.borrow(), records: copies.collect() })
    }

    fn compare_and_swap(&self, expected: Revision, write: &Write) -> Result<Revision, StoreError> {
        let mut records = self.records();
        let newest = *self.revision.borrow();
        if newest != expected {
            return Err(StoreError::Outdated(newest));
        }
        match write {
            Write::Put(name, value) => drop(records.insert(name.clone(), value.clone())),
            Write::Delete(name) => drop(records.remove(name)),
        }
        let next = newest.next();
        self.revision.send_replace(next);
        Ok(next)
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}
