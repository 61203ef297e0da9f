//! The node under test: the program's own registry and workers on simulated cores. The only file that knows how the
//! proxy is put together.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use elbow::balance::StickyKey;
use elbow::base::Instant;
use elbow::control::config;
use elbow::health::Condition;
use elbow::model::{Configuration, Port};
use elbow::proxy::admission::Admission;
use elbow::proxy::worker::{self, WorkerSettings};
use elbow::registry::{Lifecycle, Live, Registry};
use elbow::runtime::Io;
use elbow::telemetry::{FlightRecorder, prometheus_text};

use crate::line::{CHAIN, KEY};

/// A node with one worker per core.
pub struct Node {
    registry: Registry,
    admission: Arc<Admission>,
    /// The record of every instance that was ever registered.
    lives: RefCell<Vec<Arc<Live>>>,
    opened: Rc<Cell<usize>>,
    running: Rc<Cell<usize>>,
}

/// One load balancer with one listener, as the configuration file has it.
#[derive(Clone, Debug)]
pub struct Balancer {
    pub name: &'static str,
    /// What clients speak: `HTTP`, `HTTPS`, `TCP` or `SSL`.
    pub protocol: &'static str,
    pub port: u16,
    /// What instances speak.
    pub instance_protocol: &'static str,
    /// Instances are asked in HTTP/2.
    pub http2: bool,
    pub instances: Vec<SocketAddr>,
    /// What stands in its `limits`.
    pub limits: String,
    /// Clients come back to the instance that answered them first.
    pub sticky: bool,
    /// Seconds that what is in flight on an instance that leaves may take; 0 turns draining off.
    pub draining: u64,
}

/// How a node is started.
pub struct Start<'a> {
    /// Where it listens.
    pub address: IpAddr,
    /// What it balances.
    pub balancers: &'a [Balancer],
    /// One executor per core.
    pub cores: &'a [Io],
    /// Client connections at once.
    pub limit: usize,
    /// Whether bulk moves by splice.
    pub may_splice: bool,
}

impl Node {
    /// Starts a node; every instance is in service.
    pub fn start(start: &Start<'_>) -> Node {
        let configuration = configuration(start.address, start.balancers);
        let key = StickyKey::new(&[7; 32]).expect("as long as a key is");
        let registry = Registry::with_keys(&configuration, start.cores.len(), Some(key), &[]).expect("addresses only");
        let admission = Admission::new(start.limit);
        let recorder = Arc::new(FlightRecorder::new(0, start.cores.len()));
        let running = Rc::new(Cell::new(start.cores.len()));
        let node = Node { registry, admission, lives: RefCell::default(), opened: Rc::default(), running };
        node.remember_lives();
        node.set_in_service(|_| true);
        for (number, io) in start.cores.iter().enumerate() {
            let settings = WorkerSettings {
                number,
                may_splice: start.may_splice,
                reader: node.registry.reader(),
                admission: node.admission.clone(),
                recorder: recorder.clone(),
                sockets: Arc::default(),
            };
            let (opened, running) = (node.opened.clone(), node.running.clone());
            let work = worker::run(io.clone(), settings, move |result: io::Result<()>| {
                result.expect("it listens");
                opened.set(opened.get() + 1);
            });
            io.spawn(async move {
                work.await;
                running.set(running.get() - 1);
            });
        }
        node.registry.advance(Lifecycle::Serving);
        node
    }

    /// Whether every core accepts.
    pub fn is_open(&self) -> bool {
        self.opened.get() == self.running.get()
    }

    /// What probes find: the instances at the addresses that `is_good` names are in service from now on, the others are
    /// not.
    pub fn set_in_service(&self, is_good: impl Fn(SocketAddr) -> bool) {
        for (_, entry) in self.registry.snapshot().instances() {
            let good = is_good(address(&entry.live));
            entry.live.set_condition(if good { Condition::InService } else { Condition::Failed });
        }
    }

    /// Publishes another configuration; instances that are new in it are out of service.
    pub fn publish(&self, address: IpAddr, balancers: &[Balancer]) {
        self.registry.apply(&configuration(address, balancers)).expect("addresses only");
        self.remember_lives();
    }

    /// What the control thread does every now and then: cuts what has not ended in its time on instances that left, and
    /// serves those who wait for one that is back.
    pub fn keep_order(&self, now: Instant) {
        self.registry.cut_overdue(now);
        self.registry.serve_queues();
    }

    /// The most requests that any instance has at this moment.
    pub fn most_in_flight(&self) -> u64 {
        self.lives.borrow().iter().map(|live| u64::from(live.in_flight())).max().unwrap_or_default()
    }

    /// Whether every core goes by what was published last.
    pub fn is_settled(&self) -> bool {
        self.registry.is_settled()
    }

    /// Lets what is in flight finish, until `deadline` at the latest, and takes no more.
    pub fn drain(&self, deadline: Instant) {
        self.registry.advance(Lifecycle::Draining { deadline });
    }

    /// Whether every worker has ended.
    pub fn has_ended(&self) -> bool {
        self.running.get() == 0
    }

    /// What should be zero when nothing is in flight, and is not.
    pub fn left_over(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.admission.open() > 0 {
            left.push(format!("{} client connections are counted as open", self.admission.open()));
        }
        for live in self.lives.borrow().iter().filter(|live| live.in_flight() > 0) {
            left.push(format!("{} requests are counted as in flight on {}", live.in_flight(), live.instance()));
        }
        let metrics = self.metrics();
        let active = metrics.lines().filter(|line| line.starts_with("elbow_connections_active{"));
        left.extend(active.filter(|line| !line.ends_with(" 0")).map(str::to_owned));
        left
    }

    /// What all series of one metric add up to.
    pub fn sum_of(&self, metric: &str) -> u64 {
        let metrics = self.metrics();
        let series = metrics.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
        series.filter_map(|series| series.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }

    /// How often it had which reason to fail something, as the metrics have it.
    pub fn errors(&self) -> Vec<String> {
        let metrics = self.metrics();
        let errors = metrics.lines().filter(|line| line.starts_with("elbow_errors_total{") && !line.ends_with(" 0"));
        errors.map(str::to_owned).collect()
    }

    fn metrics(&self) -> String {
        prometheus_text(&self.registry.snapshot().reading())
    }

    fn remember_lives(&self) {
        let mut lives = self.lives.borrow_mut();
        for (_, entry) in self.registry.snapshot().instances() {
            if !lives.iter().any(|known| Arc::ptr_eq(known, &entry.live)) {
                lives.push(entry.live.clone());
            }
        }
    }
}

/// Where an instance is reached; all of them have a port of their own.
fn address(live: &Live) -> SocketAddr {
    live.address(Port::new(1).expect("a port"))
}

fn configuration(address: IpAddr, balancers: &[Balancer]) -> Configuration {
    let mut file = String::new();
    for Balancer { name, protocol, port, instance_protocol, http2, instances, limits, sticky, draining } in balancers {
        let mut listener = format!(
            "protocol = \"{protocol}\", address = \"{address}\", port = {port}, instance_port = 1, \
             instance_protocol = \"{instance_protocol}\""
        );
        if matches!(*protocol, "HTTPS" | "SSL") {
            write!(listener, ", certificates = [{{ chain = \"{CHAIN}\", key = \"{KEY}\" }}]").expect("memory");
        }
        if *http2 {
            listener.push_str(", http2 = true");
        }
        if *sticky {
            listener.push_str(", policies = [\"sticky\"]");
        }
        let instances: Vec<String> = instances.iter().map(|address| format!("\"{address}\"")).collect();
        let instances = instances.join(", ");
        let draining = format!("{{ enabled = {}, timeout = {} }}", *draining > 0, (*draining).max(1));
        write!(
            file,
            "[load_balancers.{name}]\nlisteners = [{{ {listener} }}]\ninstances = [{instances}]\n\
             limits = {{ {limits} }}\nattributes = {{ draining = {draining} }}\n"
        )
        .expect("memory");
        if *sticky {
            let policy = "type = \"LBCookieStickinessPolicyType\"";
            write!(file, "[load_balancers.{name}.policies.sticky]\n{policy}\n").expect("memory");
        }
    }
    match config::parse(&file, Path::new("sim.toml")) {
        Ok(loaded) => loaded.configuration,
        Err(report) => panic!("the simulation's configuration: {report:?}"),
    }
}
