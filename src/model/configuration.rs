//! The root: everything a node is told to be.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;

use super::{
    AdminAddress, ApiSettings, Conflict, Inventory, LoadBalancer, LoadBalancerName, Node, Place,
};

/// A configuration whose load balancers do not stand in each other's way. Its parts can be read as fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration(ConfigurationParts);

/// What a configuration is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationParts {
    /// This machine.
    pub node: Node,
    /// Where metrics and status are served.
    pub admin: AdminAddress,
    /// The ELB API, if it is served.
    pub api: Option<ApiSettings>,
    /// What calls of the API may name.
    pub inventory: Inventory,
    /// The load balancers by name.
    pub load_balancers: BTreeMap<LoadBalancerName, LoadBalancer>,
}

impl Configuration {
    /// Checks what the load balancers must agree on: no two listeners share an address, and none takes that of the
    /// admin pages or of the API. Answers every conflict, with the load balancer and the listener.
    pub fn new(
        parts: ConfigurationParts,
    ) -> Result<Self, Vec<(LoadBalancerName, Place, Conflict)>> {
        let mut conflicts = Vec::new();
        let mut taken: HashMap<SocketAddr, &LoadBalancerName> = HashMap::new();
        for (name, load_balancer) in &parts.load_balancers {
            for (index, listener) in load_balancer.listeners.iter().enumerate() {
                let address = listener.socket_address();
                let conflict = match (taken.insert(address, name), parts.management_at(address)) {
                    (Some(first), _) => Conflict::DuplicateListener {
                        address,
                        first: first.clone(),
                    },
                    (None, Some(by)) => Conflict::AddressInUse { address, by },
                    (None, None) => continue,
                };
                conflicts.push((name.clone(), Place::Listener(index), conflict));
            }
        }
        if conflicts.is_empty() {
            Ok(Self(parts))
        } else {
            Err(conflicts)
        }
    }

    /// The parts, to change them.
    pub fn into_parts(self) -> ConfigurationParts {
        self.0
    }
}

impl Deref for Configuration {
    type Target = ConfigurationParts;

    fn deref(&self) -> &ConfigurationParts {
        &self.0
    }
}

impl ConfigurationParts {
    /// Which of the management addresses a listener at `address` would collide with.
    fn management_at(&self, address: SocketAddr) -> Option<&'static str> {
        if matches!(self.admin, AdminAddress::Tcp(admin) if overlaps(admin, address)) {
            return Some("admin");
        }
        self.api
            .as_ref()
            .filter(|api| overlaps(api.address, address))
            .map(|_| "api")
    }
}

/// Whether two sockets could not both be bound: one port, and one address or a wildcard of its family.
fn overlaps(one: SocketAddr, other: SocketAddr) -> bool {
    let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port()
        && (one.ip() == other.ip() || (wildcard && one.is_ipv4() == other.is_ipv4()))
}
