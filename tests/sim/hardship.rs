//! What happened in a run that traffic may suffer from without anybody being at fault: injected harm, back ends that
//! died, instances taken out of service, connections that back ends closed, the drain.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use elbow::base::Instant;

use crate::stage::{Harm, Injury};
use crate::trace::Note;
use crate::world::Shared;

/// What was under way when something happened, or set out shortly after, may have felt it.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How long a core may give work to an instance that left, and how long that may take where draining is off: as
/// `registry` has it.
const HEARSAY: Duration = Duration::from_secs(1);
const ABRUPT: Duration = Duration::from_millis(500);

/// Everything of the kind in one run.
pub struct Hardship {
    world: Shared,
    back_ends: RefCell<Vec<SocketAddr>>,
    /// When a back end closed a connection without a word.
    closings: RefCell<Vec<Instant>>,
    /// When nobody was there to serve.
    outages: RefCell<Periods>,
    /// When so many back ends were dead that a request may have met nothing else.
    epidemics: RefCell<Periods>,
    /// When a back end died.
    deaths: RefCell<Vec<Instant>>,
    /// When a back end ended a connection with many requests on it.
    losses: RefCell<Vec<Instant>>,
    /// When a back end said that it takes no more requests on a connection.
    partings: RefCell<Vec<Instant>>,
    /// When instances may have left: they were deregistered or are out of service.
    departures: RefCell<Vec<Instant>>,
    /// How long what was in flight on them may go on.
    patience: Duration,
    /// The back ends that must not get any new request, and since when.
    out: RefCell<BTreeMap<SocketAddr, Instant>>,
    drained: Cell<Option<Instant>>,
    /// The node had to take receive buffers back.
    scarcity: Cell<bool>,
}

/// From when, and until when.
#[derive(Default)]
struct Periods(Vec<(Instant, Option<Instant>)>);

/// From the first to the last moment of something, and on which client connection it was.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub client: Option<SocketAddr>,
    pub began: Instant,
    pub ended: Instant,
}

impl Hardship {
    /// What happens in `world` from now on.
    ///
    /// What is in flight on an instance that leaves is cut after `patience`.
    pub fn new(world: &Shared, patience: Duration) -> Hardship {
        Hardship {
            world: world.clone(),
            back_ends: RefCell::default(),
            closings: RefCell::default(),
            outages: RefCell::default(),
            epidemics: RefCell::default(),
            deaths: RefCell::default(),
            losses: RefCell::default(),
            partings: RefCell::default(),
            departures: RefCell::default(),
            patience,
            out: RefCell::default(),
            drained: Cell::default(),
            scarcity: Cell::default(),
        }
    }

    /// Names a back end's address.
    pub fn add_back_end(&self, address: SocketAddr) {
        self.back_ends.borrow_mut().push(address);
    }

    /// A back end closes a connection without a word.
    pub fn close_silently(&self) {
        self.closings.borrow_mut().push(self.now());
    }

    /// From now on nobody is there to serve, or somebody is.
    pub fn set_outage(&self, is_out: bool) {
        self.outages.borrow_mut().set(is_out, self.now());
    }

    /// From now on several back ends are dead, or at most one is.
    pub fn set_epidemic(&self, is_there: bool) {
        self.epidemics.borrow_mut().set(is_there, self.now());
    }

    /// A back end dies.
    pub fn lose(&self, back_end: SocketAddr) {
        self.say(&format!("{back_end} dies"));
        self.deaths.borrow_mut().push(self.now());
    }

    /// A back end ends a connection that many requests may be under way on.
    pub fn lose_connection(&self, back_end: SocketAddr) {
        self.say(&format!("{back_end} ends a connection"));
        self.losses.borrow_mut().push(self.now());
    }

    /// A back end says that it takes no more requests on a connection.
    pub fn part(&self) {
        self.partings.borrow_mut().push(self.now());
    }

    /// Instances leave.
    pub fn leave(&self) {
        self.departures.borrow_mut().push(self.now());
    }

    /// From now on a back end gets no new request.
    pub fn is_out(&self, back_end: SocketAddr) {
        self.say(&format!("{back_end} gets no new request"));
        let now = self.now();
        self.out.borrow_mut().entry(back_end).or_insert(now);
    }

    /// A back end may get requests again.
    pub fn is_back(&self, back_end: SocketAddr) {
        self.say(&format!("{back_end} may get requests"));
        self.out.borrow_mut().remove(&back_end);
    }

    /// Whether a back end must not get what set out at this instant.
    pub fn was_out(&self, back_end: SocketAddr, set_out: Instant) -> bool {
        self.out.borrow().get(&back_end).is_some_and(|since| *since < set_out)
    }

    /// The node begins to drain.
    pub fn drain(&self) {
        self.drained.set(Some(self.now()));
    }

    /// The node had to take receive buffers back from those who held them for long.
    pub fn set_scarcity(&self) {
        self.scarcity.set(true);
    }

    /// Whether something happened since then for which a session may have had to leave its instance.
    pub fn was_disturbed(&self, since: Instant) -> bool {
        let after = |at: &Instant| *at + HEARSAY >= since;
        self.departures.borrow().iter().any(after)
            || self.deaths.borrow().iter().any(after)
            || self.closings.borrow().iter().any(after)
            || self.losses.borrow().iter().any(after)
            || self.partings.borrow().iter().any(after)
            || self.outages.borrow().touch(Span { client: None, began: since, ended: self.now() })
            || self.any_injury(|injury| self.is_behind(injury))
    }

    /// Whether something happened that may fail what was done then, however safe it is to do twice.
    pub fn was_felt(&self, span: Span) -> bool {
        self.was_felt_by_client(span)
            || self.scarcity.get()
            || self.drained.get().is_some_and(|at| at <= span.began)
            || self.outages.borrow().touch(span)
            || self.epidemics.borrow().touch(span)
            || self.was_hit_often(span)
            || self.was_cut(span)
            || self.any_injury(|injury| self.is_behind(injury) && is_meanwhile(injury, span))
    }

    /// Whether it may have been in flight on an instance that left, for longer than it may.
    fn was_cut(&self, span: Span) -> bool {
        let overdue = |at: &Instant| span.began <= *at + HEARSAY && span.ended >= *at + self.patience.max(ABRUPT);
        self.departures.borrow().iter().any(overdue)
    }

    /// Whether a back end died that it may have been on its way to, while another was not in service yet or any more.
    pub fn was_stranded(&self, span: Span) -> bool {
        let meanwhile = |at: &Instant| *at <= span.ended && *at + HEARSAY >= span.began;
        self.was_bereaved(span) && self.departures.borrow().iter().any(meanwhile)
    }

    /// Whether a back end died that may have been at work on it, or have been asked just then.
    pub fn was_bereaved(&self, span: Span) -> bool {
        self.blows(span) > 0
    }

    /// Whether so many connections were lost that a request may have met nothing else.
    fn was_hit_often(&self, span: Span) -> bool {
        // Where there is one back end (for HTTP, and one for TCP), there is no other to go to.
        let spared = if self.back_ends.borrow().len() > 2 { 1 } else { 0 };
        !self.losses.borrow().is_empty() && self.blows(span) > spared
    }

    /// Back ends that died, and connections that they ended with many requests on them.
    fn blows(&self, span: Span) -> usize {
        let touches = |at: &&Instant| **at <= span.ended && **at + AFTERMATH >= span.began;
        let (deaths, losses) = (self.deaths.borrow(), self.losses.borrow());
        deaths.iter().chain(losses.iter()).filter(touches).count()
    }

    /// Whether something happened to the client's own connection.
    pub fn was_felt_by_client(&self, span: Span) -> bool {
        self.scarcity.get() || self.any_injury(|injury| Some(injury.client) == span.client)
    }

    /// Whether a back end closed a connection without a word, on which a request may have been sent meanwhile.
    pub fn was_closed(&self, span: Span) -> bool {
        self.closings.borrow().iter().any(|at| *at <= span.ended && *at + AFTERMATH >= span.began)
    }

    /// Whether a back end may have turned it away at its end.
    pub fn was_parted(&self, span: Span) -> bool {
        self.partings.borrow().iter().any(|at| *at <= span.ended && *at + AFTERMATH >= span.ended)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.world.borrow().stage.now()
    }

    fn say(&self, what: &str) {
        self.world.borrow_mut().stage.note(Note::Say(what));
    }

    fn any_injury(&self, is_it: impl Fn(&Injury) -> bool) -> bool {
        self.world.borrow().stage.injuries().iter().any(is_it)
    }

    /// Whether an injury was done between the node and a back end, or to the node.
    fn is_behind(&self, injury: &Injury) -> bool {
        injury.harm == Harm::NoDescriptor || self.back_ends.borrow().contains(&injury.server)
    }
}

impl Periods {
    fn set(&mut self, is_on: bool, now: Instant) {
        match self.0.last_mut() {
            Some((_, end @ None)) if !is_on => *end = Some(now),
            Some((_, None)) => {}
            _ if is_on => self.0.push((now, None)),
            _ => {}
        }
    }

    fn touch(&self, span: Span) -> bool {
        let touches = |(from, until): &(Instant, Option<Instant>)| {
            *from <= span.ended && until.is_none_or(|until| until + AFTERMATH >= span.began)
        };
        self.0.iter().any(touches)
    }
}

/// Whether an injury may have been felt in `span`: stalls last.
fn is_meanwhile(injury: &Injury, span: Span) -> bool {
    injury.at <= span.ended && (injury.harm == Harm::Stalled || injury.at + AFTERMATH >= span.began)
}
