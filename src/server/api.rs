//! The ELB API beside the rest of the node: what it starts with, how its changes take effect, what it tells of health.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::api::signature::KeyRing;
use crate::control::api::store::EmbeddedStore;
use crate::control::api::{ApiListener, Publish, PublishError, Restored, Service, Settings, server_tls};
use crate::model::{Configuration, InstanceId, Listener, LoadBalancer, LoadBalancerName, PolicyName, PolicyType};
use crate::registry::Registry;
use crate::runtime;
use crate::server::RunError;
use crate::tls::ServerTls;

/// How often the control thread looks whether the cores have adopted a change, for some seconds in all. They do at their
/// next turn; a core that does not is stuck. Looks are counted, not time: if the whole process gets none, nobody is.
const LOOKS: u32 = 3_000;

/// How long a deleted listener may take to close. The cores do it when they come to it.
const CLOSING: Duration = Duration::from_millis(500);

/// Between two looks; the timer of the control thread makes a millisecond of it.
const LOOK: Duration = Duration::from_micros(200);

/// The API before the control thread runs.
pub(super) struct Prepared {
    restored: Restored,
    keys: KeyRing,
    address: SocketAddr,
    tls: Option<ServerTls>,
}

/// Reads keys and store, where the configuration asks for the API. Answers what is to be served: the load balancers of
/// the file and those that were made by API.
pub(super) fn prepare(file: Configuration) -> Result<(Configuration, Option<Prepared>), RunError> {
    let Some(settings) = file.api.clone() else { return Ok((file, None)) };
    let failed = |error: io::Error| RunError::Start(format!("[api]: {error}"));
    let keys = KeyRing::load(&settings.access_keys).map_err(failed)?;
    let tls = settings.certificate.as_ref().map(server_tls).transpose().map_err(failed)?;
    std::fs::create_dir_all(&file.node.state_dir)
        .map_err(|error| RunError::Start(format!("[node] state_dir {}: {error}", file.node.state_dir.display())))?;
    let store = Arc::new(EmbeddedStore::open(&file.node.state_dir).map_err(failed)?);
    let mapping = Settings::new(&settings, &file.node);
    let restored = Restored::read(mapping, store, file);
    let restored = restored.map_err(|error| RunError::Start(format!("[api] state: {error}")))?;
    let configuration = restored.configuration().clone();
    Ok((configuration, Some(Prepared { restored, keys, address: settings.address, tls })))
}

impl Prepared {
    /// Binds the address and makes the service.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) async fn start(self, registry: &Registry) -> Result<(ApiListener, Rc<Service>), RunError> {
        let listener = ApiListener::bind(self.address, self.tls).await;
        let listener = listener.map_err(|error| RunError::Start(format!("API address {}: {error}", self.address)))?;
        let (publishing, telling) = (registry.clone(), registry.clone());
        let publish: Box<Publish> = Box::new(move |next| Box::pin(publish(publishing.clone(), next)));
        let health = Box::new(move |name: &LoadBalancerName| health(&telling, name));
        Ok((listener, Service::new(self.restored, self.keys, publish, health)))
    }
}

/// Brings a configuration into effect on every core.
async fn publish(registry: Registry, next: Configuration) -> Result<(), PublishError> {
    next.load_balancers.values().try_for_each(refuse_unsupported)?;
    require_free(&registry, &next).await?;
    registry.apply(&next).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        PublishError::Refused(errors.join("; "))
    })?;
    for _ in 0..LOOKS {
        if registry.is_settled() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(PublishError::Failed("a data-plane thread does not adopt the change".to_owned()))
}

/// What the data plane cannot do yet must not be accepted and then not be done.
fn refuse_unsupported(balancer: &LoadBalancer) -> Result<(), PublishError> {
    let attached = balancer.listeners.iter().flat_map(|listener| &listener.policies);
    let mut attached = attached.chain(balancer.backend_policies.values().flatten());
    let is_absent = |name: &PolicyName| match balancer.policy(name).as_deref() {
        Some(policy) => policy.policy_type().is_stickiness() || policy.policy_type() == PolicyType::ProxyProtocol,
        None => false,
    };
    let is_guarded = |listener: &Listener| !listener.allow.is_empty() || !listener.deny.is_empty();
    let unsupported = match balancer {
        _ if balancer.listeners.iter().any(is_guarded) => "security groups",
        _ if balancer.attributes.draining.enabled => "limits to connection draining",
        _ if attached.any(is_absent) => "stickiness and PROXY protocol policies",
        _ if balancer.attributes.access_log.is_some() => "access logs",
        _ => return Ok(()),
    };
    Err(PublishError::Refused(format!("{unsupported} are not supported yet")))
}

/// A listener that does not accept when the call has returned would be a lie.
async fn require_free(registry: &Registry, next: &Configuration) -> Result<(), PublishError> {
    let snapshot = registry.snapshot();
    let listeners = next.load_balancers.values().flat_map(|balancer| &balancer.listeners);
    for address in listeners.map(|listener| listener.socket_address()) {
        if snapshot.listener(address).is_none() {
            free(address).await.map_err(|error| PublishError::Refused(format!("listener {address}: {error}")))?;
        }
    }
    Ok(())
}

/// Waits for a listener of our own that was deleted just now: whoever changes one deletes it and makes it again.
async fn free(address: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + CLOSING;
    loop {
        match runtime::probe_address(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            probed => return probed,
        }
    }
}

fn health(registry: &Registry, name: &LoadBalancerName) -> Vec<(InstanceId, crate::health::Report)> {
    let snapshot = registry.snapshot();
    let of_this = snapshot.instances().filter(|(balancer, _)| balancer.rules.name == *name);
    of_this.map(|(_, entry)| (entry.instance.id.clone(), entry.report())).collect()
}
