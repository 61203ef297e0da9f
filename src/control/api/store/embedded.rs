//! A store in one file of this node, by redb: a copy-on-write B-tree whose commit ends with fsync(2), so that a crash
//! at any moment leaves the last commit or the one before.

use super::{Contents, Revision, Store, StoreError, Write};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::sync::watch;

/// The file, in the state directory.
const FILE: &str = "elbow.redb";

/// Pages kept in memory. All records together are some MB at most.
const CACHE_BYTES: usize = 4 << 20;

/// Records by the names of their load balancers.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("load_balancers");

/// Numbers about the store.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The newest revision.
const REVISION: &str = "revision";
/// How records are written: see [`super::codec`].
const FORMAT: &str = "format";
/// The only one so far.
const FORMAT_NOW: u64 = 1;

/// Records in a file. One process at a time can have it open.
pub struct EmbeddedStore {
    database: Database,
    revision: watch::Sender<Revision>,
}

impl EmbeddedStore {
    /// Opens the store in `directory`, and makes it if there is none. Only its owner may read it.
    ///
    /// # Errors
    ///
    /// Whatever is in the way: no directory, another process, a file that is no store or of another release. The
    /// message names the file.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let opened = open_database(&path).and_then(|database| {
            // The name of a new file is durable when its directory is.
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(engine)?;
            let revision = prepare(&database)?;
            Ok(Self { database, revision: watch::Sender::new(revision) })
        });
        opened.map_err(|error| io::Error::other(format!("state store {}: {error}", path.display())))
    }
}

impl Store for EmbeddedStore {
    fn read(&self) -> Result<Contents, StoreError> {
        let transaction = self.database.begin_read().map_err(engine)?;
        let revision = revision_in(&transaction.open_table(NUMBERS).map_err(engine)?)?;
        let mut records = Vec::new();
        for entry in transaction.open_table(RECORDS).map_err(engine)?.iter().map_err(engine)? {
            let (name, value) = entry.map_err(engine)?;
            records.push((name.value().to_owned(), value.value().to_vec()));
        }
        Ok(Contents { revision, records })
    }

    fn compare_and_swap(&self, expected: Revision, write: &Write) -> Result<Revision, StoreError> {
        // Dropped without a commit, a transaction has not happened.
        let transaction = self.database.begin_write().map_err(engine)?;
        let next = {
            let mut numbers = transaction.open_table(NUMBERS).map_err(engine)?;
            let newest = revision_in(&numbers)?;
            if newest != expected {
                return Err(StoreError::Outdated(newest));
            }
            let mut records = transaction.open_table(RECORDS).map_err(engine)?;
            match write {
                Write::Put(name, value) => drop(records.insert(name.as_str(), value.as_slice()).map_err(engine)?),
                Write::Delete(name) => drop(records.remove(name.as_str()).map_err(engine)?),
            }
            let next = newest.next();
            numbers.insert(REVISION, next.0).map_err(engine)?;
            next
        };
        transaction.commit().map_err(engine)?;
        self.revision.send_replace(next);
        Ok(next)
    }

    fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    Builder::new().set_cache_size(CACHE_BYTES).create_file(file.map_err(engine)?).map_err(engine)
}

/// Makes the tables of a new store, checks those of an old one, and tells the newest revision.
fn prepare(database: &Database) -> Result<Revision, StoreError> {
    let transaction = database.begin_write().map_err(engine)?;
    let revision = {
        let mut numbers = transaction.open_table(NUMBERS).map_err(engine)?;
        transaction.open_table(RECORDS).map_err(engine)?;
        let format = numbers.get(FORMAT).map_err(engine)?.map(|format| format.value());
        match format {
            Some(FORMAT_NOW) => {}
            Some(other) => {
                let message = format!("written in format {other}, this release reads {FORMAT_NOW}");
                return Err(StoreError::Engine(message));
            }
            None => drop(numbers.insert(FORMAT, FORMAT_NOW).map_err(engine)?),
        }
        revision_in(&numbers)?
    };
    transaction.commit().map_err(engine)?;
    Ok(revision)
}

fn revision_in(numbers: &impl ReadableTable<&'static str, u64>) -> Result<Revision, StoreError> {
    let revision = numbers.get(REVISION).map_err(engine)?;
    Ok(Revision(revision.map_or(0, |revision| revision.value())))
}

fn engine(error: impl Display) -> StoreError {
    StoreError::Engine(error.to_string())
}
