//! The node under test: the program's own registry and workers on simulated cores. The only file that knows how the
//! proxy is put together.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use elbow::base::Instant;
use elbow::control::config;
use elbow::health::Condition;
use elbow::model::Configuration;
use elbow::proxy::admission::Admission;
use elbow::proxy::worker::{self, WorkerSettings};
use elbow::registry::{Lifecycle, Registry};
use elbow::runtime::Io;

/// A node with one worker per core.
pub struct Node {
    registry: Registry,
    admission: Arc<Admission>,
    opened: Rc<Cell<usize>>,
    running: Rc<Cell<usize>>,
}

/// How a node is started.
pub struct Start<'a> {
    /// The configuration file's text.
    pub file: &'a str,
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
        let registry = Registry::new(&configuration(start.file), start.cores.len()).expect("addresses only");
        let admission = Admission::new(start.limit);
        let running = Rc::new(Cell::new(start.cores.len()));
        let node = Node { registry, admission, opened: Rc::default(), running };
        node.set_in_service(|_| true);
        for (number, io) in start.cores.iter().enumerate() {
            let settings = WorkerSettings {
                number,
                may_splice: start.may_splice,
                reader: node.registry.reader(),
                admission: node.admission.clone(),
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

    /// What probes find: the instances that `is_good` names are in service from now on, the others are not.
    pub fn set_in_service(&self, is_good: impl Fn(usize) -> bool) {
        for (index, (_, entry)) in self.registry.snapshot().instances().enumerate() {
            let condition = if is_good(index) { Condition::InService } else { Condition::Failed };
            entry.live.set_condition(condition);
        }
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
        let snapshot = self.registry.snapshot();
        for (_, entry) in snapshot.instances().filter(|(_, entry)| entry.live.in_flight() > 0) {
            let (id, count) = (&entry.instance.id, entry.live.in_flight());
            left.push(format!("{count} requests are counted as in flight on {id}"));
        }
        left
    }
}

fn configuration(file: &str) -> Configuration {
    match config::parse(file, Path::new("sim.toml")) {
        Ok(loaded) => loaded.configuration,
        Err(report) => panic!("the simulation's configuration: {report:?}"),
    }
}
