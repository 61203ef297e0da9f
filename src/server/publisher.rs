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
use crate::registry::{CompileError, Registry};
use crate::runtime;
use crate::server::sticky_key;

/// How often the control thread looks whether the cores have adopted a change, for some seconds in all. They do at their
/// next turn; a core that does not is stuck. Looks are counted, not time: if the whole process gets none, nobody is.
const LOOKS: u32 = 3_000;

/// Between two looks; the timer of the control thread makes a millisecond of it.
const LOOK: Duration = Duration::from_micros(200);

/// The way of a configuration to the data plane, whoever wants it.
#[derive(Clone)]
pub(super) struct Publisher {
    registry: Registry,
    admission: Arc<Admission>,
    /// Open files that the process may have.
    descriptors: u64,
    published: Rc<Notify>,
}

impl Publisher {
    /// For `registry`, which was made from `first`.
    pub(super) fn new(registry: Registry, first: &Configuration, descriptors: u64) -> Publisher {
        let admission = Admission::new(connection_limit(first, descriptors));
        Publisher { registry, admission, descriptors, published: Rc::default() }
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
        let registry = self.registry.clone();
        // Looks names up and may wait for an address, which the probes on this thread must not.
        let applied = tokio::task::spawn_blocking(move || {
            require_free(new_addresses(&registry, &next)).map_err(|error| PublishError::Refused(error.to_string()))?;
            if !registry.has_sticky_key() {
                let key = sticky_key::load(&next)
                    .map_err(|error| PublishError::Refused(format!("key for sticky cookies: {error}")))?;
                key.into_iter().for_each(|key| registry.provide_sticky_key(key));
            }
            registry.apply(&next).map_err(|errors| PublishError::Refused(CompileError::join(&errors)))
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

/// Where `next` listens and nobody does yet. What overlaps with an address that is held already, such as the wildcard,
/// is left out: only the kernel can tell whether both go together.
fn new_addresses(registry: &Registry, next: &Configuration) -> Vec<SocketAddr> {
    let snapshot = registry.snapshot();
    let held = || snapshot.listeners().iter().map(|entry| entry.listener.socket_address());
    listener_addresses(next).filter(|address| !held().any(|held| overlap(held, *address))).collect()
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    one.port() == other.port() && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

/// Every listener's address.
pub(super) fn listener_addresses(configuration: &Configuration) -> impl Iterator<Item = SocketAddr> {
    let listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    listeners.map(|listener| listener.socket_address())
}

/// A listener's address may be shared by the threads of this process, but not with another process that happens to
/// share it: half of the traffic would go there. After a crash, or a reload just before, old listeners linger for some
/// milliseconds. Blocks for up to a second.
pub(super) fn require_free(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<()> {
    const TRIES: u32 = 20;
    for address in addresses {
        for attempt in 1..=TRIES {
            match runtime::probe_address(address) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < TRIES => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(io::Error::new(error.kind(), format!("listener {address}: {error}"))),
            }
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
