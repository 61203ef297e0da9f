//! What happened in a run that traffic may suffer from without anybody being at fault: injected harm, instances taken out
//! of service, connections that back ends closed, the drain.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use elbow::base::Instant;

use crate::stage::{Harm, Injury};
use crate::world::Shared;

/// What was under way when something happened, or set out shortly after, may have felt it.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Everything of the kind in one run.
pub struct Hardship {
    world: Shared,
    back_ends: RefCell<Vec<SocketAddr>>,
    /// When a back end closed a connection without a word.
    closings: RefCell<Vec<Instant>>,
    /// When no instance was in service: from, and until.
    outages: RefCell<Vec<(Instant, Option<Instant>)>>,
    drained: Cell<Option<Instant>>,
}

/// From the first to the last moment of something, and on which client connection it was.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub client: Option<SocketAddr>,
    pub began: Instant,
    pub ended: Instant,
}

impl Hardship {
    /// What happens in `world` from now on.
    pub fn new(world: &Shared) -> Hardship {
        Hardship {
            world: world.clone(),
            back_ends: RefCell::default(),
            closings: RefCell::default(),
            outages: RefCell::default(),
            drained: Cell::default(),
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

    /// From now on no instance is in service, or some are.
    pub fn set_outage(&self, is_out: bool) {
        let mut outages = self.outages.borrow_mut();
        match outages.last_mut() {
            Some((_, end @ None)) if !is_out => *end = Some(self.now()),
            Some((_, None)) => {}
            _ if is_out => outages.push((self.now(), None)),
            _ => {}
        }
    }

    /// The node begins to drain.
    pub fn drain(&self) {
        self.drained.set(Some(self.now()));
    }

    /// Whether something happened that may fail what was done then.
    pub fn was_felt(&self, span: Span) -> bool {
        let out = |(from, until): &(Instant, Option<Instant>)| {
            *from <= span.ended && until.is_none_or(|until| until + AFTERMATH >= span.began)
        };
        self.was_felt_by_client(span)
            || self.drained.get().is_some_and(|at| at <= span.began)
            || self.outages.borrow().iter().any(out)
            || self.any_injury(|injury| self.is_behind(injury) && is_meanwhile(injury, span))
    }

    /// Whether something happened to the client's own connection.
    pub fn was_felt_by_client(&self, span: Span) -> bool {
        self.any_injury(|injury| Some(injury.client) == span.client)
    }

    /// Whether a back end closed a connection without a word, on which a request may have been sent meanwhile.
    pub fn was_closed(&self, span: Span) -> bool {
        self.closings.borrow().iter().any(|at| *at <= span.ended && *at + AFTERMATH >= span.began)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.world.borrow().stage.now()
    }

    fn any_injury(&self, is_it: impl Fn(&Injury) -> bool) -> bool {
        self.world.borrow().stage.injuries().iter().any(is_it)
    }

    /// Whether an injury was done between the node and a back end, or to the node.
    fn is_behind(&self, injury: &Injury) -> bool {
        injury.harm == Harm::NoDescriptor || self.back_ends.borrow().contains(&injury.server)
    }
}

/// Whether an injury may have been felt in `span`: stalls last.
fn is_meanwhile(injury: &Injury, span: Span) -> bool {
    injury.at <= span.ended && (injury.harm == Harm::Stalled || injury.at + AFTERMATH >= span.began)
}
