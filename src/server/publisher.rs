//! Brings a configuration into effect: on every core, or not at all.
//!
//! Whatever can be wrong is found out before anything changes: names that cannot be looked up, certificates, addresses
//! that somebody else listens on. Then one pointer is published, and every thread goes over to it at its next turn.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::control::api::PublishError;
use crate::model::{Configuration, Layer};
use crate::proxy::admission::Admission;
use crate::proxy::worker;
use crate::registry::{CompileError, Registry, Snapshot};
use crate::runtime::{self, ListeningSockets};
use crate::server::inheritance::Inheritance;
use crate::server::{RunError, sticky_key};

/// How often the control thread looks whether the cores have adopted a change, for some seconds in all. They do at their
/// next turn; a core that does not is stuck. Looks are counted, not time: if the whole process gets none, nobody is.
const LOOKS: u32 = 3_000;

/// Between two looks; the timer of the control thread makes a millisecond of it.
const LOOK: Duration = Duration::from_micros(200);

/// How long a start waits for addresses that are in use. Listeners of a process that crashed live on until the kernel has
/// taken its rings down: some tens of milliseconds, and over a second where all processors are busy.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// The same of a change, which somebody waits for. It may want an address that a change just before has given up.
const CHANGE_PATIENCE: Duration = Duration::from_secs(1);

/// The way of a configuration to the data plane, whoever wants it.
#[derive(Clone)]
pub(super) struct Publisher {
    registry: Registry,
    admission: Arc<Admission>,
    sockets: Arc<ListeningSockets>,
    cores: usize,
    /// Open files that the process may have.
    descriptors: u64,
    published: Rc<Notify>,
}

impl Publisher {
    /// For `registry`, which was made from `first` for `cores` cores.
    pub(super) fn new(registry: Registry, first: &Configuration, cores: usize, descriptors: u64) -> Publisher {
        let admission = Admission::new(connection_limit(first, descriptors));
        Publisher { registry, admission, sockets: Arc::default(), cores, descriptors, published: Rc::default() }
    }

    /// Opens what the first configuration listens on, on all cores or nowhere, but for what was handed over.
    ///
    /// # Errors
    /// Where nobody can listen, or somebody else does. Blocks for some seconds until it is sure of that.
    pub(super) fn listen(&self, inheritance: &mut Inheritance) -> Result<(), RunError> {
        let snapshot = self.registry.snapshot();
        let addresses: Vec<SocketAddr> = addresses_of(&snapshot).collect();
        let settled = inheritance.settle(&self.sockets, self.cores, &addresses);
        settled.map_err(|error| RunError::Start(format!("sockets that were handed over: {error}")))?;
        let new = addresses.into_iter().filter(|address| !self.sockets.has(*address));
        let listening = require_free(new, START_PATIENCE).and_then(|()| open(&self.sockets, self.cores, &snapshot));
        listening.map_err(|error| RunError::Compile(vec![error]))
    }

    /// The sockets of all listeners.
    pub(super) fn sockets(&self) -> &Arc<ListeningSockets> {
        &self.sockets
    }

    /// The room for client connections, as the configuration wants it.
    pub(super) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Waits for the next configuration to be in effect, or for one that nobody has waited for yet. For one waiter.
    pub(super) async fn published(&self) {
        self.published.notified().await;
    }

    /// Brings `next` into effect; done when every core has adopted it.
    pub(super) async fn publish(&self, next: Configuration) -> Result<(), PublishError> {
        let limit = connection_limit(&next, self.descriptors);
        let (registry, sockets, cores) = (self.registry.clone(), self.sockets.clone(), self.cores);
        // Looks names up and may wait for an address, which the probes on this thread must not.
        let applied = tokio::task::spawn_blocking(move || {
            let free = require_free(new_addresses(&registry, &next), CHANGE_PATIENCE);
            free.map_err(|error| PublishError::Refused(error.to_string()))?;
            if !registry.has_sticky_key() {
                let key = sticky_key::load(&next)
                    .map_err(|error| PublishError::Refused(format!("key for sticky cookies: {error}")))?;
                key.into_iter().for_each(|key| registry.provide_sticky_key(key));
            }
            let applied = registry.apply_after(&next, |snapshot| open(&sockets, cores, snapshot));
            applied.map_err(|errors| PublishError::Refused(CompileError::join(&errors)))
        });
        applied.await.unwrap_or_else(|error| Err(PublishError::Failed(error.to_string())))?;
        self.admission.set_limit(limit);
        self.published.notify_one();
        for _ in 0..LOOKS {
            if self.registry.is_settled() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(PublishError::Failed("a data-plane thread does not adopt the change".to_owned()))
    }
}

/// Opens what `snapshot` listens on and nobody does yet: on all cores, or nowhere.
fn open(sockets: &ListeningSockets, cores: usize, snapshot: &Snapshot) -> Result<(), CompileError> {
    let addresses: Vec<SocketAddr> = addresses_of(snapshot).collect();
    let opened = sockets.open(cores, &addresses, worker::BACKLOG);
    opened.map_err(|(address, error)| CompileError::Unopened(address, error))
}

fn addresses_of(snapshot: &Snapshot) -> impl Iterator<Item = SocketAddr> {
    snapshot.listeners().iter().map(|entry| entry.listener.socket_address())
}

/// Where `next` listens and nobody does yet. What overlaps with an address that is held already, such as the wildcard,
/// is left out: only the kernel can tell whether both go together.
fn new_addresses(registry: &Registry, next: &Configuration) -> Vec<SocketAddr> {
    let snapshot = registry.snapshot();
    listener_addresses(next).filter(|address| !addresses_of(&snapshot).any(|held| overlap(held, *address))).collect()
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    one.port() == other.port() && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

/// Every listener's address.
fn listener_addresses(configuration: &Configuration) -> impl Iterator<Item = SocketAddr> {
    let listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    listeners.map(|listener| listener.socket_address())
}

/// A listener's address may be shared by the threads of this process, but not with another process that happens to
/// share it: half of the traffic would go there. After a crash, or a reload just before, old listeners linger. Blocks for
/// as long as `patience` while an address is in use.
fn require_free(addresses: impl IntoIterator<Item = SocketAddr>, patience: Duration) -> Result<(), CompileError> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut left = patience;
    for address in addresses {
        while let Err(error) = runtime::probe_address(address) {
            if error.kind() != io::ErrorKind::AddrInUse || left.is_zero() {
                return Err(CompileError::Unopened(address, error));
            }
            std::thread::sleep(PAUSE);
            left = left.saturating_sub(PAUSE);
        }
    }
    Ok(())
}

/// The most client connections at once. By default what the limit on descriptors leaves room for: a TCP connection
/// needs two, an HTTP connection one and a share of the kept connections to instances.
fn connection_limit(configuration: &Configuration, descriptors: u64) -> usize {
    if let Some(limit) = configuration.node.max_connections {
        return limit.get() as usize;
    }
    let mut listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    let for_clients = match listeners.any(|listener| listener.protocols.layer() == Layer::Four) {
        true => descriptors / 2,
        false => descriptors / 10 * 9,
    };
    usize::try_from(for_clients.saturating_sub(100).max(1)).unwrap_or(usize::MAX)
}
