//! What happened in a run that traffic may suffer from without anybody being at fault: injected harm, back ends that
//! died, instances taken out of service, connections that back ends closed, the drain.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use elbow::base::Instant;

use crate::faults::Rate;
use crate::stage::{Harm, Injury};
use crate::trace::Note;
use crate::world::Shared;

/// How long the news of something may take to reach everybody, and what was done on the strength of older ones to end.
const AFTERMATH: Duration = Duration::from_millis(50);

/// The same where rings pause.
const LONG_AFTERMATH: Duration = Duration::from_millis(500);

/// How long a core may give work to an instance that left, and how long that may take where draining is off: as
/// `registry` has it.
const HEARSAY: Duration = Duration::from_secs(1);
const ABRUPT: Duration = Duration::from_millis(500);

/// Everything of the kind in one run.
pub struct Hardship {
    world: Shared,
    back_ends: RefCell<BTreeMap<SocketAddr, Member>>,
    blows: RefCell<Vec<Blow>>,
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

/// A back end.
#[derive(Default)]
struct Member {
    /// The listener that it is behind.
    port: u16,
    /// When it was not there to serve: dead, out of service or not registered.
    absences: Periods,
}

/// What a back end did to connections that the node has to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It died, with all of them.
    Died,
    /// It closed one without a word.
    Closed,
    /// It ended one with many requests on it.
    Lost,
    /// It takes less at once on a new one than its peer can know.
    Narrowed,
}

/// One of these things.
#[derive(Clone, Copy, Debug)]
struct Blow {
    at: Instant,
    back_end: SocketAddr,
    wrong: Wrong,
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
            blows: RefCell::default(),
            departures: RefCell::default(),
            patience,
            out: RefCell::default(),
            drained: Cell::default(),
            scarcity: Cell::default(),
        }
    }

    /// Names the address of a back end behind the listener on `port`.
    pub fn add_back_end(&self, address: SocketAddr, port: u16) {
        self.back_ends.borrow_mut().insert(address, Member { port, ..Member::default() });
    }

    /// From now on a back end is there to serve, or it is not.
    pub fn set_absent(&self, back_end: SocketAddr, is_absent: bool) {
        if let Some(member) = self.back_ends.borrow_mut().get_mut(&back_end) {
            member.absences.set(is_absent, self.now());
        }
    }

    /// A back end does something to a connection.
    pub fn strike(&self, back_end: SocketAddr, wrong: Wrong) {
        self.say(&format!("{back_end}: {wrong:?}"));
        self.blows.borrow_mut().push(Blow { at: self.now(), back_end, wrong });
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

    /// Whether something happened since then for which a session may have had to leave its instance. That a connection is
    /// closed is no reason.
    pub fn was_disturbed(&self, since: Instant) -> bool {
        let span = Span { client: None, began: since, ended: self.now() };
        self.departures.borrow().iter().any(|at| *at + HEARSAY >= since)
            || self.any_blow(|blow| blow.wrong != Wrong::Closed && self.is_meanwhile(blow.at, span))
            || self.back_ends.borrow().values().any(|member| member.absences.touch(span))
            || self.any_injury(|injury| self.is_behind(injury))
    }

    /// Whether something happened that may fail what was done then, however safe it is to do twice.
    pub fn was_felt(&self, span: Span) -> bool {
        self.was_felt_by_client(span)
            || self.scarcity.get()
            || self.drained.get().is_some_and(|at| at <= span.began)
            || self.was_cut(span)
            || self.any_injury(|injury| injury.harm == Harm::NoDescriptor && self.was_hurt(injury, span))
    }

    /// Whether so many of the back ends behind a listener were bad that what is safe to repeat may have met nothing else,
    /// in as many attempts as it has.
    pub fn was_surrounded(&self, span: Span, port: u16) -> bool {
        let back_ends = self.back_ends.borrow();
        let mut peers = back_ends.iter().filter(|(_, member)| member.port == port);
        let bad = peers.clone().filter(|(address, member)| self.was_bad(**address, member, span)).count();
        bad > 1 || peers.all(|(address, member)| self.was_bad(*address, member, span))
    }

    /// How many back ends behind a listener were there to serve all the time.
    pub fn present(&self, span: Span, port: u16) -> usize {
        let back_ends = self.back_ends.borrow();
        back_ends.values().filter(|member| member.port == port && !member.absences.touch(span)).count()
    }

    /// Whether any back end behind a listener was bad.
    pub fn was_any_bad(&self, span: Span, port: u16) -> bool {
        let back_ends = self.back_ends.borrow();
        back_ends.iter().any(|(address, member)| member.port == port && self.was_bad(*address, member, span))
    }

    /// Whether a back end may have failed what was given to it.
    fn was_bad(&self, back_end: SocketAddr, member: &Member, span: Span) -> bool {
        member.absences.touch(span)
            || self.any_blow(|blow| blow.back_end == back_end && self.is_meanwhile(blow.at, span))
            || self.any_injury(|injury| injury.server == back_end && self.was_hurt(injury, span))
    }

    /// Whether a back end may have failed what it got at the beginning of this span.
    pub fn was_failed_by(&self, back_end: SocketAddr, span: Span) -> bool {
        let meanwhile = |blow: &Blow| blow.at >= span.began && blow.at <= span.ended;
        self.any_blow(|blow| blow.back_end == back_end && meanwhile(blow))
            || self.any_injury(|injury| injury.server == back_end && self.was_hurt(injury, span))
    }

    /// Whether it may have been in flight on an instance that left, for longer than it may.
    fn was_cut(&self, span: Span) -> bool {
        let overdue = |at: &Instant| span.began <= *at + HEARSAY && span.ended >= *at + self.patience.max(ABRUPT);
        self.departures.borrow().iter().any(overdue)
    }

    /// Whether a back end died after it got something at the beginning of this span.
    pub fn was_bereaved(&self, back_end: SocketAddr, span: Span) -> bool {
        let meanwhile = |blow: &Blow| blow.at >= span.began && blow.at <= span.ended;
        self.any_blow(|blow| blow.back_end == back_end && blow.wrong == Wrong::Died && meanwhile(blow))
    }

    /// Whether something happened to the client's own connection.
    pub fn was_felt_by_client(&self, span: Span) -> bool {
        self.scarcity.get() || self.any_injury(|injury| Some(injury.client) == span.client)
    }

    /// Whether a back end may have turned something away because it takes less at once than could be known.
    pub fn was_narrow(&self, span: Span) -> bool {
        self.any_blow(|blow| blow.wrong == Wrong::Narrowed && self.is_meanwhile(blow.at, span))
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

    fn any_blow(&self, is_it: impl Fn(&Blow) -> bool) -> bool {
        self.blows.borrow().iter().any(is_it)
    }

    /// Whether an injury was done between the node and a back end, or to the node.
    fn is_behind(&self, injury: &Injury) -> bool {
        injury.harm == Harm::NoDescriptor || self.back_ends.borrow().contains_key(&injury.server)
    }

    /// Whether an injury may have been felt in `span`: stalls last.
    fn was_hurt(&self, injury: &Injury, span: Span) -> bool {
        match injury.harm {
            Harm::Stalled => injury.at <= span.ended,
            _ => self.is_meanwhile(injury.at, span),
        }
    }

    /// Whether what happened then may have been felt in `span`.
    fn is_meanwhile(&self, at: Instant, span: Span) -> bool {
        let pauses = self.world.borrow().stage.faults().paused_ring != Rate::NEVER;
        at <= span.ended && at + if pauses { LONG_AFTERMATH } else { AFTERMATH } >= span.began
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
            *from <= span.ended && until.is_none_or(|until| until + HEARSAY >= span.began)
        };
        self.0.iter().any(touches)
    }
}
