//! Who gets traffic: instances in service, evenly, on every core; and who gets none the moment that changes.

use crate::harness::{Backend, Balancer, Message, Peer, Seen, answer_ok, eventually};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A back end whose `/ping` can be made to fail, and which counts everything else.
struct Moody {
    backend: Backend,
    well: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
}

impl Moody {
    fn start() -> Moody {
        let (well, served) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (is_well, serving) = (well.clone(), served.clone());
        let backend = Backend::answering(move |request: &Message| {
            match (request.head.target(), is_well.load(Ordering::SeqCst)) {
                ("/ping", true) => answer_ok("pong"),
                ("/ping", false) => b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n".to_vec(),
                _ => {
                    serving.fetch_add(1, Ordering::SeqCst);
                    answer_ok("ok")
                }
            }
        });
        Moody { backend, well, served }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

/// A request on each of many fresh connections: enough that every core gets some.
fn ask_on_fresh_connections(address: std::net::SocketAddr, count: usize) {
    for _ in 0..count {
        assert_eq!(Peer::connect(address).ask(GET).status(), 200);
    }
}

#[test]
fn an_instance_that_fails_its_probes_gets_nothing_on_any_core_until_it_is_back() {
    let (steady, moody) = (Moody::start(), Moody::start());
    let elbow = Balancer::http([steady.backend.address(), moody.backend.address()]).probing("HTTP:1/ping").start();
    let kept: Vec<Peer> = (0..16).map(|_| Peer::connect(elbow.address())).collect();
    let ask_on_kept = |mut kept: Vec<Peer>| {
        for client in &mut kept {
            assert_eq!(client.ask(GET).status(), 200);
        }
        kept
    };
    let kept = ask_on_kept(kept);
    ask_on_fresh_connections(elbow.address(), 100);
    assert!(steady.served() > 0 && moody.served() > 0);

    moody.well.store(false, Ordering::SeqCst);
    elbow.admin().wait_states(&["InService", "OutOfService"]);
    let before = moody.served();
    ask_on_fresh_connections(elbow.address(), 100);
    let kept = ask_on_kept(kept);
    assert_eq!(moody.served(), before, "requests to an instance out of service");
    let status = elbow.admin().status();
    let instance = &status["load_balancers"][0]["instances"][1];
    assert_eq!(instance["reason_code"], "Instance");
    assert_eq!(
        instance["description"],
        "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
    );

    moody.well.store(true, Ordering::SeqCst);
    elbow.admin().wait_in_service();
    ask_on_fresh_connections(elbow.address(), 100);
    ask_on_kept(kept);
    assert!(moody.served() > before, "no traffic after its return");
}

#[test]
fn when_all_fail_the_answer_is_503_and_when_one_returns_traffic_does() {
    let (one, two) = (Moody::start(), Moody::start());
    let elbow = Balancer::http([one.backend.address(), two.backend.address()]).probing("HTTP:1/ping").start();
    let mut client = Peer::connect(elbow.address());
    assert_eq!(client.ask(GET).status(), 200);
    for moody in [&one, &two] {
        moody.well.store(false, Ordering::SeqCst);
    }
    elbow.admin().wait_states(&["OutOfService", "OutOfService"]);
    assert_eq!(client.ask(GET).status(), 503);
    two.well.store(true, Ordering::SeqCst);
    elbow.admin().wait_states(&["OutOfService", "InService"]);
    assert_eq!(client.ask(GET).status(), 200);
}

#[test]
fn a_probe_asks_as_elb_does() {
    let backend = Backend::saying("ok");
    let _elbow = Balancer::http([backend.address()]).probing("HTTP:1/ping?deep=1").start();
    let seen = backend.seen().requests.lock().expect("not poisoned");
    let probe = &seen.first().expect("a probe").head;
    assert_eq!(probe.start_line, "GET /ping?deep=1 HTTP/1.1");
    assert_eq!(probe.get("user-agent"), Some("ELB-HealthChecker/1.0"));
    assert_eq!(probe.get("host"), Some(backend.address().to_string().as_str()));
}

/// Takes a request and holds its answer back until the test opens the gate.
fn hold(gate: &AtomicBool, peer: &mut Peer, seen: &Seen) -> io::Result<()> {
    while let Some(request) = peer.try_read_message()? {
        seen.requests.lock().expect("not poisoned").push(request);
        seen.in_flight.fetch_add(1, Ordering::SeqCst);
        while !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        peer.try_send(answer_ok("ok"))?;
    }
    Ok(())
}

#[test]
fn least_outstanding_is_exact_over_all_cores() {
    let gate = Arc::new(AtomicBool::new(false));
    let backends: Vec<Backend> = (0..4)
        .map(|_| {
            let gate = gate.clone();
            Backend::start(move |peer, seen| hold(&gate, peer, seen))
        })
        .collect();
    let elbow = Balancer::http(backends.iter().map(Backend::address)).start();
    let in_flight =
        || -> Vec<usize> { backends.iter().map(|backend| backend.seen().in_flight.load(Ordering::SeqCst)).collect() };
    let mut clients = Vec::new();
    for sent in 1..=40 {
        clients.push(Peer::connect_and_send(elbow.address(), GET));
        eventually("the request is at a back end", crate::harness::PATIENCE, || {
            (in_flight().iter().sum::<usize>() == sent).then_some(())
        });
        let counts = in_flight();
        let spread = counts.iter().max().expect("some") - counts.iter().min().expect("some");
        assert!(spread <= 1, "{counts:?} after {sent} requests");
    }
    assert_eq!(elbow.admin().metrics().sum("elbow_instance_in_flight", &[]), 40.0);
    gate.store(true, Ordering::SeqCst);
    for mut client in clients {
        assert_eq!(client.read_message().status(), 200);
    }
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn a_weight_is_a_share() {
    let gate = Arc::new(AtomicBool::new(false));
    let backends: Vec<Backend> = (0..2)
        .map(|_| {
            let gate = gate.clone();
            Backend::start(move |peer, seen| hold(&gate, peer, seen))
        })
        .collect();
    let elbow = Balancer::http([]).weighted(backends[0].address(), 1).weighted(backends[1].address(), 3).start();
    let mut clients = Vec::new();
    for sent in 1..=40 {
        clients.push(Peer::connect_and_send(elbow.address(), GET));
        eventually("the request is at a back end", crate::harness::PATIENCE, || {
            (backends.iter().map(Backend::request_count).sum::<usize>() == sent).then_some(())
        });
    }
    assert_eq!(backends.iter().map(Backend::request_count).collect::<Vec<_>>(), [10, 30]);
    gate.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.read_message().status(), 200);
    }
}

#[test]
fn least_outstanding_stays_even_when_all_come_at_once() {
    let gate = Arc::new(AtomicBool::new(false));
    let backends: Vec<Backend> = (0..4)
        .map(|_| {
            let gate = gate.clone();
            Backend::start(move |peer, seen| hold(&gate, peer, seen))
        })
        .collect();
    let elbow = Balancer::http(backends.iter().map(Backend::address)).start();
    let mut clients: Vec<Peer> = (0..80).map(|_| Peer::connect(elbow.address())).collect();
    for client in &mut clients {
        client.send(GET);
    }
    for backend in &backends {
        // Two cores may choose at the same instant: one more or less than an even share.
        eventually("all requests are at their back ends", crate::harness::PATIENCE, || {
            let sum: usize = backends.iter().map(Backend::request_count).sum();
            (sum == clients.len()).then_some(())
        });
        let count = backend.request_count();
        assert!((18..=22).contains(&count), "{count} of 80 at one of four");
    }
    gate.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!(client.read_message().status(), 200);
    }
}
