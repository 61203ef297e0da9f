//! The ELB API beside the rest of the node: what it starts with, how its changes take effect, what it tells of health.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::control::admin::command::{Done, Refused};
use crate::control::api::signature::KeyRing;
use crate::control::api::store::EmbeddedStore;
use crate::control::api::{ApiListener, Publish, Restored, Service, Settings, server_tls};
use crate::health::Report;
use crate::model::{Configuration, InstanceId, LoadBalancerName};
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
        let listener = listener.map_err(|error| RunError::Start(error.to_string()))?;
        let (publisher, telling) = (publisher.clone(), registry.clone());
        let publish: Box<Publish> = Box::new(move |next| {
            let publisher = publisher.clone();
            Box::pin(async move { publisher.publish(next).await })
        });
        let health = Box::new(move |name: &LoadBalancerName| health(&telling, name));
        Ok((listener, Service::new(self.restored, self.keys, publish, health)))
    }
}

/// Lets the API change a load balancer of the configuration file from now on.
pub(super) async fn import(service: Option<&Service>, name: &str) -> Done {
    let service = service.ok_or_else(without_api)?;
    let refuse = |cause: String| Refused::wrong(format!("{name}: {cause}\n"));
    let known = LoadBalancerName::new(name).map_err(|invalid| refuse(invalid.to_string()))?;
    service.import(&known).await.map_err(|error| refuse(error.message))?;
    Ok(format!(
        "{name} is the API's now. Remove [load_balancers.{name}] from the file: what it says counts no longer, and after \
         a deletion by a call it would come back.\n"
    ))
}

/// The load balancers of the API as a configuration file.
pub(super) fn export(service: Option<&Service>) -> Done {
    service.map(Service::export).ok_or_else(without_api)
}

fn without_api() -> Refused {
    Refused::wrong("this balancer has no [api]\n")
}

fn health(registry: &Registry, name: &LoadBalancerName) -> Vec<(InstanceId, Report)> {
    let snapshot = registry.snapshot();
    let registered = snapshot.instances().filter(|(balancer, _)| balancer.rules.name == *name);
    let registered = registered.map(|(_, entry)| (entry.instance.id.clone(), entry.report()));
    let leaving = registry.deregistered().into_iter().filter(|gone| gone.load_balancer == *name);
    let leaving = leaving.map(|gone| (gone.entry.instance.id, Report::DRAINING));
    // Whoever has been registered again is what it is now.
    leaving.chain(registered).collect()
}
