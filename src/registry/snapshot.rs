//! What should be, compiled for the data path: immutable, whole, the same for every thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Live, LiveId, Targets};
use crate::balance::Placement;
use crate::health::Report;
use crate::model::{Attributes, HealthCheck, Instance, LoadBalancerName, ProtocolPair, TrafficLimits, Unlimited, Zone};
use crate::telemetry::{ListenerCells, PerCore};

/// One compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) version: u64,
    pub(super) zone: Zone,
    /// In the order of their names.
    pub(super) load_balancers: Box<[Arc<LoadBalancerEntry>]>,
    /// In the order of their addresses.
    pub(super) listeners: Box<[ListenerEntry]>,
    /// By [`LiveId::index`]: since when the record there is registered. 0: the index is free.
    pub(super) births: Box<[u64]>,
}

/// One load balancer.
#[derive(Debug)]
pub struct LoadBalancerEntry {
    /// Its name.
    pub name: LoadBalancerName,
    /// ELB's attributes.
    pub attributes: Attributes,
    /// Limits beyond ELB.
    pub limits: TrafficLimits,
    /// From the last byte of a request to the first of its answer.
    pub first_byte_timeout: Duration,
    /// How the health of its instances is found out.
    pub health_check: HealthCheck,
    /// Its instances, in the order of registration.
    pub instances: Box<[InstanceEntry]>,
}

/// One registered instance.
#[derive(Debug)]
pub struct InstanceEntry {
    /// As it is configured.
    pub instance: Instance,
    /// Where it stands as seen from this node.
    pub placement: Placement,
    /// What is true of it now.
    pub live: Arc<Live>,
}

/// One listener.
#[derive(Debug)]
pub struct ListenerEntry {
    /// Where it accepts. Names the listener from one snapshot to the next.
    pub address: SocketAddr,
    /// What clients and instances speak.
    pub protocols: ProtocolPair,
    /// The most client connections at once on this node; `None`: only the node's limit counts.
    pub max_connections: Unlimited,
    /// The load balancer it belongs to.
    pub load_balancer: Arc<LoadBalancerEntry>,
    /// Where its requests go.
    pub targets: Arc<Targets>,
    /// What the cores count about it.
    pub cells: Arc<PerCore<ListenerCells>>,
}

impl Snapshot {
    /// Counts the configurations of this process, from 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The zone of this node.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Every load balancer, in the order of their names.
    pub fn load_balancers(&self) -> &[Arc<LoadBalancerEntry>] {
        &self.load_balancers
    }

    /// Every listener, in the order of their addresses.
    pub fn listeners(&self) -> &[ListenerEntry] {
        &self.listeners
    }

    /// The listener at this address.
    pub fn listener(&self, address: SocketAddr) -> Option<&ListenerEntry> {
        let index = self.listeners.binary_search_by_key(&address, |listener| listener.address).ok()?;
        self.listeners.get(index)
    }

    /// Every registered instance of every load balancer.
    pub fn instances(&self) -> impl Iterator<Item = (&Arc<LoadBalancerEntry>, &InstanceEntry)> {
        self.load_balancers.iter().flat_map(|balancer| balancer.instances.iter().map(move |entry| (balancer, entry)))
    }

    /// How long a table of live records by [`LiveId::index`] has to be.
    pub fn live_indexes(&self) -> usize {
        self.births.len()
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
            Placement::Served | Placement::OtherZone => self.live.condition().into(),
        }
    }
}
