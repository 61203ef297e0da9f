//! Reload sequences: instances come, go, fail, drain and are ejected, listeners and limits change, in any order and with
//! requests in flight.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use elbow::base::Instant;
use elbow::control::config;
use elbow::health::Condition;
use elbow::model::{Configuration, EjectionCause};
use elbow::registry::{Assignment, Live, LiveId, Registry, Tried};

use crate::corpus;

/// Instances that there may be.
const INSTANCES: u8 = 4;

/// Steps of one run: each is two bytes, what is done and to whom.
const STEPS_MAX: usize = 200;

/// Any bytes as what an operator, probes and requests do.
pub fn fuzz_reloads(input: &[u8]) {
    let mut node = Node::start();
    for step in input.chunks_exact(2).take(STEPS_MAX) {
        node.take(step[0], step[1]);
        node.check();
    }
    node.finish();
}

/// A registry, and all that is known of it from outside.
struct Node {
    registry: Registry,
    now: Instant,
    underway: Vec<Assignment>,
    /// What was registered before, by name.
    known: HashMap<String, Arc<Live>>,
}

impl Node {
    fn start() -> Node {
        let registry = Registry::new(&configuration(0b0011, 0), 2).expect("addresses only");
        let mut node = Node { registry, now: Instant::ZERO, underway: Vec::new(), known: HashMap::new() };
        node.known = node.registered();
        node
    }

    fn registered(&self) -> HashMap<String, Arc<Live>> {
        let snapshot = self.registry.snapshot();
        snapshot.instances().map(|(_, entry)| (entry.instance.id.to_string(), entry.live.clone())).collect()
    }

    fn take(&mut self, what: u8, whom: u8) {
        let live = self.known.get(&format!("i-{}", whom % INSTANCES)).cloned();
        let set = |condition| live.iter().for_each(|live| live.set_condition(condition));
        match what % 10 {
            0 => self.reload(whom),
            1 => set(Condition::InService),
            2 => set(Condition::Failed),
            3 => live.iter().for_each(|live| live.set_draining(whom >= 128)),
            4 => {
                let snapshot = self.registry.snapshot();
                let entry = &snapshot.listeners()[0];
                if let Some(live) = live {
                    (0..=whom / 64).for_each(|_| entry.note_failure(&live, EjectionCause::ServerErrors));
                }
            }
            5 | 6 => {
                let snapshot = self.registry.snapshot();
                let chosen = snapshot.listeners()[0].targets.choose(usize::from(whom % 2), &Tried::none());
                self.underway.extend(chosen);
            }
            7 if !self.underway.is_empty() => {
                self.underway.swap_remove(usize::from(whom) % self.underway.len());
            }
            _ => self.look(Duration::from_millis(u64::from(whom) * 20)),
        }
    }

    fn reload(&mut self, whom: u8) {
        self.registry.apply(&configuration(whom % (1 << INSTANCES), whom >> 4)).expect("addresses only");
        let registered = self.registered();
        for (name, live) in &registered {
            let before = self.known.get(name);
            assert!(before.is_none_or(|before| Arc::ptr_eq(before, live)), "{name} lost its record");
        }
        self.known = registered;
    }

    fn look(&mut self, later: Duration) {
        self.now = self.now + later;
        self.registry.cut_overdue(self.now);
        self.registry.review(self.now);
        self.registry.serve_queues();
    }

    fn check(&self) {
        let mut in_flight: HashMap<LiveId, u32> = HashMap::new();
        for assignment in &self.underway {
            *in_flight.entry(assignment.lease.record().id()).or_default() += 1;
        }
        let snapshot = self.registry.snapshot();
        for (name, live) in &self.known {
            let counted = in_flight.get(&live.id()).copied().unwrap_or(0);
            assert_eq!(live.in_flight(), counted, "{name} counts wrongly");
            let is_wanted = live.condition() == Condition::InService && !live.is_draining();
            assert_eq!(live.takes_work(), is_wanted && live.ejected_for().is_none(), "{name}");
        }
        let ejected = self.known.values().filter(|live| live.ejected_for().is_some()).count();
        assert_eq!(ejected as u32, snapshot.load_balancers()[0].rules.ejected.now(), "places of the ejected");
    }

    /// When all has ended nothing is left over.
    fn finish(mut self) {
        self.underway.clear();
        // The first look sees what has happened, the second that its time is up.
        (0..2).for_each(|_| self.look(Duration::from_secs(3_600)));
        self.check();
        assert!(self.registry.deregistered().is_empty());
        let ejected = self.known.values().filter(|live| live.ejected_for().is_some()).count();
        assert_eq!(ejected, 0, "for ever");
    }
}

/// A configuration with the instances whose bits are set, and settings by the bits of `how`.
fn configuration(who: u8, how: u8) -> Configuration {
    let instances: Vec<String> = (0..INSTANCES)
        .filter(|number| who >> number & 1 == 1)
        .map(|number| format!("{{ id = \"i-{number}\", address = \"10.0.0.{number}:80\" }}"))
        .collect();
    let on = |bit: u8, text: &'static str| if how >> bit & 1 == 1 { text } else { "" };
    let text = format!(
        "[load_balancers.web]\nlisteners = [\n{{ protocol = \"HTTP\", port = 80, instance_port = 80 }},\n{}]\n\
         instances = [{}]\n[load_balancers.web.attributes]\n{}\n{}\n[load_balancers.web.limits]\n{}\n",
        on(0, "{ protocol = \"HTTP\", port = 81, instance_port = 80 },\n"),
        instances.join(", "),
        on(1, "outlier_detection = { consecutive_5xx = 2, base_ejection_time = 1, max_ejection_percent = 50 }"),
        on(2, "slow_start = 2"),
        on(3, "instance_connections = 3"),
    );
    config::parse(&text, Path::new("elbow.toml")).expect("a good file").configuration
}

#[test]
fn reloads() {
    corpus::run_slow("reloads", fuzz_reloads);
}
