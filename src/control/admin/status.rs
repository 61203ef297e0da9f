//! The shape of `/status`: what the node is, what its kernel gives it, and what it balances. States, reason codes and
//! descriptions are those of ELB's `DescribeInstanceHealth`.

use super::Readiness;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// This process.
    pub node: NodeStatus,
    /// What it runs on.
    pub kernel: KernelStatus,
    /// In the order of their names.
    pub load_balancers: Vec<LoadBalancerStatus>,
}

/// This process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Elbow's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Whether it wants new traffic.
    pub readiness: Readiness,
    /// Its availability zone.
    pub zone: String,
    /// The CPU number of each data-plane thread, in worker order.
    pub cores: Vec<u16>,
    /// Whole seconds since it started.
    pub uptime_seconds: u64,
    /// Log lines dropped because standard error did not take them fast enough.
    pub log_lines_dropped: u64,
}

/// What the balancer runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelStatus {
    /// As `uname -r` says it.
    pub release: String,
    /// Every optional kernel feature the data plane knows of, by name.
    pub features: BTreeMap<String, FeatureState>,
}

/// What became of a kernel feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureState {
    /// There, and relied on.
    Used,
    /// There, but left alone.
    Available,
    /// Not there; something else does its work.
    Absent,
}

/// One load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadBalancerStatus {
    /// Its name.
    pub name: String,
    /// In the order of their ports.
    pub listeners: Vec<ListenerStatus>,
    /// In the order of registration, those draining included.
    pub instances: Vec<InstanceStatus>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `HTTP`, `HTTPS`, `TCP` or `SSL`.
    pub protocol: String,
    /// Where it accepts, as `address:port`.
    pub address: String,
    /// Client connections open now, over all cores.
    pub connections_active: u64,
}

/// One instance of one load balancer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// Its host, or `host:port` where it has a port of its own.
    pub address: String,
    /// Its availability zone.
    pub zone: String,
    /// Its share of the traffic, against the others'.
    pub weight: u32,
    /// Whether it gets traffic.
    pub state: InstanceState,
    /// Whose doing it is when it gets none.
    pub reason_code: ReasonCode,
    /// Why it gets none, in ELB's sentences; `N/A` when there is nothing to say.
    pub description: String,
    /// Whether it gets no new work because it is to leave.
    pub draining: bool,
    /// Requests (TCP: connections) it works on now, over all cores.
    pub in_flight: u64,
}

/// ELB's states of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// It gets traffic.
    InService,
    /// It gets none.
    OutOfService,
    /// The balancer cannot tell.
    Unknown,
}

/// ELB's reason codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReasonCode {
    /// Nothing is wrong.
    #[serde(rename = "N/A")]
    NotApplicable,
    /// The balancer's doing: registration, zones.
    #[serde(rename = "ELB")]
    Elb,
    /// The instance's doing.
    Instance,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn example() -> Status {
        Status {
            node: NodeStatus {
                version: "0.1.0".into(),
                pid: 7,
                readiness: Readiness::Serving,
                zone: "rack-a".into(),
                cores: vec![0, 2],
                uptime_seconds: 3,
                log_lines_dropped: 0,
            },
            kernel: KernelStatus {
                release: "6.1.0".into(),
                features: BTreeMap::from([("no_sqarray".into(), FeatureState::Absent)]),
            },
            load_balancers: vec![LoadBalancerStatus {
                name: "web".into(),
                listeners: vec![ListenerStatus {
                    protocol: "HTTP".into(),
                    address: "0.0.0.0:80".into(),
                    connections_active: 2,
                }],
                instances: vec![InstanceStatus {
                    id: "web-2".into(),
                    address: "10.0.0.12:9001".into(),
                    zone: "rack-b".into(),
                    weight: 2,
                    state: InstanceState::OutOfService,
                    reason_code: ReasonCode::Elb,
                    description: "Instance registration is still in progress.".into(),
                    draining: false,
                    in_flight: 0,
                }],
            }],
        }
    }

    #[test]
    fn words_on_the_wire_are_elbs_and_survive_a_round_trip() {
        let json = serde_json::to_value(example()).expect("serialisable");
        assert_eq!(json["node"]["readiness"], "serving");
        assert_eq!(json["kernel"]["features"]["no_sqarray"], "absent");
        let instance = &json["load_balancers"][0]["instances"][0];
        assert_eq!(instance["state"], "OutOfService");
        assert_eq!(instance["reason_code"], "ELB");
        assert_eq!(serde_json::to_value(ReasonCode::NotApplicable).expect("serialisable"), "N/A");
        assert_eq!(serde_json::from_value::<Status>(json).expect("readable"), example());
    }
}
