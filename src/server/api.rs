//! The ELB API beside the rest of the node: what it starts with, how its changes take effect, what it tells of health.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::control::api::signature::KeyRing;
use crate::control::api::store::EmbeddedStore;
use crate::control::api::{ApiListener, Publish, PublishError, Restored, Service, Settings, server_tls};
use crate::model::{Configuration, InstanceId, LoadBalancer, LoadBalancerName, PolicyName};
use crate::registry::Registry;
use crate::server::RunError;
use crate::server::publisher::Publisher;
use crate::tls::ServerTls;

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
    pub(super) async fn start(
        self,
        registry: &Registry,
        publisher: &Publisher,
    ) -> Result<(ApiListener, Rc<Service>), RunError> {
        let listener = ApiListener::bind(self.address, self.tls).await;
        let listener = listener.map_err(|error| RunError::Start(format!("API address {}: {error}", self.address)))?;
        let (publisher, telling) = (publisher.clone(), registry.clone());
        let publish: Box<Publish> = Box::new(move |next| Box::pin(publish(publisher.clone(), next)));
        let health = Box::new(move |name: &LoadBalancerName| health(&telling, name));
        Ok((listener, Service::new(self.restored, self.keys, publish, health)))
    }
}

async fn publish(publisher: Publisher, next: Configuration) -> Result<(), PublishError> {
    next.load_balancers.values().try_for_each(refuse_unsupported)?;
    publisher.publish(next).await
}

/// What the data plane cannot do yet must not be accepted and then not be done.
fn refuse_unsupported(balancer: &LoadBalancer) -> Result<(), PublishError> {
    let mut attached = balancer.listeners.iter().flat_map(|listener| &listener.policies);
    let is_stickiness =
        |name: &PolicyName| balancer.policy(name).is_some_and(|policy| policy.policy_type().is_stickiness());
    let unsupported = match balancer {
        _ if balancer.attributes.draining.enabled => "limits to connection draining",
        _ if attached.any(is_stickiness) => "stickiness policies",
        _ if balancer.attributes.access_log.is_some() => "access logs",
        _ => return Ok(()),
    };
    Err(PublishError::Refused(format!("{unsupported} are not supported yet")))
}

fn health(registry: &Registry, name: &LoadBalancerName) -> Vec<(InstanceId, crate::health::Report)> {
    let snapshot = registry.snapshot();
    let of_this = snapshot.instances().filter(|(balancer, _)| balancer.rules.name == *name);
    of_this.map(|(_, entry)| (entry.instance.id.clone(), entry.report())).collect()
}
