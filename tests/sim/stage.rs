//! What everything in the simulated world stands on: virtual time, seeded chance, events to come, the trace, and what
//! was found wrong. It knows nothing of sockets or operations beyond the events it keeps for them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use elbow::base::Instant;
use elbow::base::random::Random;

use crate::faults::{Faults, Rate};
use crate::network::NetworkEvent;
use crate::ring::RingEvent;
use crate::trace::{Note, Trace};

/// Something that will happen at a known time.
#[derive(Debug)]
pub enum Event {
    /// To a connection or a connect.
    Network(NetworkEvent),
    /// To an operation in flight.
    Ring(RingEvent),
}

/// A fault that was injected and that somebody may have felt as an error.
#[derive(Clone, Debug)]
pub struct Injury {
    /// When it began.
    pub at: Instant,
    /// The connecting side's address.
    pub client: SocketAddr,
    /// The listening side's address.
    pub server: SocketAddr,
    /// What was done.
    pub harm: Harm,
}

/// The injected faults that can show through as an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Harm {
    /// An established connection was cut, with a reset at both ends.
    Severed,
    /// A connect was refused although somebody listens.
    Refused,
    /// A connect was never answered.
    Unanswered,
    /// A connection stopped carrying bytes in one direction, for a while or for good.
    Stalled,
    /// No descriptor was to be had.
    NoDescriptor,
}

/// Time, chance, events and findings of one run.
pub struct Stage {
    now: Instant,
    random: Random,
    faults: Faults,
    events: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    trace: Trace,
    findings: Vec<String>,
    injuries: Vec<Injury>,
}

impl Stage {
    /// An empty stage at a time that is not zero, as real clocks are.
    pub fn new(seed: u64, faults: Faults, verbose: bool) -> Stage {
        Stage {
            now: Instant::from_nanoseconds(1_000_000_000_000),
            random: Random::new(seed),
            faults,
            events: BinaryHeap::new(),
            planned: 0,
            trace: Trace::new(verbose),
            findings: Vec::new(),
            injuries: Vec::new(),
        }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Moves time forward.
    pub fn advance_to(&mut self, instant: Instant) {
        self.now = self.now.max(instant);
    }

    /// The run's chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Whether the fault that `rate` selects strikes now.
    pub fn strikes(&mut self, rate: fn(&Faults) -> Rate) -> bool {
        rate(&self.faults).strikes(&mut self.random)
    }

    /// The run's faults.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A duration up to `most`, small ones more often.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let bound = self.random.below(most.as_nanos() as u64 + 1);
        Duration::from_nanos(self.random.below(bound + 1))
    }

    /// Plans `event` after `delay`. Events of one instant happen in the order they were planned.
    pub fn plan(&mut self, delay: Duration, event: Event) {
        self.plan_at(self.now + delay, event);
    }

    /// Plans `event` for an instant; one that has passed means now.
    pub fn plan_at(&mut self, at: Instant, event: Event) {
        self.planned += 1;
        self.events.push(Reverse(Planned { at: at.max(self.now), sequence: self.planned, event }));
    }

    /// The next event that is due.
    pub fn due(&mut self) -> Option<Event> {
        let due = self.next_event()? <= self.now;
        due.then(|| self.events.pop()).flatten().map(|Reverse(planned)| planned.event)
    }

    /// When the next event happens.
    pub fn next_event(&self) -> Option<Instant> {
        self.events.peek().map(|Reverse(planned)| planned.at)
    }

    /// Writes one line of the run's history.
    pub fn note(&mut self, note: Note<'_>) {
        self.trace.note(self.now, note);
    }

    /// Records that something is wrong: with the code under test, never with the world.
    pub fn find(&mut self, finding: String) {
        self.trace.note(self.now, Note::Finding(&finding));
        self.findings.push(finding);
    }

    /// What was found wrong so far.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Records harm that somebody may feel.
    pub fn injure(&mut self, harm: Harm, client: SocketAddr, server: SocketAddr) {
        self.trace.note(self.now, Note::Harm(harm, client, server));
        self.injuries.push(Injury { at: self.now, client, server, harm });
    }

    /// All harm done so far, in order.
    pub fn injuries(&self) -> &[Injury] {
        &self.injuries
    }

    /// The history.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

struct Planned {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
