//! Configurations for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::balance::StickyKey;
use crate::model::{
    AdminAddress, Attributes, Configuration, ConfigurationParts, Cores, Endpoint, HealthCheck, Instance, InstanceId,
    Inventory, Listener, LoadBalancer, LoadBalancerName, LoadBalancerParts, Node, Port, Protocol, ProtocolPair,
    TrafficLimits, Weight, Zone,
};
use crate::registry::Keyring;
use crate::tls::{TicketRing, WallClock};

/// A node in zone `here` with these load balancers.
pub(crate) fn configuration(load_balancers: Vec<LoadBalancerParts>) -> Configuration {
    let built = load_balancers
        .into_iter()
        .map(|parts| (parts.name.clone(), LoadBalancer::new(parts).expect("no conflict")))
        .collect();
    Configuration::new(ConfigurationParts {
        node: Node {
            cores: Cores::Auto,
            zone: zone("here"),
            max_connections: None,
            state_dir: PathBuf::from("/nowhere"),
            sticky_key_file: None,
            pid_file: None,
            ticket_key_file: None,
        },
        admin: AdminAddress::DEFAULT,
        api: None,
        inventory: Inventory::default(),
        load_balancers: built,
    })
    .expect("no conflict")
}

/// No certificates.
pub(crate) fn keyring() -> Keyring {
    Keyring::new(Arc::new(TicketRing::random(WallClock::System).expect("randomness")))
}

/// A load balancer for zones `here` and `there` that accepts HTTP on `port`, with instances on port 8080.
pub(crate) fn balancer(name: &str, listener_port: i64, instances: Vec<Instance>) -> LoadBalancerParts {
    LoadBalancerParts {
        name: LoadBalancerName::new(name).expect("a name"),
        zones: BTreeSet::from([zone("here"), zone("there")]),
        listeners: vec![listener(Protocol::Http, listener_port, 8080)],
        instances,
        health_check: HealthCheck::of_port(port(8080)),
        attributes: Attributes::default(),
        limits: TrafficLimits::default(),
        policies: BTreeMap::new(),
        backend_policies: BTreeMap::new(),
    }
}

pub(crate) fn listener(protocol: Protocol, listener_port: i64, instance_port: i64) -> Listener {
    let protocols = ProtocolPair::new(protocol, protocol).expect("one layer");
    Listener::plain(protocols, port(listener_port), port(instance_port))
}

/// An instance in zone `here` with weight 1.
pub(crate) fn instance(id: &str, endpoint: &str) -> Instance {
    let endpoint: Endpoint = endpoint.parse().expect("an endpoint");
    Instance {
        id: InstanceId::new(id).expect("an id"),
        host: endpoint.host,
        port: endpoint.port,
        zone: zone("here"),
        weight: Weight::of(1),
    }
}

pub(crate) fn key() -> StickyKey {
    StickyKey::new(&[7; 32]).expect("long enough")
}

pub(crate) fn zone(name: &str) -> Zone {
    Zone::new(name).expect("a zone")
}

pub(crate) fn port(number: i64) -> Port {
    Port::new(number).expect("a port")
}
