//! Where a listener's requests may go.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{BackendTls, BackendTlsId, Lease, Live, LiveId};
use crate::balance::{ATTEMPTS_MAX, Candidates, Unavailable};
use crate::model::Port;
use crate::tls::ClientTls;

/// The instances that this node sends a listener's traffic to, all reached on one port unless they have their own.
#[derive(Debug)]
pub struct Targets {
    candidates: Candidates<Live>,
    port: Port,
    tls: Option<Arc<BackendTls>>,
}

/// An instance that a request was given to.
#[derive(Debug)]
pub struct Assignment {
    /// Where it is reached.
    pub address: SocketAddr,
    /// The request in flight on it.
    pub lease: Lease,
    tls: Option<BackendTlsId>,
}

/// Names an instance and its port in tables, such as those of idle connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The instance.
    pub live: LiveId,
    /// The port it is reached on.
    pub port: u16,
    /// How TLS is spoken to it, if at all.
    pub tls: Option<BackendTlsId>,
}

impl Assignment {
    /// What was assigned.
    pub fn target(&self) -> TargetId {
        TargetId { live: self.lease.record().id(), port: self.address.port(), tls: self.tls }
    }
}

impl Targets {
    pub(super) fn new(candidates: Candidates<Live>, port: Port, tls: Option<Arc<BackendTls>>) -> Self {
        Self { candidates, port, tls }
    }

    /// How TLS is spoken to the instances, if at all.
    pub(super) fn tls(&self) -> Option<&Arc<BackendTls>> {
        self.tls.as_ref()
    }

    /// What to shake hands with an instance with; `None`: it is spoken to in the clear.
    pub fn tls_of(&self, assignment: &Assignment) -> Option<&ClientTls> {
        self.tls.as_ref().map(|tls| tls.client(assignment.lease.record().id()))
    }

    /// Chooses an instance for a request of data-plane core number `core`, but none that was tried before.
    pub fn choose(&self, core: usize, tried: &Tried) -> Result<Assignment, Unavailable> {
        let choose = || self.candidates.choose(core, |live| tried.contains(live));
        let lease = choose().or_else(|refusal| match refusal {
            // An instance that fails requests is better than none.
            Unavailable::NoneInService if self.readmit_all() => choose(),
            refusal => Err(refusal),
        })?;
        Ok(self.assignment(lease))
    }

    /// Readmits every ejected instance if nobody takes work; whether there was any.
    fn readmit_all(&self) -> bool {
        let lives = || self.candidates.records();
        !lives().any(|live| live.takes_work()) && lives().filter(|live| live.readmit()).count() > 0
    }

    /// Whether a request that these have failed can hope for another: somebody else takes work, now or when it has room.
    pub fn is_any_left(&self, tried: &Tried) -> bool {
        tried.is_empty() || self.candidates.records().any(|live| live.takes_work() && !tried.contains(live))
    }

    /// Whether anybody else than `live` takes work.
    pub(super) fn has_other_than(&self, live: &Live) -> bool {
        self.candidates.records().any(|other| other.id() != live.id() && other.takes_work())
    }

    /// As [`Targets::choose`], but none that has been deregistered since this was compiled.
    pub(super) fn choose_registered(&self, core: usize, tried: &Tried) -> Result<Assignment, Unavailable> {
        let lease = self.candidates.choose(core, |live| live.is_deregistered() || tried.contains(live))?;
        Ok(self.assignment(lease))
    }

    /// Whether an instance can be full.
    pub fn are_limited(&self) -> bool {
        self.candidates.are_limited()
    }

    /// Gives a request to one of the instances by name, if that takes it.
    pub fn assign(&self, live: &Arc<Live>) -> Option<Assignment> {
        self.candidates.take_member(live).map(|lease| self.assignment(lease))
    }

    /// As [`Targets::choose`]; those that `shunned` names only when nobody else can be chosen.
    pub fn choose_beside(
        &self,
        core: usize,
        tried: &Tried,
        shunned: impl Fn(LiveId) -> bool,
    ) -> Result<Assignment, Unavailable> {
        let lease = self.candidates.choose(core, |live| tried.contains(live) || shunned(live.id()));
        lease.map(|lease| self.assignment(lease)).or_else(|_| self.choose(core, tried))
    }

    fn assignment(&self, lease: Lease) -> Assignment {
        let tls = self.tls.as_ref().map(|tls| tls.id());
        Assignment { address: lease.record().address(self.port), lease, tls }
    }
}

/// The instances that failed one request: as many as it can be tried on.
#[derive(Debug, Default, Clone)]
pub struct Tried([Option<Arc<Live>>; ATTEMPTS_MAX]);

impl Tried {
    /// Nobody yet.
    pub const fn none() -> Self {
        Self([const { None }; ATTEMPTS_MAX])
    }

    /// Adds an instance. One too many would not be remembered; it is never tried, as attempts are bounded alike.
    pub fn add(&mut self, live: &Arc<Live>) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(Arc::clone(live));
        }
    }

    /// Whether nobody failed it.
    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    pub(super) fn contains(&self, live: &Arc<Live>) -> bool {
        self.0.iter().map_while(Option::as_ref).any(|tried| Arc::ptr_eq(tried, live))
    }
}
