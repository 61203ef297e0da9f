//! What is allowed and may still not be what was meant. Warnings are always shown.

use std::net::SocketAddr;

use super::super::Problem;
use super::super::draft::{Draft, DraftLoadBalancer, Places};
use crate::model::{AdminAddress, LoadBalancerParts, Place, Policy, PolicyName, Zone};

/// Every warning about the draft.
pub(in super::super) fn warnings(draft: &Draft) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if let AdminAddress::Tcp(address) = draft.admin
        && !address.ip().is_loopback()
    {
        warnings.push(open_admin(draft, address));
    }
    if let Some(api) = &draft.api
        && api.certificate.is_none()
        && !api.address.ip().is_loopback()
    {
        warnings.push(readable_api(draft, api.address));
    }
    if draft.load_balancers.is_empty() && draft.api.is_none() {
        warnings.push(Problem::warning(0..0, "", "there is no load balancer, so nothing will be served").absence());
    }
    for load_balancer in &draft.load_balancers {
        warnings.extend(about_instances(load_balancer, &draft.node.zone));
        warnings.extend(about_policies(load_balancer));
    }
    warnings
}

fn open_admin(draft: &Draft, address: SocketAddr) -> Problem {
    let message = format!("address: {address} is not loopback, and the admin pages ask nobody who they are");
    Problem::warning(draft.admin_span.clone(), "admin", message)
}

fn readable_api(draft: &Draft, address: SocketAddr) -> Problem {
    let message =
        format!("address: {address} is not loopback, and without a certificate calls can be read on their way");
    Problem::warning(draft.api_spans.address.clone(), "api", message)
}

/// Instances that are not there, or that no request from this node will reach.
fn about_instances(load_balancer: &DraftLoadBalancer, node_zone: &Zone) -> Vec<Problem> {
    let DraftLoadBalancer { parts, places } = load_balancer;
    let instances = &parts.instances;
    if instances.is_empty() {
        return vec![warn(places, &Place::Instances, "there are no instances, so every request is answered 503")];
    }
    let mut warnings = Vec::new();
    for (index, instance) in instances.iter().enumerate().filter(|(_, instance)| !parts.zones.contains(&instance.zone))
    {
        let message = format!("zone {} is not among the zones of the load balancer: no traffic", instance.zone);
        warnings.push(warn(places, &Place::Instance(index), message));
    }
    if !parts.zones.contains(node_zone) {
        let message = format!("the zone of this node, {node_zone}, is not among them");
        warnings.push(warn(places, &Place::Zones, message));
    } else if !parts.attributes.cross_zone && !instances.iter().any(|instance| instance.zone == *node_zone) {
        let message = format!(
            "no instance is in the zone of this node, {node_zone}, and cross_zone is off, \
             so every request is answered 503"
        );
        warnings.push(warn(places, &Place::Instances, message));
    }
    warnings
}

/// Policies that nothing names, and policies of ports that nothing uses.
fn about_policies(load_balancer: &DraftLoadBalancer) -> Vec<Problem> {
    let DraftLoadBalancer { parts, places } = load_balancer;
    let idle = parts.policies.keys().filter(|name| !is_named(parts, name)).map(|name| {
        let message = format!("policy {name} is attached to nothing");
        warn(places, &Place::Policy(name.clone()), message)
    });
    let ports = parts.backend_policies.iter().filter(|(port, names)| {
        !names.is_empty() && !parts.listeners.iter().any(|listener| listener.instance_port == **port)
    });
    let unused = ports.map(|(port, _)| {
        let message = format!("{port}: no listener uses this instance port");
        warn(places, &Place::InstancePortPolicy(*port, 0), message)
    });
    idle.chain(unused).collect()
}

fn is_named(parts: &LoadBalancerParts, name: &PolicyName) -> bool {
    let referred = |policy: &Policy| match policy {
        Policy::BackendServerAuthentication { public_key_policies } => public_key_policies.contains(name),
        _ => false,
    };
    parts.listeners.iter().any(|listener| listener.policies.contains(name))
        || parts.backend_policies.values().any(|names| names.contains(name))
        || parts.policies.values().any(referred)
}

fn warn(places: &Places, place: &Place, message: impl Into<String>) -> Problem {
    let site = places.site(place);
    Problem::warning(site.span.clone(), site.object.as_str(), message)
}
