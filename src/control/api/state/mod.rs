//! All load balancers as the API knows them. [`Record`] is one of them, [`Facts`] its side that only the API has,
//! [`Draft`] one on its way to be changed; [`resources`] finds what callers name. A [`Change`] leads from one [`State`]
//! to the next, which shares all records but one.

pub mod bucket;
mod difference;
mod facts;
mod record;
pub mod resources;
mod tag;

pub use difference::difference;
pub use facts::{AccessLogFacts, Facts, PolicyFacts, Scheme};
pub use record::{Draft, Origin, Record, Surroundings};
pub use tag::{ADDRESS_TAG, TagKey, TagValue};

use super::error::ApiError;
use crate::model::{Configuration, Conflict, LoadBalancer, LoadBalancerName, Place};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Every load balancer by its name, those of the configuration file among them.
#[derive(Debug, Clone, Default)]
pub struct State(BTreeMap<LoadBalancerName, Arc<Record>>);

/// What a call makes of one load balancer.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which.
    pub name: LoadBalancerName,
    /// What it was; nothing when it is created.
    pub before: Option<Arc<Record>>,
    /// What it will be; nothing when it is deleted.
    pub after: Option<Arc<Record>>,
}

/// Why a file and the load balancers of the API do not make one configuration.
#[derive(Debug)]
pub enum StateFault {
    /// Both define a load balancer of this name.
    DefinedTwice(LoadBalancerName),
    /// What the API has does not hold any more under the file.
    Unsettled(LoadBalancerName, ApiError),
    /// Load balancers stand in each other's way.
    Conflicts(Vec<(LoadBalancerName, Place, Conflict)>),
}

impl State {
    /// The load balancers of `file`, and `stored`, those of the API, brought up to date with the file's inventory.
    ///
    /// # Errors
    ///
    /// Every load balancer that cannot stand beside the file, and why.
    pub fn new(
        file: &Configuration,
        stored: impl IntoIterator<Item = (Draft, Origin)>,
        around: Surroundings<'_>,
    ) -> Result<Self, Vec<StateFault>> {
        let of_file = file.load_balancers.values().cloned();
        let of_file = of_file.map(|balancer| Record::of_file(balancer, around));
        let mut records: BTreeMap<_, _> = of_file.map(|record| (record.name.clone(), Arc::new(record))).collect();
        let mut faults = Vec::new();
        for (draft, origin) in stored {
            let name = draft.parts.name.clone();
            match Record::settle(draft, origin, around) {
                Err(error) => faults.push(StateFault::Unsettled(name, error)),
                Ok(record) => match (records.insert(name.clone(), Arc::new(record)), origin) {
                    (Some(_), Origin::Imported) => tracing::warn!(
                        load_balancer = %name,
                        "the API has taken this load balancer over; what the file says of it does not count: remove it there"
                    ),
                    (Some(_), _) => faults.push(StateFault::DefinedTwice(name)),
                    (None, _) => {}
                },
            }
        }
        if faults.is_empty() { Ok(Self(records)) } else { Err(faults) }
    }

    /// The load balancer of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Record>> {
        self.0.get(name)
    }

    /// Every load balancer, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.0.values()
    }

    /// The load balancers that the API may change.
    pub fn of_api(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.iter().filter(|record| record.origin() != Origin::File)
    }

    /// The state after `change`.
    pub fn with(&self, change: &Change) -> Self {
        let mut records = self.0.clone();
        match &change.after {
            Some(record) => drop(records.insert(change.name.clone(), Arc::clone(record))),
            None => drop(records.remove(&change.name)),
        }
        Self(records)
    }

    /// The whole configuration: what `file` says of the node, and every load balancer that has a listener.
    ///
    /// # Errors
    ///
    /// Load balancers that stand in each other's way.
    pub fn configuration(&self, file: &Configuration) -> Result<Configuration, StateFault> {
        let serving = self.iter().filter_map(|record| record.serving());
        let load_balancers: BTreeMap<LoadBalancerName, LoadBalancer> =
            serving.map(|balancer| (balancer.name.clone(), balancer.clone())).collect();
        let mut parts = file.clone().into_parts();
        parts.load_balancers = load_balancers;
        Configuration::new(parts).map_err(StateFault::Conflicts)
    }
}

impl fmt::Display for StateFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefinedTwice(name) => write!(
                formatter,
                "load balancer {name} is in the configuration file and was made by the API: rename or remove one"
            ),
            Self::Unsettled(name, error) => write!(formatter, "load balancer {name} of the API: {}", error.message),
            Self::Conflicts(conflicts) => {
                let one = |(name, _, conflict): &(LoadBalancerName, Place, Conflict)| {
                    format!("load balancer {name}: {conflict}")
                };
                formatter.write_str(&conflicts.iter().map(one).collect::<Vec<_>>().join("; "))
            }
        }
    }
}

impl std::error::Error for StateFault {}
