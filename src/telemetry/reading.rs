//! What there is to report at one moment: the names, the cells to sum, and the two facts that live in the registry.

use super::{InstanceCells, ListenerCells, PerCore};
use crate::model::{EjectionCause, InstanceId, Keyword, LoadBalancerName};
use std::sync::Arc;

/// How many instances of a node are told apart in metrics and histograms; the cells themselves count every one.
///
/// An instance is 46 time series, so this holds one scrape to 46,000 of them (about 4 MB with short names). It is ELB's own default
/// limit of registered instances. What lies beyond is summed into one `instance="all others"` of its load balancer.
pub const MAX_INSTANCES_TOLD_APART: usize = 1_000;

/// The `instance` label of all instances beyond [`MAX_INSTANCES_TOLD_APART`]; no [`InstanceId`] holds a space.
pub const OTHER_INSTANCES: &str = "all others";

/// Every load balancer of the node. Cheap to build (names and shared pointers) and `Send`, so that the summing can be
/// done on another thread than the one that knows the names.
#[derive(Debug, Default)]
pub struct Reading {
    /// In the order they are to be reported.
    pub load_balancers: Vec<LoadBalancerReading>,
    /// How often the configuration was read again.
    pub reloads: Reloads,
}

/// Reloads since the process started.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reloads {
    /// The node goes by what was read.
    pub applied: u64,
    /// Something was wrong, and nothing changed.
    pub refused: u64,
}

/// One load balancer.
#[derive(Debug)]
pub struct LoadBalancerReading {
    /// The value of the `load_balancer` label.
    pub name: LoadBalancerName,
    /// Its listeners.
    pub listeners: Vec<ListenerReading>,
    /// Its registered instances, those draining included.
    pub instances: Vec<InstanceReading>,
    /// Instances that get no new work because they are to leave, or have left with some in flight.
    pub draining_instances: u64,
    /// Instances that get no new work because requests to them failed.
    pub ejected_instances: u64,
    /// How often that has begun, by cause in the order of [`EjectionCause`].
    pub ejections: [u64; EjectionCause::ALL.len()],
    /// Instances in service whose share is still growing.
    pub newcomers: u64,
    /// Lines that its access log lost.
    pub access_log_lines_dropped: u64,
}

/// One listener.
#[derive(Debug)]
pub struct ListenerReading {
    /// The value of the `listener` label.
    pub port: u16,
    /// What the cores counted.
    pub cells: Arc<PerCore<ListenerCells>>,
    /// The certificates that it shows; none on a plain one.
    pub certificates: Vec<CertificateReading>,
}

/// One certificate of a listener.
#[derive(Debug)]
pub struct CertificateReading {
    /// The value of the `chain` label: its file.
    pub chain: String,
    /// The last second in which it is valid, since the Unix epoch.
    pub not_after: i64,
}

/// One instance of one load balancer.
#[derive(Debug)]
pub struct InstanceReading {
    /// The value of the `instance` label.
    pub id: InstanceId,
    /// What the cores counted.
    pub cells: Arc<PerCore<InstanceCells>>,
    /// Requests (TCP: connections) it works on now, over all cores.
    pub in_flight: u64,
    /// Whether its state is `InService`.
    pub in_service: bool,
}

/// Instances reported under one label.
pub(super) struct InstanceGroup<'a> {
    pub load_balancer: &'a str,
    pub instance: &'a str,
    pub members: &'a [InstanceReading],
}

impl Reading {
    /// Every instance, each in a group of its own until the limit, then one group for the rest of each load balancer.
    pub(super) fn instance_groups(&self) -> impl Iterator<Item = InstanceGroup<'_>> {
        let mut left = MAX_INSTANCES_TOLD_APART;
        self.load_balancers.iter().flat_map(move |balancer| {
            let told_apart = balancer.instances.len().min(left);
            left -= told_apart;
            let (single, rest) = balancer.instances.split_at(told_apart);
            let group = |instance, members| InstanceGroup { load_balancer: balancer.name.as_str(), instance, members };
            let other = (!rest.is_empty()).then(|| group(OTHER_INSTANCES, rest));
            single.iter().map(move |one| group(one.id.as_str(), std::slice::from_ref(one))).chain(other)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(name: &str, instances: usize) -> LoadBalancerReading {
        let instance = |number| InstanceReading {
            id: InstanceId::new(&format!("{name}-{number}")).expect("an id"),
            cells: Arc::new(PerCore::new(1)),
            in_flight: 1,
            in_service: true,
        };
        LoadBalancerReading {
            name: LoadBalancerName::new(name).expect("a name"),
            listeners: vec![],
            instances: (0..instances).map(instance).collect(),
            draining_instances: 0,
            ejected_instances: 0,
            ejections: Default::default(),
            newcomers: 0,
            access_log_lines_dropped: 0,
        }
    }

    #[test]
    fn instances_beyond_the_limit_share_one_label_per_load_balancer() {
        let reading = Reading {
            load_balancers: vec![
                balancer("first", MAX_INSTANCES_TOLD_APART - 1),
                balancer("second", 3),
                balancer("third", 2),
                balancer("empty", 0),
            ],
            reloads: Reloads::default(),
        };
        let groups: Vec<_> = reading.instance_groups().collect();
        let tail: Vec<_> = groups[MAX_INSTANCES_TOLD_APART - 1..]
            .iter()
            .map(|group| (group.load_balancer, group.instance, group.members.len()))
            .collect();
        assert_eq!(tail, [("second", "second-0", 1), ("second", OTHER_INSTANCES, 2), ("third", OTHER_INSTANCES, 2)]);
        assert_eq!(groups.iter().map(|group| group.members.len()).sum::<usize>(), MAX_INSTANCES_TOLD_APART + 4);
    }
}
