//! A node sends traffic to the instances of its own zone, or with cross-zone to those of all enabled zones.

use crate::harness::{Backend, Balancer, Elbow, Peer, free_address};
use std::collections::BTreeMap;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Starts a node in zone `a` with an instance in each of `a`, `b` and `c`, of which `c` is not enabled.
fn start(backends: &[Backend], cross_zone: bool) -> Elbow {
    start_probing(backends, cross_zone, "TCP:1")
}

/// As [`start`], with this target of health checks.
fn start_probing(backends: &[Backend], cross_zone: bool, target: &str) -> Elbow {
    let (listener, admin) = (free_address(), free_address());
    let text = Balancer::http([]).node("zone = \"a\"").probing(target).attribute(&format!("cross_zone = {cross_zone}"));
    let instances: Vec<String> = ["a", "b", "c"]
        .iter()
        .zip(backends)
        .map(|(zone, backend)| format!("{{ id = {zone:?}, address = \"{}\", zone = {zone:?} }}", backend.address()))
        .collect();
    let instances = format!("zones = [\"a\", \"b\"]\ninstances = [{}]", instances.join(", "));
    let text = text.text(listener, admin).replace("instances = []", &instances);
    Elbow::start(&text, vec![listener], admin)
}

/// How often each instance answered.
fn shares(elbow: &Elbow) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..30 {
        let answer = Peer::connect(elbow.address()).ask(GET);
        let who = if answer.status() == 200 { answer.text().to_string() } else { answer.status().to_string() };
        *shares.entry(who).or_default() += 1;
    }
    shares
}

fn backends() -> Vec<Backend> {
    ["a", "b", "c"].into_iter().map(Backend::saying).collect()
}

#[test]
fn without_cross_zone_only_the_nodes_own_zone_serves() {
    let backends = backends();
    let elbow = start(&backends, false);
    elbow.admin().wait_states(&["InService", "InService", "OutOfService"]);
    assert_eq!(shares(&elbow).into_iter().collect::<Vec<_>>(), [("a".to_owned(), 30)]);
    // There is no way out: clients find the other zone's nodes.
    let status = elbow.admin().status();
    let description = &status["load_balancers"][0]["instances"][2]["description"];
    assert!(description.as_str().expect("text").contains("not configured to route traffic to"), "{description}");
}

#[test]
fn with_cross_zone_all_enabled_zones_share_evenly() {
    let backends = backends();
    let elbow = start(&backends, true);
    elbow.admin().wait_states(&["InService", "InService", "OutOfService"]);
    let shares = shares(&elbow);
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert!(shares.values().all(|share| (12..=18).contains(share)), "{shares:?}");
}

#[test]
fn a_zone_without_a_healthy_instance_is_not_helped_out_by_another() {
    for (cross_zone, expected) in [(false, "503"), (true, "b")] {
        let mut backends = backends();
        backends[0] = Backend::start(|_, _| Ok(()));
        let elbow = start_probing(&backends, cross_zone, "HTTP:1/");
        elbow.admin().wait_states(&["OutOfService", "InService", "OutOfService"]);
        assert_eq!(shares(&elbow).into_iter().collect::<Vec<_>>(), [(expected.to_owned(), 30)], "{cross_zone}");
    }
}
