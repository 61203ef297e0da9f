//! What should be, compiled for the data path: immutable, whole, the same for every thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Clients, Ejected, FrontTls, Live, LiveId, Places, Stickiness, SurgeQueue, Targets};
use crate::balance::Placement;
use crate::health::Report;
use crate::model::{
    Attributes, EjectionCause, HealthCheck, Instance, Listener, LoadBalancerName, OutlierDetection,
    ProxyProtocolVersion, TrafficLimits, Zone,
};
use crate::telemetry::{AccessLogQueue, ListenerCells, PerCore};

/// One compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) version: u32,
    pub(super) zone: Zone,
    /// In the order of their names.
    pub(super) load_balancers: Box<[LoadBalancerEntry]>,
    /// In the order of their addresses.
    pub(super) listeners: Box<[Arc<ListenerEntry>]>,
    /// By [`LiveId::index`]: since when the record there is registered. 0: the index is free.
    pub(super) births: Box<[u32]>,
}

/// One load balancer.
#[derive(Debug)]
pub struct LoadBalancerEntry {
    /// What its traffic goes by.
    pub rules: Arc<Rules>,
    /// How the health of its instances is found out.
    pub health_check: HealthCheck,
    /// Its instances, in the order of registration.
    pub instances: Box<[InstanceEntry]>,
    /// Its listeners, in the order of their addresses.
    pub listeners: Box<[Arc<ListenerEntry>]>,
}

/// What the traffic of a load balancer goes by.
#[derive(Debug)]
pub struct Rules {
    /// Its name.
    pub name: LoadBalancerName,
    /// ELB's attributes.
    pub attributes: Attributes,
    /// Limits beyond ELB.
    pub limits: TrafficLimits,
    /// From the last byte of a request to the first of its answer.
    pub first_byte_timeout: Duration,
    /// Where lines about its requests and connections go.
    pub access_log: Option<Arc<AccessLogQueue>>,
    /// Who waits for one of its instances.
    pub surge_queue: Arc<SurgeQueue>,
    /// What its clients have of it.
    pub clients: Arc<Clients>,
    /// Its instances that are ejected.
    pub ejected: Arc<Ejected>,
    /// How many may be at once.
    pub(super) most_ejected: u32,
}

impl Rules {
    /// When an instance is ejected; `None`: never.
    pub fn outlier_detection(&self) -> Option<&OutlierDetection> {
        self.attributes.outlier_detection.as_ref()
    }
}

/// One registered instance.
#[derive(Debug, Clone)]
pub struct InstanceEntry {
    /// As it is configured.
    pub instance: Instance,
    /// Where it stands as seen from this node.
    pub placement: Placement,
    /// What is true of it now.
    pub live: Arc<Live>,
}

/// One listener with all that its traffic needs. Long-lived connections may hold on to it: it does not keep the rest of
/// its snapshot alive.
#[derive(Debug)]
pub struct ListenerEntry {
    /// As it is configured.
    pub listener: Listener,
    /// What the traffic of its load balancer goes by.
    pub rules: Arc<Rules>,
    /// Where its requests go.
    pub targets: Arc<Targets>,
    /// What clients shake hands with; `None`: they speak in the clear.
    pub tls: Option<FrontTls>,
    /// What the cores count about it.
    pub cells: Arc<PerCore<ListenerCells>>,
    /// Its client connections.
    pub places: Arc<Places>,
    /// How clients are kept with their instances, if they are.
    pub stickiness: Option<Stickiness>,
    /// The header that connections to instances begin with.
    pub proxy_protocol: Option<ProxyProtocolVersion>,
}

impl ListenerEntry {
    /// Takes note that a request found nothing wrong with an instance, of the kind that `cause` counts. Where nobody is
    /// ever ejected that is nothing to be noted.
    pub fn note_success(&self, live: &Live, cause: EjectionCause) {
        if self.rules.outlier_detection().is_some() {
            live.note_success(cause);
        }
    }

    /// Takes note that a request failed on an instance, which is ejected when that was one too many in a row, unless
    /// nobody else takes work.
    pub fn note_failure(&self, live: &Live, cause: EjectionCause) {
        let Some(detection) = self.rules.outlier_detection() else { return };
        if live.note_failure(cause, detection) && self.targets.has_other_than(live) {
            live.eject(cause, self.rules.most_ejected);
        }
    }
}

impl Snapshot {
    /// Counts the configurations of this process, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The zone of this node.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Every load balancer, in the order of their names.
    pub fn load_balancers(&self) -> &[LoadBalancerEntry] {
        &self.load_balancers
    }

    /// Where the load balancer of this name stands among [`Snapshot::load_balancers`].
    pub fn position_of(&self, name: &LoadBalancerName) -> Option<usize> {
        self.load_balancers.binary_search_by(|entry| entry.rules.name.cmp(name)).ok()
    }

    /// Every listener, in the order of their addresses.
    pub fn listeners(&self) -> &[Arc<ListenerEntry>] {
        &self.listeners
    }

    /// The listener at this address, which names it from one snapshot to the next.
    pub fn listener(&self, address: SocketAddr) -> Option<&Arc<ListenerEntry>> {
        let index = self.listeners.binary_search_by_key(&address, |entry| entry.listener.socket_address()).ok()?;
        self.listeners.get(index)
    }

    /// Every registered instance of every load balancer.
    pub fn instances(&self) -> impl Iterator<Item = (&LoadBalancerEntry, &InstanceEntry)> {
        self.load_balancers.iter().flat_map(|balancer| balancer.instances.iter().map(move |entry| (balancer, entry)))
    }

    /// The access logs of all load balancers; one may be there more than once.
    pub fn access_logs(&self) -> impl Iterator<Item = &Arc<AccessLogQueue>> {
        self.load_balancers.iter().filter_map(|balancer| balancer.rules.access_log.as_ref())
    }

    /// Whether this live record's instance is registered. Once it is not, it never is again.
    pub fn is_registered(&self, id: LiveId) -> bool {
        self.births.get(id.index as usize) == Some(&id.since)
    }
}

impl InstanceEntry {
    /// What `DescribeInstanceHealth` and `/status` say of it.
    pub fn report(&self) -> Report {
        match self.placement {
            Placement::ZoneNotEnabled => Report::ZONE_NOT_ENABLED,
            _ if self.live.is_draining() && self.live.condition().is_in_service() => Report::DRAINING,
            _ if self.live.condition().is_in_service()
                && let Some(cause) = self.live.ejected_for() =>
            {
                cause.into()
            }
            Placement::Served | Placement::OtherZone => self.live.condition().into(),
        }
    }
}
