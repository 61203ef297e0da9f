//! Many connections, and more of them than there are descriptors for.

use crate::harness::{Backend, Balancer, PATIENCE, Peer, alone, eventually};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const MANY: usize = 10_000;

/// Whether this process may have so many open files; raises its soft limit to the hard one.
fn may_open(descriptors: usize) -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits");
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a soft limit up to the hard one");
    }
    hard >= descriptors as u64
}

#[test]
fn ten_thousand_idle_connections_leave_room_for_traffic() {
    let _turn = alone();
    if !may_open(MANY + 1_000) {
        eprintln!("not run: the hard limit of open files (ulimit -Hn) is below {}", MANY + 1_000);
        return;
    }
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let empty = elbow.process().resident_bytes();
    // Kept alive after one request each, as browsers do it.
    let mut idle: Vec<Peer> = (0..MANY).map(|_| Peer::connect(elbow.address())).collect();
    for client in &mut idle {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    assert_eq!(elbow.admin().metrics().sum("elbow_connections_active", &[]), MANY as f64);
    let each = elbow.process().resident_bytes().saturating_sub(empty) / MANY as u64;
    // Twice what is measured: this notices a buffer, or another flow's state, that every connection holds.
    assert!(each < 2_600, "{each} bytes per idle connection");

    let busy = elbow.process().cpu_time();
    std::thread::sleep(Duration::from_secs(1));
    let spent = elbow.process().cpu_time() - busy;
    assert!(spent < Duration::from_millis(100), "{spent:?} of CPU in a second without traffic");

    let mut fresh = Peer::connect(elbow.address());
    for client in idle.iter_mut().step_by(97).chain([&mut fresh]) {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    drop(idle);
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 1.0);
    assert_eq!(fresh.ask(GET).text(), "ok");
}

/// Connects without waiting for service: the kernel completes handshakes as long as the backlog has room.
fn crowd(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect()
}

#[test]
fn running_out_of_descriptors_is_survived_without_spinning() {
    const DESCRIPTORS: usize = 256;
    let _turn = alone();
    let backend = Backend::saying("ok");
    // More than there are descriptors for, so that the kernel has to say no.
    let elbow =
        Balancer::http([backend.address()]).node("max_connections = 100000").start_with_descriptors(DESCRIPTORS);
    let mut early = Peer::connect(elbow.address());
    assert_eq!(early.ask(GET).text(), "ok");

    let crowd = crowd(elbow.address(), 2 * DESCRIPTORS);
    assert!(crowd.len() > DESCRIPTORS, "only {} connected", crowd.len());
    eventually("descriptors are used up", PATIENCE, || {
        (elbow.process().open_descriptors() >= DESCRIPTORS - 32).then_some(())
    });
    let (busy, started) = (elbow.process().cpu_time(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let spent = elbow.process().cpu_time() - busy;
    assert!(spent < started.elapsed() / 5, "{spent:?} of CPU in {:?} of waiting", started.elapsed());
    // Who is served already stays served.
    assert_eq!(early.ask(GET).text(), "ok");

    drop(crowd);
    eventually("new clients are served again", PATIENCE, || {
        let mut client = Peer::try_connect(elbow.address()).ok()?;
        client.set_patience(Duration::from_secs(2));
        client.try_send(GET).ok()?;
        (client.try_read_message().ok()??.text() == "ok").then_some(())
    });
    assert_eq!(early.ask(GET).text(), "ok");
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count <= 2.0);
}

#[test]
fn more_connections_than_the_node_may_have_are_refused_and_the_others_served() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).node("max_connections = 20").start();
    let mut clients: Vec<Peer> = (0..20).map(|_| Peer::connect(elbow.address())).collect();
    for client in &mut clients {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    for _ in 0..10 {
        let mut extra = Peer::connect(elbow.address());
        let _ = extra.try_send(GET);
        let (answer, _) = extra.read_to_end();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "a connection over the limit was served");
    }
    clients.truncate(10);
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 10.0);
    for client in &mut clients {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    assert_eq!(Peer::connect(elbow.address()).ask(GET).text(), "ok");
    let refused = [("reason", "node_connection_limit")];
    elbow.admin().wait_metric("elbow_errors_total", &refused, |count| count == 10.0);
}
