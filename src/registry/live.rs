//! What is true of one registered instance right now. Outlives the snapshots that name it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::atomic::AtomicCell;

use super::Ejected;
use crate::balance::{self, Load, Share};
use crate::health::{Condition, Streaks};
use crate::model::{EjectionCause, InstanceId, LoadBalancerName, OutlierDetection, Port};
use crate::telemetry::{InstanceCells, PerCore};

/// The record of one instance of one load balancer.
///
/// Who writes: the data plane its load (through [`Lease`]s), its streaks of failures, that it is ejected, and its own
/// core's cells; the control thread its condition, whether it drains, its share, that it is ejected no longer, and the
/// control thread's cells. Everybody reads.
///
/// With its cells it takes 800 bytes on a node with two cores and 128 more for each further one; what a snapshot says of
/// it takes 200.
#[derive(Debug)]
pub struct Live {
    load: Load,
    condition: AtomicCell<Condition>,
    /// The operator wants it to get no new work.
    draining: AtomicBool,
    /// No snapshot has it any more.
    deregistered: AtomicBool,
    /// What is in flight on it is to be given up.
    cut: AtomicBool,
    /// What requests found out about it.
    streaks: Streaks,
    /// Why it was ejected last.
    ejected_for: AtomicCell<Option<EjectionCause>>,
    /// Who else of its load balancer is ejected.
    ejected: Arc<Ejected>,
    id: LiveId,
    load_balancer: LoadBalancerName,
    instance: InstanceId,
    ip: IpAddr,
    port: Option<Port>,
    /// One set per data-plane core, then the control thread's.
    cells: Arc<PerCore<InstanceCells>>,
    cores: usize,
}

/// A request (TCP: connection) in flight on an instance, until it is dropped.
pub type Lease = balance::Lease<Live>;

/// Names a live record in tables by index: indexes are dense and used again, the version they were given out in tells
/// their users apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveId {
    /// Below the most instances that were ever registered at once, or little more.
    pub index: u32,
    /// The version of the first snapshot that named the record.
    pub since: u32,
}

/// What a record is made from.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub id: LiveId,
    pub load_balancer: &'a LoadBalancerName,
    pub instance: &'a InstanceId,
    pub ip: IpAddr,
    pub port: Option<Port>,
    pub cores: usize,
    pub ejected: &'a Arc<Ejected>,
    pub share: Share,
}

impl Live {
    /// The record of an instance that has just been registered: out of service until a probe is good.
    pub(super) fn new(birth: Birth<'_>) -> Self {
        let load = Load::new();
        load.set_share(birth.share);
        Self {
            load,
            condition: AtomicCell::new(Condition::Registering),
            draining: AtomicBool::new(false),
            deregistered: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            streaks: Streaks::default(),
            ejected_for: AtomicCell::new(None),
            ejected: Arc::clone(birth.ejected),
            id: birth.id,
            load_balancer: birth.load_balancer.clone(),
            instance: birth.instance.clone(),
            ip: birth.ip,
            port: birth.port,
            cells: Arc::new(PerCore::new(birth.cores + 1)),
            cores: birth.cores,
        }
    }

    /// Its place in tables.
    pub fn id(&self) -> LiveId {
        self.id
    }

    /// The load balancer it is registered with.
    pub fn load_balancer(&self) -> &LoadBalancerName {
        &self.load_balancer
    }

    /// What it is called there.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Where it is reached by somebody who means `port` of an instance that has none of its own.
    pub fn address(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(port).get())
    }

    /// Whether this is a record of the machine at `ip`, with `port` as its own.
    pub(super) fn is_at(&self, ip: IpAddr, port: Option<Port>) -> bool {
        (self.ip, self.port) == (ip, port)
    }

    /// Requests (TCP: connections) in flight on it, over all cores.
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    /// What probes found last.
    pub fn condition(&self) -> Condition {
        self.condition.load()
    }

    /// Takes in what probes found. An instance that is not in service gets no new request from any core from here on.
    /// Only the control thread calls this.
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(condition);
        self.open_or_close();
    }

    /// Whether the operator wants it to get no new work.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Gives it no new work from here on, however healthy it is, or ends that. Only the control thread calls this.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
        self.open_or_close();
    }

    fn open_or_close(&self) {
        let open = self.is_wanted();
        if open {
            self.cut.store(false, Ordering::Relaxed);
        }
        self.load.set_in_service(open);
    }

    /// Whether it is in service and nobody wants it to drain.
    pub(super) fn is_wanted(&self) -> bool {
        self.condition().is_in_service() && !self.is_draining()
    }

    /// How much of its full share of the traffic it gets, where shares grow slowly.
    pub(super) fn share(&self) -> Share {
        self.load.share()
    }

    /// Gives it this share. Only the control thread calls this.
    pub(super) fn set_share(&self, share: Share) {
        self.load.set_share(share);
    }

    /// Takes note that a request found nothing wrong of the kind that `cause` counts.
    pub(super) fn note_success(&self, cause: EjectionCause) {
        self.streaks.note_success(cause);
    }

    /// Takes note that a request failed; whether there were too many in a row.
    pub(super) fn note_failure(&self, cause: EjectionCause, detection: &OutlierDetection) -> bool {
        self.streaks.note_failure(cause, detection)
    }

    /// Gives it no new work for a while, unless `most` of its load balancer are ejected already. From any core.
    pub(super) fn eject(&self, cause: EjectionCause, most: u32) {
        if self.load.is_ejected() || !self.ejected.take_place(most) {
            return;
        }
        if !self.load.eject() {
            return self.ejected.give_place_back();
        }
        self.ejected_for.store(Some(cause));
        self.ejected.count(cause);
    }

    /// Ends its ejection; whether it was ejected. From any thread.
    pub(super) fn readmit(&self) -> bool {
        // Most are not: their load is not written.
        if !self.load.is_ejected() {
            return false;
        }
        // What is still counted from before its ejection shall not eject it again at once.
        self.streaks.forget();
        let was_ejected = self.load.readmit();
        if was_ejected {
            self.ejected.give_place_back();
        }
        was_ejected
    }

    /// Whether it is ejected.
    pub(super) fn is_ejected(&self) -> bool {
        self.load.is_ejected()
    }

    /// Why it is ejected, if it is.
    pub fn ejected_for(&self) -> Option<EjectionCause> {
        // The cause is written a moment behind.
        self.is_ejected().then(|| self.ejected_for.load().unwrap_or(EjectionCause::ServerErrors))
    }

    /// Whether it gets new work.
    pub fn takes_work(&self) -> bool {
        self.load.is_open()
    }

    /// Whether the snapshot published last does not have it any more.
    pub(super) fn is_deregistered(&self) -> bool {
        self.deregistered.load(Ordering::Relaxed)
    }

    /// Takes note that no snapshot will have it any more. Cores that have not heard of that may still give it work.
    pub(super) fn deregister(&self) {
        self.deregistered.store(true, Ordering::Relaxed);
        // Its place among the ejected is another's. Whoever gives it work now has not heard that it is gone.
        self.readmit();
    }

    /// Gives it no new work, for good: it is registered no longer.
    pub(super) fn close(&self) {
        self.load.set_in_service(false);
    }

    /// Whether what is in flight on it is to be given up: its time to finish is over.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Has what is in flight given up, until it is in service again. Whether it was not so before.
    pub(super) fn cut(&self) -> bool {
        !self.cut.swap(true, Ordering::Relaxed)
    }

    /// What data-plane core number `core` counts about it.
    pub fn cells(&self, core: usize) -> &InstanceCells {
        self.cells.core(core)
    }

    /// What the control thread counts about it.
    pub fn control_cells(&self) -> &InstanceCells {
        self.cells.core(self.cores)
    }

    /// What all threads count about it.
    pub(super) fn all_cells(&self) -> &Arc<PerCore<InstanceCells>> {
        &self.cells
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.readmit();
    }
}

impl AsRef<Load> for Live {
    fn as_ref(&self) -> &Load {
        &self.load
    }
}
