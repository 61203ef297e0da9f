//! From the store and the configuration file to the state.

use super::settings::Settings;
use super::state::{State, StateFault, Surroundings};
use super::store::{Contents, Revision, Store, StoreError, codec};
use crate::model::{Configuration, Invalid};
use std::fmt;
use std::sync::Arc;

/// What holds now.
pub(super) struct Current {
    /// What the configuration file says.
    pub(super) file: Arc<Configuration>,
    /// Every load balancer.
    pub(super) state: State,
    /// The store's revision that it is of.
    pub(super) revision: Revision,
}

/// The load balancers that were stored, beside those of the file: what a node starts with.
pub struct Restored {
    pub(super) settings: Settings,
    pub(super) store: Arc<dyn Store>,
    pub(super) current: Current,
    configuration: Configuration,
}

/// Why the state could not be restored.
#[derive(Debug)]
pub enum RestoreError {
    /// The store cannot be read.
    Store(StoreError),
    /// A record makes no sense: by name, and what is wrong.
    Record(String, Invalid),
    /// File and store do not make one configuration.
    State(Vec<StateFault>),
}

impl Restored {
    /// Reads the store. Waits for the disk.
    ///
    /// # Errors
    ///
    /// Whatever cannot be read, or does not stand beside the file.
    pub fn read(settings: Settings, store: Arc<dyn Store>, file: Configuration) -> Result<Self, RestoreError> {
        let current = read(&*store, Arc::new(file), &settings)?;
        let configuration = current.state.configuration(&current.file);
        let configuration = configuration.map_err(|fault| RestoreError::State(vec![fault]))?;
        Ok(Self { settings, store, current, configuration })
    }

    /// What is to be brought into effect: what the file says, with the load balancers of the API.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }
}

/// The state that store and file make.
pub(super) fn read(store: &dyn Store, file: Arc<Configuration>, settings: &Settings) -> Result<Current, RestoreError> {
    let Contents { revision, records } = store.read().map_err(RestoreError::Store)?;
    let decode =
        |(name, bytes): (String, Vec<u8>)| codec::decode(&bytes).map_err(|invalid| RestoreError::Record(name, invalid));
    let stored = records.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let around = Surroundings { settings, inventory: &file.inventory, node_zone: &file.node.zone };
    let state = State::new(&file, stored, around).map_err(RestoreError::State)?;
    Ok(Current { file, state, revision })
}

impl fmt::Display for RestoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(formatter, "state store: {error}"),
            Self::Record(name, invalid) => write!(formatter, "state store, load balancer {name}: {invalid}"),
            Self::State(faults) => {
                let faults: Vec<String> = faults.iter().map(StateFault::to_string).collect();
                formatter.write_str(&faults.join("; "))
            }
        }
    }
}

impl std::error::Error for RestoreError {}
