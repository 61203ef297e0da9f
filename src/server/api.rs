//! The ELB API beside the rest of the node: what it starts with, how its changes take effect, what it tells of health.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::control::admin::command::{Done, Refused};
use crate::control::api::signature::KeyRing;
use crate::control::api::store::EmbeddedStore;
use crate::control::api::{ApiListener, Publish, Restored, Service, Settings, serve, server_tls};
use crate::health::Report;
use crate::model::{Configuration, InstanceId, LoadBalancerName};
use crate::registry::Registry;
use crate::server::RunError;
use crate::server::publisher::Publisher;
use crate::tls::ServerTls;

/// The API before the control thread runs.
pub(super) struct Prepared {
    restored: Restored,
    store: Arc<EmbeddedStore>,
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
    let restored = Restored::read(mapping, store.clone(), file);
    let restored = restored.map_err(|error| RunError::Start(format!("[api] state: {error}")))?;
    let configuration = restored.configuration().clone();
    Ok((configuration, Some(Prepared { restored, store, keys, address: settings.address, tls })))
}

impl Prepared {
    /// Where it is to be served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, on a socket that was handed over or a new one, and makes the service. Calls wait until
    /// [`Answering::resume`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) async fn start(
        self,
        registry: &Registry,
        publisher: &Publisher,
        handed: Option<OwnedFd>,
    ) -> Result<Answering, RunError> {
        let Prepared { restored, store, keys, address, tls } = self;
        let listener = match handed {
            Some(socket) => ApiListener::adopt(socket, tls.clone()),
            None => ApiListener::bind(address, tls.clone()).await,
        };
        let socket = listener.and_then(|listener| listener.duplicate());
        let socket = socket.map_err(|error| RunError::Start(error.to_string()))?;
        let (publisher, telling) = (publisher.clone(), registry.clone());
        let publish: Box<Publish> = Box::new(move |next| {
            let publisher = publisher.clone();
            Box::pin(async move { publisher.publish(next).await })
        });
        let health = Box::new(move |name: &LoadBalancerName| health(&telling, name));
        let service = Service::new(restored, keys, publish, health);
        Ok(Answering { service, store, socket, tls, running: RefCell::default() })
    }
}

/// The API as it answers calls, or just does not because another process may take over.
pub(super) struct Answering {
    service: Rc<Service>,
    store: Arc<EmbeddedStore>,
    socket: OwnedFd,
    tls: Option<ServerTls>,
    running: RefCell<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Answering {
    /// The service.
    pub(super) fn service(&self) -> &Rc<Service> {
        &self.service
    }

    /// A descriptor of the socket for another process.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Answers calls from now on, also those that have waited.
    ///
    /// # Errors
    /// Another process has the store, or there is no descriptor left.
    pub(super) async fn resume(&self) -> io::Result<()> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.reopen()).await??;
        let listener = ApiListener::adopt(self.socket.try_clone()?, self.tls.clone())?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::task::spawn_local(serve(listener, self.service.clone(), async move {
            // Ends when the other half is dropped, too.
            let _ = stopped.await;
        }));
        *self.running.borrow_mut() = Some(Running { stop, serving });
        Ok(())
    }

    /// Lets the calls under way end, for five seconds at most, and closes the store. Further calls wait in the queue of
    /// the socket.
    pub(super) async fn pause(&self) {
        let running = self.running.borrow_mut().take();
        if let Some(Running { stop, serving }) = running {
            drop(stop);
            // A task that panicked has no call left.
            let _ = serving.await;
        }
        let store = self.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
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
