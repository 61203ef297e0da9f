//! Clients that are slow, silent or stubborn get their time and no more; they never hold what others need.

use crate::harness::{Backend, Balancer, Ending, PATIENCE, Peer, eventually, holds_for};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Bounds for something that is due after a second, on a machine with other work to do.
fn assert_about_a_second(elapsed: Duration) {
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn a_head_that_drips_is_cut_off_in_time() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).limit("client_header_timeout = 1").start();
    let started = Instant::now();
    let mut drippers: Vec<Peer> =
        (0..50).map(|_| Peer::connect_and_send(elbow.address(), "GET / HTTP/1.1\r\nHost: a\r\n")).collect();
    // A byte now and then must not buy more time.
    holds_for("others are served", Duration::from_millis(700), || {
        for client in &mut drippers {
            let _ = client.try_send("X");
        }
        Peer::connect(elbow.address()).ask(GET).status() == 200
    });
    for mut client in drippers {
        let answer = client.read_message();
        assert_eq!(answer.head.start_line, "HTTP/1.1 408 REQUEST_TIMEOUT");
        assert_eq!(client.read_to_end().0, b"");
    }
    assert_about_a_second(started.elapsed());
    let timeouts = [("side", "client"), ("reason", "client_header_timeout")];
    elbow.admin().wait_metric("elbow_errors_total", &timeouts, |count| count == 50.0);
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).attribute("idle_timeout = 1").start();
    let mut fresh = Peer::connect(elbow.address());
    let mut used = Peer::connect(elbow.address());
    assert_eq!(used.ask(GET).status(), 200);
    let started = Instant::now();
    assert_eq!(fresh.read_to_end(), (Vec::new(), Ending::Closed));
    assert_eq!(used.read_to_end(), (Vec::new(), Ending::Closed));
    assert_about_a_second(started.elapsed());
}

#[test]
fn a_body_that_falls_silent_is_408_and_never_whole() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).limit("client_body_timeout = 1").start();
    for framing in ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let started = Instant::now();
        let mut client = Peer::connect_and_send(elbow.address(), format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        let answer = client.read_message();
        assert_eq!(answer.head.start_line, "HTTP/1.1 408 REQUEST_TIMEOUT");
        assert_eq!(client.read_to_end().0, b"");
        assert_about_a_second(started.elapsed());
    }
    assert_eq!(backend.request_count(), 0, "half a request was taken for whole");
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn a_body_that_is_slow_but_moves_gets_all_its_time() {
    let backend = Backend::answering(|request| crate::harness::answer_ok(request.text()));
    let limits = "client_body_timeout = 1\nclient_body_minimum_rate = 0";
    let elbow = Balancer::http([backend.address()]).limit(limits).start();
    let mut client = Peer::connect_and_send(elbow.address(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for byte in b"patience" {
        std::thread::sleep(Duration::from_millis(300));
        client.send([*byte]);
    }
    assert_eq!(client.read_message().text(), "patience");
}

#[test]
fn a_client_that_does_not_read_holds_the_back_end_and_not_our_memory() {
    let backend = Backend::start(|peer, seen| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")?;
            let block = vec![b'x'; 65_536];
            while peer.try_send(&block).is_ok() {
                seen.in_flight.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    let client = Peer::connect_and_send(elbow.address(), GET);
    let sent = || backend.seen().in_flight.load(Ordering::SeqCst);
    let stuck = eventually("the back end is held", PATIENCE, || {
        let earlier = sent();
        std::thread::sleep(Duration::from_millis(300));
        (earlier > 0 && sent() == earlier).then_some(earlier)
    });
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(stuck < 64 << 20, "{stuck} bytes went somewhere");
    assert!(grown < 4 << 20, "{grown} bytes of memory for a connection that is not read");
    drop(client);
}

#[test]
fn a_back_end_that_does_not_read_holds_the_client_and_not_our_memory() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_head()?;
        // Reads no further until the test is over.
        std::thread::sleep(Duration::from_secs(30));
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    let mut client =
        Peer::connect_and_send(elbow.address(), "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n");
    client.stream().set_write_timeout(Some(Duration::from_secs(1))).expect("a write timeout");
    let block = vec![b'x'; 65_536];
    let taken = (0..1_024).take_while(|_| client.try_send(&block).is_ok()).count() * block.len();
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(taken < 64 << 20, "{taken} bytes went somewhere");
    assert!(grown < 4 << 20, "{grown} bytes of memory for a back end that does not read");
}

#[test]
fn an_upgraded_connection_ends_with_its_own_timeout() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")?;
            peer.read_to_end();
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).attribute("idle_timeout = 1").limit("tunnel_timeout = 3").start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    );
    assert_eq!(client.read_head().status(), 101);
    let started = Instant::now();
    assert_eq!(client.read_to_end().0, b"");
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(2_800)..Duration::from_secs(8)).contains(&elapsed), "{elapsed:?}");
}
