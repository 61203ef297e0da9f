//! Requests that find every instance at its limit wait in line, for a while, and as many as may.

use crate::harness::{Backend, Balancer, Elbow, Message, PATIENCE, Peer, answer_ok, eventually};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Lets requests go one by one, and knows in which order they came and how many were there at once.
#[derive(Default)]
struct Turnstile {
    may_pass: Mutex<usize>,
    changed: Condvar,
    order: Mutex<Vec<String>>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
}

impl Turnstile {
    fn pass(&self, request: &Message) -> Vec<u8> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.order.lock().expect("not poisoned").push(request.head.start_line.clone());
        let may_pass = self.may_pass.lock().expect("not poisoned");
        let waited = self.changed.wait_timeout_while(may_pass, PATIENCE, |left| *left == 0).expect("not poisoned");
        let mut may_pass = waited.0;
        *may_pass = may_pass.saturating_sub(1);
        drop(may_pass);
        self.inside.fetch_sub(1, Ordering::SeqCst);
        answer_ok("ok")
    }

    fn let_go(&self, count: usize) {
        *self.may_pass.lock().expect("not poisoned") += count;
        self.changed.notify_all();
    }
}

fn backend(turnstile: &Arc<Turnstile>) -> Backend {
    let turnstile = turnstile.clone();
    Backend::answering(move |request| turnstile.pass(request))
}

fn get(path: usize) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn wait_queued(elbow: &Elbow, count: usize) {
    elbow.admin().wait_metric("elbow_surge_queue_length", &[], |length| length == count as f64);
}

#[test]
fn who_came_first_is_served_first_and_the_limit_holds_over_all_cores() {
    const CLIENTS: usize = 12;
    let turnstile = Arc::new(Turnstile::default());
    let backend = backend(&turnstile);
    let elbow = Balancer::http([backend.address()]).limit("instance_connections = 1\nqueue_timeout = 60").start();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Peer::connect_and_send(elbow.address(), get(number)));
        match number {
            0 => backend.wait_in_flight(1),
            _ => wait_queued(&elbow, number),
        }
    }
    turnstile.let_go(CLIENTS);
    clients.iter_mut().for_each(|client| assert_eq!(client.read_message().status(), 200));
    let order = turnstile.order.lock().expect("not poisoned").clone();
    let expected: Vec<String> = (0..CLIENTS).map(|number| format!("GET /{number} HTTP/1.1")).collect();
    assert_eq!(order, expected);
    assert_eq!(turnstile.most_inside.load(Ordering::SeqCst), 1);
    wait_queued(&elbow, 0);
    assert_eq!(elbow.admin().metrics().sum("elbow_spillover_total", &[]), 0.0);
}

#[test]
fn one_too_many_spills_over_and_who_waits_too_long_is_told() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = backend(&turnstile);
    let limits = "instance_connections = 2\nsurge_queue = 1\nqueue_timeout = 1";
    let elbow = Balancer::http([backend.address()]).limit(limits).start();
    let mut served: Vec<Peer> = (0..2).map(|number| Peer::connect_and_send(elbow.address(), get(number))).collect();
    backend.wait_in_flight(2);
    let began = Instant::now();
    let mut waits = Peer::connect_and_send(elbow.address(), get(2));
    wait_queued(&elbow, 1);
    assert_eq!(Peer::connect(elbow.address()).ask(get(3)).status(), 503);
    assert_eq!(waits.read_message().status(), 503);
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let metrics = elbow.admin().metrics();
    assert_eq!(metrics.sum("elbow_spillover_total", &[]), 1.0);
    for reason in ["surge_queue_full", "queue_timeout"] {
        assert_eq!(metrics.sum("elbow_errors_total", &[("reason", reason)]), 1.0, "{reason}");
    }
    turnstile.let_go(2);
    served.iter_mut().for_each(|client| assert_eq!(client.read_message().status(), 200));
    turnstile.let_go(1);
    assert_eq!(waits.ask(get(4)).status(), 200, "a refused request costs no connection");
}

#[test]
fn a_client_that_leaves_gives_up_its_place() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = backend(&turnstile);
    let elbow = Balancer::http([backend.address()]).limit("instance_connections = 1\nqueue_timeout = 60").start();
    let mut served = Peer::connect_and_send(elbow.address(), get(0));
    backend.wait_in_flight(1);
    let leaves = Peer::connect_and_send(elbow.address(), get(1));
    wait_queued(&elbow, 1);
    let mut stays = Peer::connect_and_send(elbow.address(), get(2));
    wait_queued(&elbow, 2);
    leaves.reset();
    wait_queued(&elbow, 1);
    turnstile.let_go(2);
    assert_eq!((served.read_message().status(), stays.read_message().status()), (200, 200));
    assert_eq!(turnstile.order.lock().expect("not poisoned").len(), 2);
}

#[test]
fn tcp_connections_wait_too() {
    let echo = Backend::start(|peer, _| {
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    });
    let limits = "instance_connections = 1\nsurge_queue = 1\nqueue_timeout = 60";
    let elbow = Balancer::tcp([echo.address()]).limit(limits).start();
    let mut first = Peer::connect_and_send(elbow.address(), "a");
    assert_eq!(first.read_exact(1), b"a");
    let mut second = Peer::connect_and_send(elbow.address(), "b");
    wait_queued(&elbow, 1);
    // It is reset at once, perhaps before it knows that it is connected.
    if let Ok(mut spilled) = Peer::try_connect(elbow.address()) {
        assert_eq!(spilled.read_to_end().0, b"");
    }
    elbow.admin().wait_metric("elbow_spillover_total", &[], |count| count == 1.0);
    first.finish();
    first.read_to_end();
    assert_eq!(second.read_exact(1), b"b");
}

#[test]
fn an_instance_that_comes_into_service_takes_from_the_line() {
    let turnstile = Arc::new(Turnstile::default());
    let busy = backend(&turnstile);
    let late = crate::harness::free_address();
    let balancer = Balancer::http([busy.address(), late]).limit("instance_connections = 1\nqueue_timeout = 60");
    let elbow = balancer.probing("TCP:1").start_early();
    eventually("one is in service", PATIENCE, || {
        let states = elbow.admin().instance_states();
        (states.iter().filter(|(_, state)| state == "InService").count() == 1).then_some(())
    });
    let mut first = Peer::connect_and_send(elbow.address(), get(0));
    busy.wait_in_flight(1);
    let mut second = Peer::connect_and_send(elbow.address(), get(1));
    wait_queued(&elbow, 1);
    let _late = Backend::start_at(late, |peer, _| {
        while peer.try_read_message()?.is_some() {
            peer.try_send(answer_ok("late"))?;
        }
        Ok(())
    });
    assert_eq!(second.read_message().text(), "late");
    turnstile.let_go(1);
    assert_eq!(first.read_message().status(), 200);
}

#[test]
fn a_sticky_client_waits_for_its_instance() {
    let (one, two) = (Arc::new(Turnstile::default()), Arc::new(Turnstile::default()));
    let (first, second) = (backend(&one), backend(&two));
    let state = tempfile::tempdir().expect("a folder");
    let elbow = Balancer::http([first.address(), second.address()])
        .node(&format!("state_dir = {:?}", state.path()))
        .listener(r#"policies = ["sticky"]"#)
        .tables("[load_balancers.web.policies.sticky]\ntype = \"LBCookieStickinessPolicyType\"")
        .limit("instance_connections = 1\nqueue_timeout = 60")
        .start();
    let mut client = Peer::connect_and_send(elbow.address(), get(0));
    eventually("somebody has it", PATIENCE, || {
        let inside = [&one, &two].map(|turnstile| turnstile.inside.load(Ordering::SeqCst));
        (inside.iter().sum::<usize>() == 1).then_some(())
    });
    let (its, other) = if one.inside.load(Ordering::SeqCst) == 1 { (&one, &two) } else { (&two, &one) };
    its.let_go(1);
    let answer = client.read_message();
    let cookie = answer.head.all("set-cookie").first().expect("a cookie").to_string();
    let cookie = cookie.split(';').next().expect("a pair").to_owned();

    // Its instance is busy with another client, who holds the same cookie.
    let bound = |path: usize| format!("GET /{path} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n");
    let mut busy = Peer::connect_and_send(elbow.address(), bound(1));
    eventually("its instance is busy", PATIENCE, || (its.inside.load(Ordering::SeqCst) == 1).then_some(()));
    let mut waits = Peer::connect_and_send(elbow.address(), bound(2));
    wait_queued(&elbow, 1);
    other.let_go(1);
    assert_eq!(Peer::connect(elbow.address()).ask(get(3)).status(), 200, "whoever is not bound is not held up");
    its.let_go(2);
    assert_eq!((busy.read_message().status(), waits.read_message().status()), (200, 200));
    assert_eq!(its.order.lock().expect("not poisoned").len(), 3);
}
