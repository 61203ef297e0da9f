//! An instance that leaves finishes what it has in its time, and what is left then is cut.

use crate::harness::{Backend, Balancer, PATIENCE, Peer, answer_ok, eventually, free_address};
use crate::reload::Reloadable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers when as much time has passed.
fn taking(time: Duration) -> Backend {
    Backend::answering(move |_| {
        std::thread::sleep(time);
        answer_ok("done")
    })
}

/// Says back what it hears.
fn echoing() -> Backend {
    Backend::start(|peer, _| {
        while let Ok(byte) = peer.try_read_exact(1) {
            peer.try_send(byte)?;
        }
        Ok(())
    })
}

fn draining(seconds: u32) -> String {
    format!("draining = {{ enabled = true, timeout = {seconds} }}")
}

#[test]
fn a_deregistered_instance_may_finish_and_is_shown_until_it_has() {
    let slow = taking(Duration::from_secs(2));
    let running = Reloadable::start(&Balancer::http([slow.address()]).attribute(&draining(30)));
    let mut client = Peer::connect_and_send(running.listener, GET);
    slow.wait_in_flight(1);
    running.reload(&Balancer::http([]).attribute(&draining(30)));
    let admin = running.elbow.admin();
    let shown = admin.status()["load_balancers"][0]["instances"][0].clone();
    assert_eq!(
        (&shown["draining"], &shown["state"], &shown["in_flight"]),
        (&true.into(), &"InService".into(), &1.into())
    );
    assert_eq!(shown["description"], "Instance deregistration currently in progress.");
    assert_eq!(admin.metrics().sum("elbow_draining_instances", &[]), 1.0);
    assert_eq!(Peer::connect(running.listener).ask(GET).status(), 503, "nothing new");
    assert_eq!(client.read_message().text(), "done");
    admin.wait_metric("elbow_draining_instances", &[], |count| count == 0.0);
    assert_eq!(admin.status()["load_balancers"][0]["instances"], serde_json::json!([]));
}

#[test]
fn what_is_not_finished_in_time_is_cut() {
    let slow = taking(Duration::from_secs(20));
    let running = Reloadable::start(&Balancer::http([slow.address()]).attribute(&draining(1)));
    let mut client = Peer::connect_and_send(running.listener, GET);
    slow.wait_in_flight(1);
    let began = Instant::now();
    running.reload(&Balancer::http([]).attribute(&draining(1)));
    assert_eq!(client.read_message().status(), 504);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
    let errors = running.elbow.admin().metrics().sum("elbow_errors_total", &[("reason", "drain_timeout")]);
    assert_eq!(errors, 2.0, "the attempt that was cut, and the request that nobody else could be asked");
}

#[test]
fn where_draining_is_off_nobody_waits_for_long() {
    let (echo, slow) = (echoing(), taking(Duration::from_secs(20)));
    let tcp = Reloadable::start(&Balancer::tcp([echo.address()]));
    let http = Reloadable::start(&Balancer::http([slow.address()]));
    let mut stream = Peer::connect_and_send(tcp.listener, "a");
    assert_eq!(stream.read_exact(1), b"a");
    let mut client = Peer::connect_and_send(http.listener, GET);
    slow.wait_in_flight(1);
    let began = Instant::now();
    tcp.reload(&Balancer::tcp([]));
    http.reload(&Balancer::http([]));
    assert_eq!(client.read_message().status(), 504);
    assert_eq!(stream.read_to_end().0, b"");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn an_instance_that_fails_gives_up_what_it_has() {
    let (fails, says_so) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sick = fails.clone();
    let told = says_so.clone();
    let backend = Backend::answering(move |request| {
        if request.head.start_line.contains("/ping") {
            told.fetch_or(sick.load(Ordering::SeqCst), Ordering::SeqCst);
            let status = if sick.load(Ordering::SeqCst) { "500 Broken" } else { "200 OK" };
            return format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        }
        std::thread::sleep(Duration::from_secs(20));
        answer_ok("late")
    });
    let elbow = Balancer::http([backend.address()]).probing("HTTP:1/ping").attribute(&draining(1)).start();
    let mut client = Peer::connect_and_send(elbow.address(), GET);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 1.0);
    fails.store(true, Ordering::SeqCst);
    assert_eq!(client.read_message().status(), 504);
    assert!(says_so.load(Ordering::SeqCst), "not before it failed");
}

#[test]
fn what_an_instance_gives_up_is_done_by_another_where_that_is_safe() {
    let fails = Arc::new(AtomicBool::new(false));
    let instance = |sick: Arc<AtomicBool>, time: Duration| {
        Backend::answering(move |request| {
            let is_probe = request.head.target() == "/ping";
            match is_probe {
                true if sick.load(Ordering::SeqCst) => b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n".to_vec(),
                true => answer_ok("well"),
                false => {
                    std::thread::sleep(time);
                    answer_ok("done")
                }
            }
        })
    };
    let frozen = instance(fails.clone(), Duration::from_secs(20));
    let other = instance(Arc::default(), Duration::from_secs(3));
    let elbow = Balancer::http([frozen.address(), other.address()]).probing("HTTP:1/ping").start();
    // One after another, so that there are as many of each on both.
    let mut sent = 0.0;
    let mut send = |request: &str| {
        let peer = Peer::connect_and_send(elbow.address(), request);
        sent += 1.0;
        elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == sent);
        peer
    };
    let mut asking = vec![send(GET), send(GET)];
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut telling = vec![send(post), send(post)];
    fails.store(true, Ordering::SeqCst);
    let answers = |peers: &mut Vec<Peer>| -> Vec<u16> {
        let mut answers: Vec<u16> = peers.iter_mut().map(|peer| peer.read_message().status()).collect();
        answers.sort();
        answers
    };
    assert_eq!(answers(&mut asking), [200, 200], "asked again");
    assert_eq!(answers(&mut telling), [200, 504], "what was told may have been heard");
}

#[test]
fn connections_to_a_listener_that_is_gone_end_when_they_are_idle() {
    let slow = taking(Duration::from_millis(1500));
    let extra = free_address();
    let balancer = Balancer::http([slow.address()]).attribute(&draining(30));
    let running = Reloadable::start(&balancer.clone().also_at(extra));
    let mut idle = Peer::connect(extra);
    assert_eq!(idle.ask(GET).status(), 200);
    let mut other = Peer::connect(running.listener);
    assert_eq!(other.ask(GET).status(), 200);
    let mut busy = Peer::connect_and_send(extra, GET);
    slow.wait_in_flight(1);
    running.reload(&balancer);
    let answer = busy.read_message();
    assert_eq!((answer.text(), answer.head.get("connection")), ("done", Some("close")));
    assert_eq!(busy.read_to_end().0, b"");
    assert_eq!(idle.read_to_end().0, b"");
    assert_eq!(other.ask(GET).status(), 200, "the other listener's connections stay");
    eventually("only that one is left", PATIENCE, || {
        (running.elbow.admin().metrics().sum("elbow_connections_active", &[]) == 1.0).then_some(())
    });
}
