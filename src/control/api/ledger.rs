//! The book of load balancers: what holds now, and the way of a change.
//!
//! Changes are made one after the other. An operation makes the next state of one load balancer; all load balancers
//! together make the next configuration, which is published; when every core has it, the record is stored; only then
//! the change is made, and the call answered. An error on the way leaves everything as it was: until the configuration
//! is published nothing has happened, and what cannot be published whole or stored is taken back by publishing the
//! configuration before. A crash before the answer may leave the change or not; a change that was answered is there
//! after every crash.

use super::access_log;
use super::answer::Xml;
use super::error::{ApiError, ErrorCode};
use super::operation::Done;
use super::restore::{self, Current, RestoreError, Restored};
use super::settings::Settings;
use super::state::{Change, Draft, Origin, Record, State, Surroundings, difference};
use super::store::{Revision, Store, StoreError, Write, codec};
use crate::control::config;
use crate::model::{Configuration, Instance, InstanceId, LoadBalancer, LoadBalancerName};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// How often a change is begun anew because another node was first with one of its own.
const TRIES: u32 = 3;

/// Brings a configuration into effect: done when every core has adopted it.
pub type Publish = dyn Fn(Configuration) -> Pin<Box<dyn Future<Output = Result<(), PublishError>>>>;

/// Why a configuration was not brought into effect.
#[derive(Debug)]
pub enum PublishError {
    /// It cannot be: a name that does not resolve, an address that is taken. Nothing has changed; the caller's concern.
    Refused(String),
    /// It should have been, and perhaps is in part. Ours; the configuration before is published again.
    Failed(String),
}

/// Why what comes from elsewhere than a call, a file or another node's change, was not taken in.
#[derive(Debug)]
pub enum EnterError {
    /// It does not stand beside what there is, or cannot be read.
    Restore(RestoreError),
    /// It could not be brought into effect.
    Publish(PublishError),
}

/// The book.
pub(super) struct Ledger {
    settings: Settings,
    store: Arc<dyn Store>,
    publish: Box<Publish>,
    current: RefCell<Rc<Current>>,
    /// Held while a change is made.
    turn: Mutex<()>,
}

/// How a change went.
enum Made {
    /// It is published and stored; what differs.
    Kept(String),
    /// Another node was first. Nothing has changed.
    Outdated,
}

impl Ledger {
    /// The book of what was restored, and is in effect.
    pub(super) fn new(restored: Restored, publish: Box<Publish>) -> Self {
        let Restored { settings, store, current, .. } = restored;
        Self { settings, store, publish, current: RefCell::new(Rc::new(current)), turn: Mutex::new(()) }
    }

    /// What holds now.
    pub(super) fn current(&self) -> Rc<Current> {
        Rc::clone(&self.current.borrow())
    }

    /// How ELB's words map onto this installation.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes the change that `operation` wants of what holds when its turn comes: its result, and what differs now.
    pub(super) async fn change(
        &self,
        operation: impl Fn(&Current) -> Result<Done, ApiError>,
    ) -> Result<(Xml, String), ApiError> {
        let unavailable = |message: String| ApiError::new(ErrorCode::ServiceUnavailable, message);
        let _turn = self.turn.lock().await;
        for _ in 0..TRIES {
            let current = self.current();
            let Done { result, change } = operation(&current)?;
            let Some(change) = change else { return Ok((result, String::new())) };
            match self.make(&current, &change).await? {
                Made::Kept(difference) => return Ok((result, difference)),
                Made::Outdated => self.catch_up().await.map_err(|error| unavailable(error.to_string()))?,
            }
        }
        Err(unavailable("Other nodes make changes all the time".to_owned()))
    }

    /// Takes in a new configuration file: its load balancers, and the inventory that those of the API follow.
    pub(super) async fn reload(&self, file: Configuration) -> Result<(), EnterError> {
        let _turn = self.turn.lock().await;
        let current = self.current();
        let stored = current.state.of_api().map(|record| (record.draft(), record.origin()));
        let around = Surroundings { settings: &self.settings, inventory: &file.inventory, node_zone: &file.node.zone };
        let state =
            State::new(&file, stored, around).map_err(|faults| EnterError::Restore(RestoreError::State(faults)))?;
        self.enter(Current { file: Arc::new(file), state, revision: current.revision }).await
    }

    /// Makes a load balancer of the configuration file one of the API. The traffic does not notice.
    pub(super) async fn import(&self, name: &LoadBalancerName) -> Result<(), ApiError> {
        let _turn = self.turn.lock().await;
        let current = self.current();
        let of_file = current.state.get(name.as_str()).filter(|record| record.origin() == Origin::File);
        let before = of_file.ok_or_else(|| {
            let message = format!("There is no load balancer '{name}' in the configuration file");
            ApiError::new(ErrorCode::LoadBalancerNotFound, message)
        })?;
        let after = Arc::new((**before).clone().imported());
        let change = Change { name: name.clone(), before: Some(Arc::clone(before)), after: Some(after) };
        match self.keep(&current, &change).await {
            Ok(_) => Ok(()),
            Err(error) => Err(not_stored(&error)),
        }
    }

    /// The load balancers of the API as a configuration file.
    pub(super) fn export(&self) -> String {
        let current = self.current();
        let serving = current.state.of_api().filter_map(|record| record.serving());
        let mut parts = (*current.file).clone().into_parts();
        parts.load_balancers = serving.map(|balancer| (balancer.name.clone(), balancer.clone())).collect();
        // Some of the load balancers that are in effect together do not stand in each other's way.
        Configuration::new(parts).map(|configuration| config::effective(&configuration)).unwrap_or_default()
    }

    /// Takes in what other nodes have stored, for as long as this is awaited.
    pub(super) async fn follow(&self) {
        let mut news = self.store.watch();
        while news.changed().await.is_ok() {
            let _turn = self.turn.lock().await;
            let newest = *news.borrow_and_update();
            if newest <= self.current().revision {
                continue;
            }
            if let Err(error) = self.catch_up().await {
                tracing::error!(%error, "cannot take in what another node has stored");
            }
        }
    }

    /// Publishes a change, then stores it.
    async fn make(&self, current: &Current, change: &Change) -> Result<Made, ApiError> {
        self.prepare(change).await?;
        let shows = serving(&change.before) != serving(&change.after);
        if shows {
            let next = current.state.with(change).configuration(&current.file);
            let next = next.map_err(|fault| ApiError::conflict(fault.to_string()))?;
            self.publish_after(current, next).await.map_err(not_published)?;
        }
        let error = match self.keep(current, change).await {
            Ok(difference) => return Ok(Made::Kept(difference)),
            Err(error) => error,
        };
        if shows {
            self.take_back(current).await;
        }
        match error {
            StoreError::Outdated(_) => Ok(Made::Outdated),
            StoreError::Engine(_) => Err(not_stored(&error)),
        }
    }

    async fn prepare(&self, change: &Change) -> Result<(), ApiError> {
        let (settings, change) = (self.settings.clone(), change.clone());
        let prepared = spawn_blocking(move || access_log::prepare(&settings, &change)).await;
        prepared.unwrap_or_else(|error| Err(ApiError::new(ErrorCode::InternalFailure, error.to_string())))
    }

    /// Stores a change, and lets it hold from now on. Tells what differs.
    async fn keep(&self, current: &Current, change: &Change) -> Result<String, StoreError> {
        let (store, expected, to_store) = (Arc::clone(&self.store), current.revision, change.clone());
        let stored = spawn_blocking(move || write(&*store, expected, &to_store)).await;
        let (revision, difference) = stored.unwrap_or_else(|error| Err(StoreError::Engine(error.to_string())))?;
        let (file, state) = (Arc::clone(&current.file), current.state.with(change));
        self.current.replace(Rc::new(Current { file, state, revision }));
        Ok(difference)
    }

    /// Brings `next` into effect after `current`, or leaves that in effect.
    async fn publish_after(&self, current: &Current, next: Configuration) -> Result<(), PublishError> {
        let published = (self.publish)(next).await;
        if let Err(PublishError::Failed(_)) = published {
            self.take_back(current).await;
        }
        published
    }

    /// Brings the configuration before a change back into effect.
    async fn take_back(&self, current: &Current) {
        let back = match current.state.configuration(&current.file) {
            Ok(configuration) => (self.publish)(configuration).await,
            Err(fault) => Err(PublishError::Failed(fault.to_string())),
        };
        if let Err(error) = back {
            tracing::error!(%error, "a change that failed could not be taken back: it holds until the next one");
        }
    }

    /// Takes in what the store has now.
    async fn catch_up(&self) -> Result<(), EnterError> {
        let (store, file) = (Arc::clone(&self.store), Arc::clone(&self.current().file));
        let settings = self.settings.clone();
        let read = spawn_blocking(move || restore::read(&*store, file, &settings)).await;
        let next = read.map_err(|error| EnterError::Publish(PublishError::Failed(error.to_string())))?;
        self.enter(next.map_err(EnterError::Restore)?).await
    }

    async fn enter(&self, next: Current) -> Result<(), EnterError> {
        let configuration = next.state.configuration(&next.file);
        let configuration = configuration.map_err(|fault| EnterError::Restore(RestoreError::State(vec![fault])))?;
        self.publish_after(&self.current(), configuration).await.map_err(EnterError::Publish)?;
        self.current.replace(Rc::new(next));
        Ok(())
    }
}

/// The revision that a change makes in the store, and what differs by it.
fn write(store: &dyn Store, expected: Revision, change: &Change) -> Result<(Revision, String), StoreError> {
    let name = change.name.to_string();
    let write = match &change.after {
        Some(record) => {
            Write::Put(name, codec::encode(record).map_err(|invalid| StoreError::Engine(invalid.to_string()))?)
        }
        None => Write::Delete(name),
    };
    let revision = store.compare_and_swap(expected, &write)?;
    Ok((revision, what_differs(change)))
}

fn what_differs(change: &Change) -> String {
    let draft = |record: &Option<Arc<Record>>| record.as_deref().map(Record::draft);
    let (mut before, mut after) = (draft(&change.before), draft(&change.after));
    if let (Some(before), Some(after)) = (&mut before, &mut after) {
        drop_common(&mut before.parts.instances, &mut after.parts.instances);
    }
    let tree = |draft: Option<Draft>| draft.as_ref().map(codec::tree).unwrap_or_default();
    difference(&tree(before), &tree(after))
}

/// Leaves what differs: to write down and compare a thousand instances takes as long as to store them.
fn drop_common(before: &mut Vec<Instance>, after: &mut Vec<Instance>) {
    let known: HashMap<InstanceId, Instance> =
        before.iter().map(|instance| (instance.id.clone(), instance.clone())).collect();
    let is_common = |instance: &Instance| known.get(&instance.id) == Some(instance);
    let common: HashSet<InstanceId> =
        after.iter().filter(|instance| is_common(instance)).map(|instance| instance.id.clone()).collect();
    before.retain(|instance| !common.contains(&instance.id));
    after.retain(|instance| !common.contains(&instance.id));
}

fn serving(record: &Option<Arc<Record>>) -> Option<&LoadBalancer> {
    record.as_deref().and_then(Record::serving)
}

fn not_published(error: PublishError) -> ApiError {
    match error {
        PublishError::Refused(cause) => ApiError::conflict(cause),
        PublishError::Failed(cause) => {
            tracing::error!(cause, "a change was not published");
            ApiError::new(ErrorCode::InternalFailure, "The change could not be brought into effect")
        }
    }
}

fn not_stored(error: &StoreError) -> ApiError {
    tracing::error!(%error, "a change was not stored");
    ApiError::new(ErrorCode::InternalFailure, "The change could not be stored")
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(cause) | Self::Failed(cause) => formatter.write_str(cause),
        }
    }
}

impl std::error::Error for PublishError {}

impl fmt::Display for EnterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(error) => error.fmt(formatter),
            Self::Publish(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for EnterError {}

#[cfg(test)]
mod tests;
