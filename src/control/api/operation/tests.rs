//! The operations against a small world: what they answer, what they change, and that an error changes nothing. One file
//! per file of operations; here is the world, and what concerns them all.

mod attributes;
mod health_check;
mod instances;
mod listeners;
mod load_balancers;
mod policies;
mod security_groups;
mod tags;
mod zones;

use super::*;
use crate::control::api::error::ErrorCode::{self, *};
use crate::control::api::query::{Parameters, form};
use crate::control::api::settings::Settings;
use crate::control::api::state::{Origin, Record, State, Surroundings};
use crate::control::config;
use crate::health::{Condition, Report};
use crate::model::{Configuration, InstanceId, LoadBalancerName, Node, Zone};

/// What the file says: one load balancer of its own, and an inventory.
const FILE: &str = r#"
[inventory.instances.web-9]
address = "10.0.0.9:8080"
zone = "b"
[inventory.instances.i-0aa11bb22cc33dd44]
address = "10.0.0.4"
[inventory.subnets.subnet-a]
zone = "a"
[inventory.subnets.subnet-a2]
zone = "a"
[inventory.subnets.subnet-b]
zone = "b"
[inventory.security_groups.sg-office]
allow = ["10.0.0.0/8"]
[inventory.security_groups.sg-nobody]
[load_balancers.filed]
zones = ["a"]
listeners = [{ protocol = "TCP", port = 9000, instance_port = 9001 }]
instances = ["10.0.0.1"]
"#;

const CERTIFICATE: &str = "arn:aws:iam::000000000000:server-certificate/shop";

/// Everything a call looks at; changes are taken in at once.
struct World {
    file: Configuration,
    settings: Settings,
    zone: Zone,
    state: State,
    health: Vec<(&'static str, Report)>,
}

impl World {
    fn new() -> Self {
        let api = crate::model::ApiSettings::new(Vec::new());
        let zone = Zone::new("a").unwrap();
        let file = config::for_tests(FILE);
        let mut parts = file.into_parts();
        let files = crate::model::CertificateFiles { chain: "shop.crt".into(), key: "shop.key".into() };
        for name in ["shop", "other"] {
            parts.inventory.certificates.insert(crate::model::ResourceName::new(name).unwrap(), files.clone());
        }
        let file = Configuration::new(parts).unwrap();
        let settings = Settings::new(&api, &Node::default());
        let mut world = Self { file, settings, zone, state: State::default(), health: Vec::new() };
        world.state = State::new(&world.file, [], world.around()).unwrap();
        world
    }

    /// With an HTTP load balancer of the API called `web`.
    fn with_web() -> Self {
        let mut world = Self::new();
        world.must(CREATE_WEB);
        world
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings { settings: &self.settings, inventory: &self.file.inventory, node_zone: &self.zone }
    }

    /// Carries out `Action&more`. Blanks may stand around ampersands.
    fn call(&mut self, query: &str) -> Result<String, ApiError> {
        let (action, rest) = query.split_once('&').unwrap_or((query, ""));
        let pairs: Vec<&str> = rest.split('&').map(str::trim).collect();
        let parameters = Parameters::new(form::decode(pairs.join("&").as_bytes())?)?;
        let operation = Operation::from_name(action.trim()).unwrap();
        let health = self.health.iter().map(|(id, report)| (InstanceId::new(id).unwrap(), *report));
        let health: Vec<_> = health.collect();
        let source = move |_: &LoadBalancerName| health.clone();
        let now = "2026-01-02T03:04:05.520Z".parse().unwrap();
        let call = Call { parameters: &parameters, state: &self.state, around: self.around(), now, health: &source };
        let done = operation.run(&call)?;
        if let Some(change) = done.change {
            assert!(operation.is_change());
            let state = self.state.with(&change);
            state.configuration(&self.file).map_err(|fault| ApiError::conflict(fault.to_string()))?;
            self.state = state;
        }
        Ok(String::from_utf8(done.result.into_bytes()).unwrap())
    }

    fn must(&mut self, query: &str) -> String {
        self.call(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The error of a call, which has changed nothing.
    fn refused(&mut self, query: &str) -> (ErrorCode, String) {
        let before: Vec<Record> = self.state.iter().map(|record| (**record).clone()).collect();
        let error = self.call(query).expect_err(query);
        assert!(self.state.iter().map(|record| &**record).eq(&before), "{query} changed something");
        (error.code, error.message)
    }

    fn web(&self) -> &Record {
        self.state.get("web").unwrap()
    }
}

const CREATE_WEB: &str = "CreateLoadBalancer&LoadBalancerName=web&AvailabilityZones.member.1=a
    &Listeners.member.1.Protocol=http&Listeners.member.1.LoadBalancerPort=80&Listeners.member.1.InstancePort=8080";

/// The texts of all elements of this name.
fn all<'a>(xml: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

fn one<'a>(xml: &'a str, element: &str) -> &'a str {
    let found = all(xml, element);
    assert_eq!(found.len(), 1, "{element} in {xml}");
    found[0]
}

#[test]
fn all_of_elbs_operations_are_there() {
    assert_eq!(Operation::ALL.len(), 29);
    for operation in Operation::ALL {
        assert_eq!(Operation::from_name(operation.as_str()), Some(*operation));
        assert_eq!(operation.is_change(), !operation.as_str().starts_with("Describe"));
    }
    assert_eq!(Operation::from_name("describeLoadBalancers"), None);
}

#[test]
fn what_is_not_there_is_told_and_deleting_it_succeeds() {
    let mut world = World::with_web();
    let long = "a".repeat(33);
    for query in [
        "DescribeLoadBalancers&LoadBalancerNames.member.1=web&LoadBalancerNames.member.2=NAME",
        "DescribeTags&LoadBalancerNames.member.1=NAME",
        "DescribeInstanceHealth&LoadBalancerName=NAME",
        "DescribeLoadBalancerAttributes&LoadBalancerName=NAME",
        "DescribeLoadBalancerPolicies&LoadBalancerName=NAME",
        "AddTags&LoadBalancerNames.member.1=NAME&Tags.member.1.Key=a",
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=NAME&Instances.member.1.InstanceId=10.0.0.1",
        "SetLoadBalancerPoliciesOfListener&LoadBalancerName=NAME&LoadBalancerPort=80&PolicyNames=",
    ] {
        for name in ["none", "no_ne", "%3Cx%3E", "Web"] {
            let (code, message) = world.refused(&query.replace("NAME", name));
            assert_eq!(code, LoadBalancerNotFound, "{query}");
            assert!(message.starts_with("There is no ACTIVE Load Balancer named '"), "{message}");
        }
        assert_eq!(world.refused(&query.replace("NAME", &long)).0, ValidationError);
    }
    world.must("DeleteLoadBalancer&LoadBalancerName=none");
    world.must("DeleteLoadBalancer&LoadBalancerName=web");
    world.must("DeleteLoadBalancer&LoadBalancerName=web");
    assert!(world.state.get("web").is_none());
}

#[test]
fn load_balancers_of_the_file_are_shown_and_not_changed() {
    let mut world = World::new();
    let told = world.must("DescribeLoadBalancers");
    assert_eq!(all(&told, "LoadBalancerName"), ["filed"]);
    assert_eq!(one(&told, "CreatedTime"), "1970-01-01T00:00:00.000Z");
    assert_eq!(one(&told, "InstanceId"), "10.0.0.1");
    for query in [
        "AddTags&LoadBalancerNames.member.1=filed&Tags.member.1.Key=a",
        "DeleteLoadBalancer&LoadBalancerName=filed",
        "DeleteLoadBalancerListeners&LoadBalancerName=filed&LoadBalancerPorts.member.1=9000",
        "DeregisterInstancesFromLoadBalancer&LoadBalancerName=filed&Instances.member.1.InstanceId=10.0.0.1",
        "ModifyLoadBalancerAttributes&LoadBalancerName=filed&LoadBalancerAttributes.CrossZoneLoadBalancing.Enabled=true",
        "CreateLBCookieStickinessPolicy&LoadBalancerName=filed&PolicyName=p",
    ] {
        let (code, message) = world.refused(query);
        assert_eq!(code, OperationNotPermitted, "{query}");
        assert!(message.contains("managed by the configuration file"), "{message}");
    }
}

#[test]
fn account_limits_are_texts() {
    let mut world = World::new();
    let told = world.must("DescribeAccountLimits&PageSize=2");
    assert_eq!(all(&told, "Name"), ["classic-listeners", "classic-load-balancers"]);
    assert_eq!(all(&told, "Max"), ["100", "20"]);
    let rest = world.must(&format!("DescribeAccountLimits&Marker={}", one(&told, "NextMarker")));
    assert_eq!((one(&rest, "Name"), one(&rest, "Max")), ("classic-registered-instances", "1000"));
    assert!(!rest.contains("NextMarker"));
    assert_eq!(world.refused("DescribeAccountLimits&Marker=x").0, ValidationError);
}

#[test]
fn what_is_named_follows_the_inventory() {
    let mut world = World::with_web();
    world.must("RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=web-9");
    world.must("ApplySecurityGroupsToLoadBalancer&LoadBalancerName=web&SecurityGroups.member.1=sg-office");
    world.must("AttachLoadBalancerToSubnets&LoadBalancerName=web&Subnets.member.1=subnet-a");
    let stored = || world.state.of_api().map(|record| (record.draft(), record.origin())).collect::<Vec<_>>();

    let moved = FILE
        .replace("10.0.0.9:8080", "10.0.0.99")
        .replace("10.0.0.0/8", "192.168.0.0/16")
        .replace("[inventory.subnets.subnet-a]\nzone = \"a\"", "[inventory.subnets.subnet-a]\nzone = \"c\"");
    let file = config::for_tests(&moved);
    let around = Surroundings { inventory: &file.inventory, ..world.around() };
    let state = State::new(&file, stored(), around).unwrap();
    let web = state.get("web").unwrap();
    assert_eq!(web.instances[0].host.to_string(), "10.0.0.99");
    assert_eq!(web.listeners[0].allow[0].to_string(), "192.168.0.0/16");
    assert_eq!(web.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), ["c"]);

    let emptied = config::for_tests("");
    let around = Surroundings { inventory: &emptied.inventory, ..world.around() };
    let state = State::new(&emptied, stored(), around).unwrap();
    assert_eq!(state.get("web").unwrap(), world.state.get("web").unwrap(), "what is gone stays as it was last known");
}

#[test]
fn a_name_in_the_file_and_in_the_api_is_a_fault_unless_it_was_imported() {
    let world = World::new();
    let filed = world.state.get("filed").unwrap();
    let faults = State::new(&world.file, [(filed.draft(), Origin::Api)], world.around()).unwrap_err();
    assert!(faults[0].to_string().contains("load balancer filed is in the configuration file"), "{}", faults[0]);
    let state = State::new(&world.file, [(filed.draft(), Origin::Imported)], world.around()).unwrap();
    assert_eq!(state.get("filed").unwrap().origin(), Origin::Imported);
}
