//! Who may connect, how often, and how much: rules for addresses, limits by listener and by client.

use crate::harness::{Backend, Balancer, Elbow, Ending, PATIENCE, Peer, eventually};
use std::net::SocketAddr;
use std::process::Command;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn errors(elbow: &Elbow, reason: &str) -> f64 {
    elbow.admin().metrics().sum("elbow_errors_total", &[("reason", reason)])
}

/// Whether curl, from this address, is answered.
fn is_let_in(from: &str, to: SocketAddr) -> bool {
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "10", "--interface", from, &format!("http://{to}/")]);
    command.output().expect("curl").stdout == b"ok"
}

#[test]
fn only_who_is_allowed_and_not_denied_gets_in() {
    let backend = Backend::saying("ok");
    let rules = r#"allow = ["127.7.0.0/16", "127.8.0.1"], deny = ["127.7.7.0/24"]"#;
    let elbow = Balancer::http([backend.address()]).listener(rules).start();
    for (from, expected) in
        [("127.7.1.1", true), ("127.8.0.1", true), ("127.8.0.2", false), ("127.7.7.7", false), ("127.7.8.7", true)]
    {
        assert_eq!(is_let_in(from, elbow.address()), expected, "{from}");
    }
    assert_eq!(errors(&elbow, "address_denied"), 2.0);
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
}

/// Opens connections until one is not answered; how many were.
fn fill(address: SocketAddr, most: usize) -> Vec<Peer> {
    let mut held = Vec::new();
    while held.len() < most {
        let Ok(mut peer) = Peer::try_connect(address) else { break };
        if peer.try_send(GET).is_err() || !matches!(peer.try_read_message(), Ok(Some(_))) {
            break;
        }
        held.push(peer);
    }
    held
}

#[test]
fn a_listener_holds_as_many_connections_as_it_may_over_all_cores() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).listener("max_connections = 25").start();
    let mut held = fill(elbow.address(), 100);
    assert_eq!(held.len(), 25);
    assert_eq!(errors(&elbow, "listener_connection_limit"), 1.0);
    held.truncate(20);
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 20.0);
    held.extend(fill(elbow.address(), 100));
    assert_eq!(held.len(), 25, "places that were given back are taken again");
}

#[test]
fn one_client_cannot_take_the_place_of_others() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).limit("connections_per_client = 8").start();
    let held = fill(elbow.address(), 100);
    assert_eq!(held.len(), 8);
    assert!(is_let_in("127.9.9.9", elbow.address()), "another client");
    assert_eq!(errors(&elbow, "client_connection_limit"), 1.0);
    drop(held);
    eventually("the client may come back", PATIENCE, || (fill(elbow.address(), 1).len() == 1).then_some(()));
}

#[test]
fn requests_beyond_the_rate_are_answered_429_and_the_connection_stays() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).limit("requests_per_second_per_client = 20").start();
    let mut client = Peer::connect(elbow.address());
    let started = std::time::Instant::now();
    let statuses: Vec<u16> = (0..60).map(|_| client.ask(GET).status()).collect();
    let seconds = started.elapsed().as_secs_f64();
    let good = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    assert!(good >= 20 && good as f64 <= 20.0 + 20.0 * seconds + 1.0, "{good} in {seconds} s");
    assert_eq!(errors(&elbow, "client_rate_limit"), (60 - good) as f64);
    let refused = elbow.admin().metrics().sum("elbow_requests_total", &[("code", "4xx"), ("source", "elbow")]);
    assert_eq!(refused, (60 - good) as f64);
    // A new connection is no new allowance, another client has its own.
    assert!(is_let_in("127.9.9.8", elbow.address()));
}

#[test]
fn tcp_connections_beyond_the_rate_are_closed() {
    let backend = Backend::start(|peer, _| peer.try_send("hello"));
    let elbow = Balancer::tcp([backend.address()]).limit("requests_per_second_per_client = 3").start();
    let served = (0..10)
        .filter(|_| {
            let Ok(mut peer) = Peer::try_connect(elbow.address()) else { return false };
            let (bytes, ending) = peer.read_to_end();
            bytes == b"hello" && ending == Ending::Closed
        })
        .count();
    assert!((3..10).contains(&served), "{served}");
    assert_eq!(errors(&elbow, "client_rate_limit"), (10 - served) as f64);
}
