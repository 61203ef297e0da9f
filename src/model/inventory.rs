//! What calls of the ELB API may name: the local stand-in for EC2 and IAM.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{CertificateFiles, Endpoint, InstanceId, ResourceName, Zone};

/// Named things that exist beside the load balancers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Machines by their ids.
    pub instances: BTreeMap<InstanceId, InventoryInstance>,
    /// Certificates by the last part of their ARN.
    pub certificates: BTreeMap<ResourceName, CertificateFiles>,
    /// Subnet ids and the zones they stand for.
    pub subnets: BTreeMap<ResourceName, Zone>,
    /// Security groups and the clients they allow.
    pub security_groups: BTreeMap<ResourceName, Vec<IpNet>>,
}

/// A machine that may be registered by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryInstance {
    /// Where it is.
    pub address: Endpoint,
    /// The zone it stands in.
    pub zone: Zone,
}
