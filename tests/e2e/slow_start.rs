//! The share of an instance that comes into service grows.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, answer_ok, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers requests, and probes as long as it is well.
fn moody(is_well: &Arc<AtomicBool>) -> Backend {
    let well = is_well.clone();
    Backend::answering(move |request| match request.head.target() == "/probe" && !well.load(Ordering::SeqCst) {
        true => b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
        false => answer_ok("moody"),
    })
}

/// Of so many answers, those of the moody one, in hundredths.
fn part(elbow: &Elbow, count: usize) -> usize {
    let mut client = Peer::connect(elbow.address());
    (0..count).filter(|_| client.ask(GET).text() == "moody").count() * 100 / count
}

#[test]
fn an_instance_that_recovers_gets_a_growing_share_whatever_the_routing() {
    for routing in ["round_robin", "least_outstanding"] {
        let is_well = Arc::new(AtomicBool::new(true));
        let (moody, steady) = (moody(&is_well), Backend::saying("steady"));
        let elbow = Balancer::http([moody.address(), steady.address()])
            .probing("HTTP:1/probe")
            .attribute(&format!("routing = \"{routing}\"\nslow_start = 8"))
            .start();
        elbow.admin().wait_metric("elbow_slow_start_instances", &[], |starting| starting == 0.0);
        let even = part(&elbow, 400);
        assert!(even.abs_diff(50) <= 3, "{routing}: {even} % after its start");
        is_well.store(false, Ordering::SeqCst);
        elbow.admin().wait_states(&["OutOfService", "InService"]);
        is_well.store(true, Ordering::SeqCst);
        elbow.admin().wait_in_service();
        let since = Instant::now();
        assert_eq!(elbow.admin().metrics().sum("elbow_slow_start_instances", &[]), 1.0);
        // A tenth of its share beside one that has all: 9 %. On a busy machine some time has passed already.
        let first = part(&elbow, 200);
        let grown = eventually("it has half of its share", PATIENCE, || {
            (since.elapsed() >= Duration::from_secs(5)).then(|| part(&elbow, 200))
        });
        assert!(first < grown, "{routing}: {first} % at first, {grown} % in the middle");
        assert!(first <= 30 && (30..=50).contains(&grown), "{routing}: {first} % at first, {grown} % in the middle");
        elbow.admin().wait_metric("elbow_slow_start_instances", &[], |starting| starting == 0.0);
        let even = part(&elbow, 400);
        assert!(even.abs_diff(50) <= 3, "{routing}: {even} % in the end");
    }
}
