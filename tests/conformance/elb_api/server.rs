//! A server of the API in this process, with a store in a directory of its own; what it publishes is kept, not served.

use elbow::control::api::signature::KeyRing;
use elbow::control::api::store::{EmbeddedStore, Store};
use elbow::control::api::{ApiListener, Publish, PublishError, Restored, Service, Settings, serve};
use elbow::health::{Condition, Report};
use elbow::model::*;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// An instance that never gets well.
const ILL: &str = "10.0.0.66";

/// A port that something else listens on.
const TAKEN: u16 = 6666;

/// When probes of a new instance have succeeded.
const PROBED: Duration = Duration::from_millis(300);

/// What is left when a scenario is over.
pub struct Outcome {
    /// What was published last.
    pub in_effect: Configuration,
    /// How often something was, the first configuration included.
    pub publications: usize,
    /// The names in the store.
    pub stored: Vec<String>,
}

/// Runs a scenario against a new server.
///
/// # Panics
/// When the scenario fails; with what it says.
pub fn drive(scenario: &str) -> Outcome {
    let server = Running::start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("tests/e2e/api/scenarios").join(format!("{scenario}.py"));
    let mut command = Command::new(root.join(".venv/bin/python"));
    command.arg(program).env_clear();
    command.env("ENDPOINT", format!("http://{}", server.address));
    command.env("SECRET", SECRET);
    command.env("WELL", "10.0.0.1:8080").env("ILL", ILL);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // Nothing of the machine's own, and no look for credentials on the network.
    command.env("HOME", server.directory.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.output().unwrap_or_else(|error| panic!("python: {error}; ./scripts/test installs it"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{scenario}: {}\n{said}\n{wrong}", output.status);
    server.stop()
}

struct Running {
    directory: TempDir,
    address: SocketAddr,
    published: Arc<Mutex<Published>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct Published {
    last: Configuration,
    count: usize,
    /// When instances were seen first.
    seen: HashMap<InstanceId, Instant>,
}

impl Published {
    fn take(&mut self, configuration: Configuration) -> Result<(), PublishError> {
        let mut listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
        if listeners.any(|listener| listener.port.get() == TAKEN) {
            return Err(PublishError::Refused(format!("port {TAKEN}: address already in use")));
        }
        self.last = configuration;
        self.count += 1;
        Ok(())
    }

    fn health(&mut self, name: &LoadBalancerName) -> Vec<(InstanceId, Report)> {
        let Some(balancer) = self.last.load_balancers.get(name) else { return Vec::new() };
        let report = |instance: &Instance| {
            let seen = *self.seen.entry(instance.id.clone()).or_insert_with(Instant::now);
            let condition = match instance.id.as_str() {
                ILL => Condition::Failed,
                _ if seen.elapsed() < PROBED => Condition::Registering,
                _ => Condition::InService,
            };
            (instance.id.clone(), condition.into())
        };
        balancer.instances.iter().map(report).collect()
    }
}

impl Running {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("buckets/my-logs")).expect("a bucket");
        let secret_file = directory.path().join("secret");
        fs::write(&secret_file, SECRET).expect("written");
        fs::set_permissions(&secret_file, Permissions::from_mode(0o600)).expect("set");
        let (bound, when_bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let state = directory.path().to_owned();
        let thread = std::thread::spawn(move || {
            tokio_uring::start(async move {
                let listener = ApiListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).await.expect("bound");
                let (service, published) = service(&state, secret_file);
                bound.send((listener.local_address().expect("bound"), published)).expect("awaited");
                serve(listener, service, async { drop(stopped.await) }).await;
            });
        });
        let (address, published) = when_bound.recv().expect("started");
        Self { directory, address, published, stop, thread }
    }

    fn stop(self) -> Outcome {
        self.stop.send(()).expect("running");
        self.thread.join().expect("ended well");
        let store = EmbeddedStore::open(self.directory.path()).expect("closed by the server");
        let stored = store.read().expect("readable").records.into_iter().map(|(name, _)| name).collect();
        let published = self.published.lock().expect("not poisoned");
        Outcome { in_effect: published.last.clone(), publications: published.count, stored }
    }
}

fn service(state: &Path, secret_file: PathBuf) -> (std::rc::Rc<Service>, Arc<Mutex<Published>>) {
    let key = |id: &str, access| AccessKey {
        id: AccessKeyId::new(id).expect("an id"),
        secret_file: secret_file.clone(),
        access,
    };
    let keys = KeyRing::load(&[key("LOCALKEY", Access::Full), key("READKEY", Access::ReadOnly)]).expect("keys");
    let mut settings = Settings::new(&ApiSettings::new(Vec::new()), &Node::default());
    settings.bucket_directory = state.join("buckets");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(state).expect("a store"));
    let restored = Restored::read(settings, store, file()).expect("nothing is stored yet");
    let first = restored.configuration().clone();
    let published = Arc::new(Mutex::new(Published { last: first, count: 1, seen: HashMap::new() }));
    let (publishing, probing) = (Arc::clone(&published), Arc::clone(&published));
    let publish: Box<Publish> = Box::new(move |configuration| {
        let published = Arc::clone(&publishing);
        Box::pin(async move {
            tokio::task::yield_now().await;
            published.lock().expect("not poisoned").take(configuration)
        })
    });
    let health = Box::new(move |name: &LoadBalancerName| probing.lock().expect("not poisoned").health(name));
    (Service::new(restored, keys, publish, health), published)
}

/// What the configuration file says: one load balancer, and an inventory.
fn file() -> Configuration {
    let zone = |name: &str| Zone::new(name).expect("a zone");
    let resource = |name: &str| ResourceName::new(name).expect("a name");
    let instance = |id: &str, address: &str, name: &str| {
        let known = InventoryInstance { address: address.parse().expect("an address"), zone: zone(name) };
        (InstanceId::new(id).expect("an id"), known)
    };
    let certificate = |name: &str| {
        let (chain, key) = (format!("/etc/elbow/{name}.crt").into(), format!("/etc/elbow/{name}.key").into());
        (resource(name), CertificateFiles { chain, key })
    };
    let inventory = Inventory {
        instances: [
            instance("web-9", "10.0.0.9", "default"),
            instance("i-0aa11bb22cc33dd44", "10.0.0.4", "default"),
            instance("far", "10.0.0.8", "rack-b"),
        ]
        .into(),
        certificates: [certificate("shop"), certificate("other")].into(),
        subnets: [("subnet-a", "default"), ("subnet-a2", "default"), ("subnet-b", "rack-b")]
            .map(|(id, name)| (resource(id), zone(name)))
            .into(),
        security_groups: [(resource("sg-office"), vec!["10.0.0.0/8".parse().expect("a network")])].into(),
    };
    let protocols = ProtocolPair::new(Protocol::Tcp, Protocol::Tcp).expect("one layer");
    let parts = LoadBalancerParts {
        name: LoadBalancerName::new("filed").expect("a name"),
        zones: [Zone::default()].into(),
        listeners: vec![Listener::plain(protocols, Port::of(9000), Port::of(9001))],
        instances: Vec::new(),
        health_check: HealthCheck::of_port(Port::of(9001)),
        attributes: Attributes::default(),
        limits: TrafficLimits::default(),
        policies: BTreeMap::new(),
        backend_policies: BTreeMap::new(),
    };
    let filed = LoadBalancer::new(parts).expect("parts that agree");
    let load_balancers = [(filed.name.clone(), filed)].into();
    let (node, admin) = (Node::default(), AdminAddress::DEFAULT);
    Configuration::new(ConfigurationParts { node, admin, api: None, inventory, load_balancers }).expect("no conflicts")
}
