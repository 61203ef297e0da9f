//! `[load_balancers.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::draft::{DraftLoadBalancer, Places, Site};
use super::super::section::Section;
use super::{attributes, health_check, instance, limits, listener, policy};
use crate::model::{
    Attributes, HealthCheck, Instance, Listener, LoadBalancerName, LoadBalancerParts, Place, Policy, PolicyName, Port,
    TrafficLimits, Zone,
};

/// A load balancer; `None` if it has no name. Without zones of its own it serves `node_zone`.
pub(super) fn read(
    name: Option<LoadBalancerName>,
    mut section: Section<'_>,
    node_zone: &Zone,
) -> Option<DraftLoadBalancer> {
    let mut places = Places::of(Site { span: section.span(), object: section.object().to_owned() });
    let zones = zones(&mut section, node_zone, &mut places);
    let listeners = listeners(&mut section, &mut places);
    let instances = instances(&mut section, node_zone, &mut places);
    let default_check = HealthCheck::of_port(first_instance_port(&listeners));
    let health_check = match section.section("health_check") {
        Some(section) => health_check::read(section, default_check),
        None => default_check,
    };
    let attributes = section.section("attributes").map_or_else(Attributes::default, attributes::read);
    let limits = section.section("limits").map_or_else(TrafficLimits::default, limits::read);
    let policies = policies(&mut section, &mut places);
    let backend_policies = backend_policies(&mut section, &mut places);
    section.finish();
    let name = name?;
    let parts = LoadBalancerParts {
        name,
        zones,
        listeners,
        instances,
        health_check,
        attributes,
        limits,
        policies,
        backend_policies,
    };
    Some(DraftLoadBalancer { parts, places })
}

fn zones(section: &mut Section<'_>, node_zone: &Zone, places: &mut Places) -> BTreeSet<Zone> {
    if !section.has("zones") {
        return [node_zone.clone()].into();
    }
    places.set(Place::Zones, section.span_of("zones"), section.object());
    let mut zones = BTreeSet::new();
    for (zone, span) in section.list::<Zone>("zones") {
        if let Some(twice) = zones.replace(zone) {
            section.refuse(span, format!("zones: zone {twice} is listed twice"));
        }
    }
    if section.len_of("zones") > 0 {
        places.set_unread(Place::Zones);
    }
    zones
}

fn listeners(section: &mut Section<'_>, places: &mut Places) -> Vec<Listener> {
    places.set(Place::Listeners, section.span_of("listeners"), section.object());
    let mut listeners = Vec::new();
    for table in section.tables("listeners") {
        listeners.extend(listener::read(table, listeners.len(), places));
    }
    if section.len_of("listeners") > listeners.len() {
        places.set_unread(Place::Listeners);
    }
    listeners
}

/// Where a load balancer probes when nothing is said. Without a listener there is an error to report already, and
/// any port will do.
fn first_instance_port(listeners: &[Listener]) -> Port {
    listeners.first().map_or(Port::HTTP, |listener| listener.instance_port)
}

fn instances(section: &mut Section<'_>, node_zone: &Zone, places: &mut Places) -> Vec<Instance> {
    let mut instances = Vec::new();
    places.set(Place::Instances, section.span_of("instances"), section.object());
    for element in section.elements("instances") {
        places.set(Place::Instance(instances.len()), element.value.span(), &element.object);
        instances.extend(instance::read(element, node_zone));
    }
    instances
}

fn policies(section: &mut Section<'_>, places: &mut Places) -> BTreeMap<PolicyName, Policy> {
    let mut policies = BTreeMap::new();
    let Some(mut section) = section.section("policies") else { return policies };
    for (key, name) in section.names(PolicyName::new) {
        let Some(name) = name else { continue };
        places.set(Place::Policy(name.clone()), section.key_span(key), section.object());
        match section.section(key).and_then(|section| policy::read(&name, section, places)) {
            Some(policy) => drop(policies.insert(name, policy)),
            None => places.set_unread(Place::Policy(name)),
        }
    }
    policies
}

fn backend_policies(section: &mut Section<'_>, places: &mut Places) -> BTreeMap<Port, Vec<PolicyName>> {
    let mut by_port = BTreeMap::new();
    let Some(mut section) = section.section("backend_policies") else { return by_port };
    for (key, port) in section.names(str::parse::<Port>) {
        let Some(port) = port else { continue };
        let mut names = Vec::new();
        for (name, span) in section.list(key) {
            places.set(Place::InstancePortPolicy(port, names.len()), span, section.object());
            names.push(name);
        }
        by_port.insert(port, names);
    }
    by_port
}
