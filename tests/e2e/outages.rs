//! Back ends die, freeze and come back under load. Who has nothing in flight on them notices nothing.

use crate::harness::{Balancer, Load, Nginx, PATIENCE, alone, eventually, wrk};
use nix::sys::signal::Signal;
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

#[test]
fn a_back_end_killed_under_wrk_fails_nothing_that_may_be_repeated() {
    let _turn = alone();
    let (steady, doomed) = (Nginx::start("steady"), Nginx::start("doomed"));
    let elbow = Balancer::http([steady.address(), doomed.address()]).probing("TCP:1").start();
    let address = elbow.address();
    let loading = std::thread::spawn(move || wrk(address, 64, Duration::from_secs(5)));
    elbow.admin().wait_metric("elbow_requests_total", &[("code", "2xx")], |count| count > 2_000.0);
    doomed.process().signal(Signal::SIGKILL);
    let counted = loading.join().expect("wrk");
    assert!(counted.requests > 5_000, "{counted:?}");
    assert_eq!(counted.failures(), 0, "{counted:?}");
    elbow.admin().wait_states(&["InService", "OutOfService"]);
}

#[test]
fn a_back_end_killed_under_load_costs_a_client_no_more_than_what_was_in_flight_on_it() {
    let _turn = alone();
    let (steady, doomed) = (Nginx::start("steady"), Nginx::start("doomed"));
    let elbow = Balancer::http([steady.address(), doomed.address()]).probing("TCP:1").start();
    // A POST that was sent may have been acted upon: it is not sent again (RFC 9110 section 9.2.2).
    const CLIENTS: usize = 16;
    let load = Load::start(elbow.address(), CLIENTS, POST);
    load.wait_for_more(1_000);
    doomed.process().signal(Signal::SIGKILL);
    load.wait_for_more(1_000);
    let report = load.stop();
    // One request in flight per client at most.
    assert!(report.failures.len() <= CLIENTS, "{:?}", report.failures);
    assert!(report.failures.iter().all(|failure| failure.starts_with("status 504")), "{:?}", report.failures);
    assert_eq!((report.closed_idle, report.refused), (0, 0), "clients lost their connections");
}

#[test]
fn a_frozen_back_end_slows_only_what_is_in_flight_on_it() {
    let _turn = alone();
    let (steady, frozen) = (Nginx::start("steady"), Nginx::start("frozen"));
    let elbow = Balancer::http([steady.address(), frozen.address()])
        .probing("HTTP:1/")
        .limit("first_byte_timeout = 2")
        .limit("connect_timeout = 1")
        .start();
    const CLIENTS: usize = 16;
    let load = Load::start(elbow.address(), CLIENTS, GET);
    load.wait_for_more(1_000);
    frozen.process().signal(Signal::SIGSTOP);
    elbow.admin().wait_states(&["InService", "OutOfService"]);
    load.wait_for_more(1_000);
    // All that was on the frozen one has met its deadline by now, or will while we wait.
    elbow.admin().wait_metric("elbow_instance_in_flight", &[("instance", &frozen.address().to_string())], |n| n == 0.0);
    frozen.process().signal(Signal::SIGCONT);
    elbow.admin().wait_in_service();
    load.wait_for_more(1_000);
    let report = load.stop();
    assert!(report.failures.len() <= CLIENTS, "{:?}", report.failures);
    assert!(report.failures.iter().all(|failure| failure.starts_with("status 504")), "{:?}", report.failures);
    assert!(report.slowest < Duration::from_secs(5), "{:?}", report.slowest);
}

#[test]
fn a_back_end_that_returns_gets_its_share_again() {
    let _turn = alone();
    let (steady, doomed) = (Nginx::start("steady"), Nginx::start("doomed"));
    let address = doomed.address();
    let elbow = Balancer::http([steady.address(), address]).probing("TCP:1").start();
    let load = Load::start(elbow.address(), 8, GET);
    load.wait_for_more(500);
    drop(doomed);
    elbow.admin().wait_states(&["InService", "OutOfService"]);
    let _returned = Nginx::start_at(address, "returned");
    elbow.admin().wait_in_service();
    let instance = address.to_string();
    let share = || {
        let metrics = elbow.admin().metrics();
        metrics.sum("elbow_backend_connections_total", &[("instance", &instance)])
    };
    let before = share();
    eventually("traffic at the one that returned", PATIENCE, || (share() > before + 100.0).then_some(()));
    let report = load.stop();
    assert_eq!(report.failures, [""; 0]);
}
