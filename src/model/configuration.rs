//! The root: everything a node is told to be.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Deref;

use super::{AdminAddress, ApiSettings, Conflict, Inventory, LoadBalancer, LoadBalancerName, Node, Place};

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
    pub fn new(parts: ConfigurationParts) -> Result<Self, Vec<(LoadBalancerName, Place, Conflict)>> {
        let addresses = parts.load_balancers.iter().flat_map(|(name, load_balancer)| {
            let listeners = load_balancer.listeners.iter().enumerate();
            listeners.map(move |(index, listener)| (name, index, listener.socket_address()))
        });
        let conflicts = address_conflicts(&parts.admin, parts.api.as_ref(), addresses);
        if conflicts.is_empty() { Ok(Self(parts)) } else { Err(conflicts) }
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

/// The conflicts between the addresses of listeners, each given with its load balancer and its position there, and
/// between them and the management addresses. The first listener keeps the address.
pub fn address_conflicts<'a>(
    admin: &AdminAddress,
    api: Option<&ApiSettings>,
    listeners: impl IntoIterator<Item = (&'a LoadBalancerName, usize, SocketAddr)>,
) -> Vec<(LoadBalancerName, Place, Conflict)> {
    let mut taken: HashMap<SocketAddr, &LoadBalancerName> = HashMap::new();
    let mut conflicts = Vec::new();
    for (name, index, address) in listeners {
        let conflict = match taken.entry(address) {
            Entry::Occupied(first) => Conflict::DuplicateListener { address, first: (*first.get()).clone() },
            Entry::Vacant(free) => {
                free.insert(name);
                let Some(by) = management_at(admin, api, address) else {
                    continue;
                };
                Conflict::AddressInUse { address, by }
            }
        };
        conflicts.push((name.clone(), Place::Listener(index), conflict));
    }
    conflicts
}

/// Which of the management addresses a listener at `address` would collide with.
fn management_at(admin: &AdminAddress, api: Option<&ApiSettings>, address: SocketAddr) -> Option<&'static str> {
    match admin {
        AdminAddress::Tcp(admin) if addresses_overlap(*admin, address) => Some("admin"),
        _ => api.filter(|api| addresses_overlap(api.address, address)).map(|_| "api"),
    }
}

/// Whether two sockets could not both be bound: one port, and one address or a wildcard of its family.
pub fn addresses_overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || (wildcard && one.is_ipv4() == other.is_ipv4()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_by_port_and_wildcard_of_one_family() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.2:80", true),
            ("127.0.0.2:80", "0.0.0.0:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "127.0.0.1:80", false),
        ] {
            assert_eq!(addresses_overlap(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} {other}");
        }
    }

    #[test]
    fn the_first_listener_keeps_its_address() {
        let (shop, web) = (LoadBalancerName::new("shop").unwrap(), LoadBalancerName::new("web").unwrap());
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let listeners = [
            (&shop, 0, at("0.0.0.0:80")),
            (&shop, 1, at("127.0.0.1:80")),
            (&web, 0, at("0.0.0.0:80")),
            (&web, 1, at("0.0.0.0:9900")),
        ];
        let conflicts = address_conflicts(&AdminAddress::DEFAULT, None, listeners);
        assert_eq!(
            conflicts,
            [
                (
                    web.clone(),
                    Place::Listener(0),
                    Conflict::DuplicateListener { address: at("0.0.0.0:80"), first: shop.clone() }
                ),
                (web.clone(), Place::Listener(1), Conflict::AddressInUse { address: at("0.0.0.0:9900"), by: "admin" }),
            ]
        );
    }
}
