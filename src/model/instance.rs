//! A back end that is registered with a load balancer.

use super::{Count, Host, InstanceId, Port, Zone};

/// One registered instance. Its live state (health, requests in flight) is the `registry` room's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// What it is called; unique within its load balancer.
    pub id: InstanceId,
    /// Where it is.
    pub host: Host,
    /// A port of its own, which wins over the listener's instance port and over the health check's.
    pub port: Option<Port>,
    /// The zone it stands in.
    pub zone: Zone,
    /// Its share of the traffic beside the others.
    pub weight: Weight,
}

/// An instance of weight 2 gets twice the traffic of one of weight 1. 256 steps are as fine as HAProxy's.
pub type Weight = Count<1, 256>;

/// The weight of an instance that names none.
pub const DEFAULT_WEIGHT: Weight = Weight::of(1);
