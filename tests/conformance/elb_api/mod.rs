//! The ELB Query API as ELB's own clients see it: botocore and the AWS command line drive a server of this process.
//! What they are told is checked in `tests/e2e/api/scenarios`, one Python program each; what came of it, here.

mod server;

use elbow::model::{Configuration, Protocol, Zone};
use server::{Outcome, drive};

fn web(outcome: &Outcome) -> &elbow::model::LoadBalancer {
    outcome.in_effect.load_balancers.get("web").expect("web is in effect")
}

#[test]
fn a_life_of_a_load_balancer() {
    let outcome = drive("life");
    assert_eq!(names(&outcome.in_effect), ["filed"]);
    assert!(outcome.stored.is_empty());
}

#[test]
fn listeners_and_policies() {
    let outcome = drive("policies");
    let listeners: Vec<_> = web(&outcome).listeners.iter().collect();
    assert_eq!(listeners.len(), 2);
    assert_eq!(listeners[1].protocols.front(), Protocol::Https);
    assert_eq!(listeners[1].certificates[0].chain.to_str(), Some("/etc/elbow/other.crt"));
    let policies: Vec<&str> = listeners[1].policies.iter().map(|name| name.as_str()).collect();
    assert_eq!(policies, ["modern", "sticky"]);
    assert_eq!(web(&outcome).backend_policies.len(), 1);
}

#[test]
fn instances_and_waiters() {
    let outcome = drive("instances");
    let instances: Vec<_> = web(&outcome).instances.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(instances, ["10.0.0.1:8080", "web-9"]);
}

#[test]
fn the_calls_that_terraform_makes() {
    let outcome = drive("terraform");
    assert_eq!(names(&outcome.in_effect), ["filed"]);
}

#[test]
fn errors_by_code() {
    let outcome = drive("errors");
    assert_eq!(outcome.publications, 1 + 1, "the first configuration, and the one good creation");
    assert_eq!(names(&outcome.in_effect), ["filed", "web"]);
}

#[test]
fn signatures() {
    let outcome = drive("signatures");
    assert_eq!(outcome.publications, 2, "the first configuration and the one creation");
}

#[test]
fn the_command_line() {
    let outcome = drive("command_line");
    let zones: Vec<&str> = web(&outcome).zones.iter().map(Zone::as_str).collect();
    assert_eq!(zones, ["default", "rack-b"]);
    assert!(web(&outcome).listeners[0].policies.is_empty());
}

fn names(configuration: &Configuration) -> Vec<String> {
    configuration.load_balancers.keys().map(ToString::to_string).collect()
}
