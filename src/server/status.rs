//! What `/status` says, from the registry and what the node knows of itself. Touches no data-plane thread.

use std::time::SystemTime;

use crate::control::admin::Readiness;
use crate::control::admin::status::{
    FeatureState, InstanceState, InstanceStatus, KernelStatus, ListenerStatus, LoadBalancerStatus, NodeStatus,
    ReasonCode, Status,
};
use crate::health::{self, Report};
use crate::registry::{InstanceEntry, ListenerEntry, Registry};
use crate::runtime::{Features, Support};
use crate::telemetry::Gauge;

/// What the registry does not know.
pub(super) struct NodeFacts<'a> {
    pub started: SystemTime,
    pub readiness: Readiness,
    pub cpus: &'a [usize],
    pub features: &'a Features,
    pub log_lines_dropped: usize,
}

/// The whole page.
pub(super) fn status(facts: &NodeFacts<'_>, registry: &Registry) -> Status {
    let (snapshot, leaving) = (registry.snapshot(), registry.deregistered());
    let features = facts.features.list.iter().map(|(name, support)| ((*name).to_owned(), feature(*support)));
    let balancers = snapshot.load_balancers().iter().map(|balancer| LoadBalancerStatus {
        name: balancer.rules.name.to_string(),
        listeners: balancer.listeners.iter().map(|entry| listener(entry)).collect(),
        instances: balancer.instances.iter().map(|entry| instance(entry, entry.report())).collect(),
    });
    let mut load_balancers: Vec<_> = balancers.collect();
    for gone in &leaving {
        let place = snapshot.position_of(&gone.load_balancer);
        if let Some(balancer) = place.and_then(|place| load_balancers.get_mut(place)) {
            balancer.instances.push(instance(&gone.entry, Report::DRAINING));
        }
    }
    Status {
        node: NodeStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            readiness: facts.readiness,
            zone: snapshot.zone().to_string(),
            cores: facts.cpus.iter().map(|cpu| u16::try_from(*cpu).unwrap_or(u16::MAX)).collect(),
            uptime_seconds: facts.started.elapsed().map_or(0, |uptime| uptime.as_secs()),
            log_lines_dropped: facts.log_lines_dropped as u64,
        },
        kernel: KernelStatus { release: facts.features.release.clone(), features: features.collect() },
        load_balancers,
    }
}

fn feature(support: Support) -> FeatureState {
    match support {
        Support::Used => FeatureState::Used,
        Support::Available => FeatureState::Available,
        Support::Absent => FeatureState::Absent,
    }
}

fn listener(entry: &ListenerEntry) -> ListenerStatus {
    let active = entry.cells.sum_signed(|cells| Gauge::get(&cells.connections_active));
    ListenerStatus {
        protocol: entry.listener.protocols.front().to_string(),
        address: entry.listener.socket_address().to_string(),
        // Cores are read one after the other, so a sum may be off by what moved meanwhile, never for long.
        connections_active: u64::try_from(active).unwrap_or(0),
    }
}

fn instance(entry: &InstanceEntry, report: Report) -> InstanceStatus {
    let configured = &entry.instance;
    InstanceStatus {
        id: configured.id.to_string(),
        address: match configured.port {
            Some(port) => format!("{}:{port}", configured.host),
            None => configured.host.to_string(),
        },
        zone: configured.zone.to_string(),
        weight: configured.weight.get(),
        state: match report.state {
            health::ServiceState::InService => InstanceState::InService,
            health::ServiceState::OutOfService => InstanceState::OutOfService,
        },
        reason_code: match report.reason_code {
            health::ReasonCode::NotApplicable => ReasonCode::NotApplicable,
            health::ReasonCode::Elb => ReasonCode::Elb,
            health::ReasonCode::Instance => ReasonCode::Instance,
        },
        description: report.description.to_owned(),
        draining: entry.live.is_draining() || report == Report::DRAINING,
        in_flight: entry.live.in_flight().into(),
    }
}
