//! Listeners are opened on every core or not at all: at the start, and at a reload.

use crate::harness::{
    Backend, Balancer, PATIENCE, Peer, elbow_command, eventually, free_address, run_to_end, under_limit,
};
use crate::reload::Reloadable;
use std::net::{SocketAddr, TcpListener};
use std::process::Output;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// More than a process with [`FEW_DESCRIPTORS`] can listen at, and no more than two cores need for the rest.
const MANY: usize = 100;
const FEW_DESCRIPTORS: usize = 200;

fn at_many(balancer: &Balancer, addresses: &[SocketAddr]) -> Balancer {
    addresses.iter().fold(balancer.clone(), |balancer, address| balancer.also_at(*address))
}

/// Runs a balancer that cannot start.
fn run_limited(text: &str, descriptors: usize) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    std::fs::write(&path, text).expect("a file");
    run_to_end(under_limit(descriptors, &elbow_command(&["run", "-c", path.to_str().expect("UTF-8")])))
}

fn nobody_listens(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| TcpListener::bind(address).is_ok())
}

#[test]
fn a_reload_that_runs_out_of_descriptors_is_refused_and_leaves_nothing_behind() {
    let backend = Backend::saying("ok");
    let balancer = Balancer::http([backend.address()]);
    let running = Reloadable::start_with_descriptors(&balancer, FEW_DESCRIPTORS);
    let mut client = Peer::connect(running.listener);
    assert_eq!(client.ask(GET).status(), 200);
    let open = running.elbow.process().open_descriptors();

    let addresses: Vec<SocketAddr> = (0..MANY).map(|_| free_address()).collect();
    running.write(&at_many(&balancer, &addresses));
    let output = running.tell(&["reload"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("listener 127.") && said.contains("Too many open files"), "{said}");

    assert!(nobody_listens(&addresses));
    assert_eq!(client.ask(GET).status(), 200, "the same connection");
    eventually("all descriptors are given back", PATIENCE, || {
        (running.elbow.process().open_descriptors() <= open).then_some(())
    });
    running.reload(&balancer.clone().also_at(addresses[0]));
    assert_eq!(Peer::connect(addresses[0]).ask(GET).status(), 200, "one more is no trouble");
}

#[test]
fn a_start_that_runs_out_of_descriptors_fails() {
    let addresses: Vec<SocketAddr> = (0..MANY).map(|_| free_address()).collect();
    let text = at_many(&Balancer::http([free_address()]), &addresses).text(free_address(), free_address());
    let output = run_limited(&text, FEW_DESCRIPTORS);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("elbow run: listener 127.") && said.contains("Too many open files"), "{said}");
    assert!(nobody_listens(&addresses));
}

#[test]
fn an_address_that_cannot_be_bound_is_named() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    let elsewhere: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let text = Balancer::http([free_address()]).also_at(elsewhere).text(free_address(), free_address());
    let output = run_limited(&text, FEW_DESCRIPTORS);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("elbow run: listener 192.0.2.1:80: "), "{said}");
}
