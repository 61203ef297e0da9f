//! Readings for the tests of this room.

use super::reading::{CertificateReading, InstanceReading, ListenerReading, LoadBalancerReading};
use super::{PerCore, Reading};
use crate::model::{InstanceId, LoadBalancerName};
use std::sync::Arc;

/// One load balancer with one listener and instances in service with 7 requests in flight each; all cells zero.
pub(super) fn reading_of(name: &str, port: u16, instances: &[&str], cores: usize) -> Reading {
    let instance = |id: &&str| InstanceReading {
        id: InstanceId::new(id).expect("an id"),
        cells: Arc::new(PerCore::new(cores)),
        in_flight: 7,
        in_service: true,
    };
    let certificate = CertificateReading { chain: "web.crt".to_owned(), not_after: 1_767_225_600 };
    let balancer = LoadBalancerReading {
        name: LoadBalancerName::new(name).expect("a name"),
        listeners: vec![ListenerReading {
            port,
            cells: Arc::new(PerCore::new(cores)),
            certificates: vec![certificate],
        }],
        instances: instances.iter().map(instance).collect(),
        draining_instances: 0,
        ejected_instances: 0,
        ejections: Default::default(),
        newcomers: 0,
        access_log_lines_dropped: 0,
    };
    Reading { load_balancers: vec![balancer], reloads: Default::default() }
}

/// The value behind a series, name and labels exactly as given.
pub(super) fn value_of<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}
