//! SIGTERM drains: what has begun is finished, what is idle is closed, nothing is lost; a second one stops at once.

use crate::harness::{Backend, Balancer, Load, Message, Nginx, PATIENCE, Peer, alone, answer_ok, eventually};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers when the gate is open.
fn gated(gate: &Arc<AtomicBool>) -> Backend {
    let gate = gate.clone();
    Backend::answering(move |_: &Message| {
        while !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        answer_ok("ok")
    })
}

#[test]
fn requests_in_flight_are_answered_and_then_the_process_ends_well() {
    let gate = Arc::new(AtomicBool::new(false));
    let backend = gated(&gate);
    let mut elbow = Balancer::http([backend.address()]).start();
    let mut idle = Peer::connect(elbow.address());
    let mut clients: Vec<Peer> = (0..50).map(|_| Peer::connect_and_send(elbow.address(), GET)).collect();
    backend.wait_in_flight(50);
    assert_eq!(elbow.admin().get("/readyz").0, 200);

    elbow.signal(Signal::SIGTERM);
    eventually("readyz says no", PATIENCE, || (elbow.admin().get("/readyz").0 == 503).then_some(()));
    assert_eq!(elbow.admin().get("/healthz").0, 200);
    assert_eq!(idle.read_to_end().0, b"", "an idle connection is closed");
    eventually("nobody is let in any more", PATIENCE, || Peer::try_connect(elbow.address()).is_err().then_some(()));
    assert!(elbow.is_running(), "requests are in flight");

    gate.store(true, Ordering::SeqCst);
    for client in &mut clients {
        let answer = client.read_message();
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
        assert_eq!(answer.head.get("connection"), Some("close"));
        assert_eq!(client.read_to_end().0, b"");
    }
    let status = elbow.wait_exit(PATIENCE);
    assert!(status.success(), "{status}");
}

#[test]
fn sigint_drains_as_well() {
    let backend = Backend::saying("ok");
    let mut elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    assert_eq!(client.ask(GET).status(), 200);
    elbow.signal(Signal::SIGINT);
    assert_eq!(client.read_to_end().0, b"");
    assert!(elbow.wait_exit(PATIENCE).success());
}

#[test]
fn under_load_not_one_request_is_lost() {
    let _turn = alone();
    let nginx = Nginx::start("one");
    let mut elbow = Balancer::http([nginx.address()]).start();
    let load = Load::start(elbow.address(), 32, GET);
    load.wait_for_more(2_000);
    elbow.signal(Signal::SIGTERM);
    let status = elbow.wait_exit(PATIENCE);
    let report = load.stop();
    assert!(status.success(), "{status}");
    assert_eq!(report.failures, [""; 0], "of {} good answers", report.good);
}

#[test]
fn a_tcp_connection_may_finish_too() {
    let backend = Backend::start(|peer, _| {
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    });
    let mut elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "a");
    assert_eq!(client.read_exact(1), b"a");
    elbow.signal(Signal::SIGTERM);
    eventually("readyz says no", PATIENCE, || (elbow.admin().get("/readyz").0 == 503).then_some(()));
    client.send("b");
    assert_eq!(client.read_exact(1), b"b");
    client.finish();
    assert_eq!(client.read_to_end().0, b"");
    assert!(elbow.wait_exit(PATIENCE).success());
}

#[test]
fn a_second_signal_stops_at_once() {
    let gate = Arc::new(AtomicBool::new(false));
    let backend = gated(&gate);
    let mut elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), GET);
    backend.wait_in_flight(1);
    elbow.signal(Signal::SIGTERM);
    eventually("readyz says no", PATIENCE, || (elbow.admin().get("/readyz").0 == 503).then_some(()));
    let started = Instant::now();
    elbow.signal(Signal::SIGTERM);
    elbow.wait_exit(PATIENCE);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let (answer, _) = client.read_to_end();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    gate.store(true, Ordering::SeqCst);
}
