//! A TCP listener carries bytes and nothing else: all of them, in order, both ways, with every kind of ending.

use crate::harness::{
    Backend, Balancer, Ending, Fingerprint, PATIENCE, Peer, block, eventually, free_address, receive_stream,
    send_stream,
};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Says back what it hears, until it hears the end.
fn echo() -> Backend {
    Backend::start(|peer, seen| {
        let mut bytes = peer.try_read_some()?;
        seen.used_connections.fetch_add((!bytes.is_empty()).into(), Ordering::SeqCst);
        while !bytes.is_empty() {
            peer.try_send(bytes)?;
            bytes = peer.try_read_some()?;
        }
        Ok(())
    })
}

#[test]
fn small_messages_go_to_and_fro() {
    let backend = echo();
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for round in 0..1_000_u32 {
        client.send(round.to_be_bytes());
        assert_eq!(client.read_exact(4), round.to_be_bytes());
    }
    client.finish();
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn the_back_end_may_speak_first() {
    let backend = Backend::start(|peer, _| {
        peer.try_send("220 ready\r\n")?;
        peer.try_read_exact(4).map(drop)
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    assert_eq!(client.read_exact(11), b"220 ready\r\n");
    client.send("QUIT");
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn one_byte_writes_arrive_one_by_one_and_in_order() {
    let backend = echo();
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    let sent: Vec<u8> = (0..2_000).map(|n| (n % 251) as u8).collect();
    for byte in &sent {
        client.send([*byte]);
    }
    assert_eq!(client.read_exact(sent.len()), sent);
}

/// 128 MiB: enough to leave every buffer and every threshold behind.
const BLOCKS: u64 = 2_048;

#[test]
fn bulk_streams_arrive_whole_both_ways_at_once() {
    let (report, reported) = mpsc::channel();
    let backend = Backend::start(move |peer, _| {
        let first = peer.try_read_exact(1)?;
        assert_eq!(first, b"!");
        report.send(exchange_streams(peer)).expect("a test that waits");
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "!");
    let (up_sent, down) = exchange_streams(&mut client);
    let (down_sent, up) = reported.recv_timeout(PATIENCE).expect("the back end's report");
    assert_eq!(up, up_sent);
    assert_eq!(down, down_sent);

    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
    let metrics = elbow.admin().metrics();
    assert_eq!(metrics.sum("elbow_received_bytes_total", &[]), up.length as f64 + 1.0);
    assert_eq!(metrics.sum("elbow_sent_bytes_total", &[]), down.length as f64);
}

/// Sends a long stream and its end, while receiving another to its end.
fn exchange_streams(peer: &mut Peer) -> (Fingerprint, Fingerprint) {
    let mut sender = peer.another_handle();
    let sending = std::thread::spawn(move || {
        let sent = send_stream(&mut sender, BLOCKS);
        sender.finish();
        sent
    });
    let received = receive_stream(peer, u64::MAX);
    (sending.join().expect("sent"), received)
}

#[test]
fn a_client_that_has_finished_sending_still_hears() {
    let backend = Backend::start(|peer, _| {
        let (heard, ending) = peer.read_to_end();
        assert_eq!(ending, Ending::Closed);
        if !heard.is_empty() {
            peer.try_send([&b"heard: "[..], &heard].concat())?;
        }
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "question");
    client.finish();
    assert_eq!(client.read_to_end(), (b"heard: question".to_vec(), Ending::Closed));
}

#[test]
fn a_back_end_that_has_finished_sending_still_hears() {
    let (report, reported) = mpsc::channel();
    let backend = Backend::start(move |peer, _| {
        peer.try_send("all I have to say")?;
        peer.finish();
        let (heard, ending) = peer.read_to_end();
        if !heard.is_empty() {
            report.send((heard, ending)).expect("a test that waits");
        }
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    assert_eq!(client.read_to_end(), (b"all I have to say".to_vec(), Ending::Closed));
    client.send("and yet");
    client.finish();
    assert_eq!(reported.recv_timeout(PATIENCE).expect("a report"), (b"and yet".to_vec(), Ending::Closed));
}

#[test]
fn a_reset_of_the_client_reaches_the_back_end() {
    let (report, reported) = mpsc::channel();
    let backend = Backend::start(move |peer, _| {
        let byte = peer.try_read_exact(1)?;
        peer.try_send(byte)?;
        report.send(peer.read_to_end()).expect("a test that waits");
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "x");
    assert_eq!(client.read_exact(1), b"x");
    client.reset();
    assert_eq!(reported.recv_timeout(PATIENCE).expect("a report"), (Vec::new(), Ending::Reset));
}

#[test]
fn a_reset_of_the_back_end_reaches_the_client() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_exact(1)?;
        peer.reset_when_dropped();
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "x");
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Reset));
}

#[test]
fn without_an_instance_the_connection_ends_at_once() {
    let elbow = Balancer::tcp([free_address()]).probing("TCP:1").start_early();
    elbow.admin().wait_states(&["OutOfService"]);
    let started = Instant::now();
    // The end may come before the client has noticed the beginning.
    if let Ok(mut client) = Peer::try_connect(elbow.address()) {
        assert_eq!(client.read_to_end().0, b"");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_refused_connection_is_tried_on_another_instance() {
    let (dead, alive) = (echo(), echo());
    let elbow = Balancer::tcp([dead.address(), alive.address()]).start();
    drop(dead);
    for _ in 0..20 {
        let mut client = Peer::connect_and_send(elbow.address(), "hello");
        assert_eq!(client.read_exact(5), b"hello");
    }
}

#[test]
fn silence_ends_after_the_idle_timeout_and_not_before() {
    let backend = echo();
    let elbow = Balancer::tcp([backend.address()]).attribute("idle_timeout = 1").start();
    let mut client = Peer::connect(elbow.address());
    // Any byte in either direction starts the clock again.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_500) {
        client.send("x");
        assert_eq!(client.read_exact(1), b"x");
        std::thread::sleep(Duration::from_millis(300));
    }
    let last = Instant::now();
    assert_eq!(client.read_to_end().0, b"");
    let silent = last.elapsed() + Duration::from_millis(300);
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&silent), "{silent:?}");
}

#[test]
fn a_slow_reader_holds_the_sender_back_and_not_our_memory() {
    let backend = Backend::start(|peer, seen| {
        peer.try_read_exact(1)?;
        let block = block(0);
        // Far more than all socket buffers and pipes on the way; ends when the client leaves.
        while peer.try_send(&block).is_ok() {
            seen.in_flight.fetch_add(block.len(), Ordering::SeqCst);
        }
        Ok(())
    });
    let elbow = Balancer::tcp([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    let client = Peer::connect_and_send(elbow.address(), "!");
    let sent = || backend.seen().in_flight.load(Ordering::SeqCst);
    let stuck = eventually("the sender is held back", PATIENCE, || {
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
fn connections_go_round_robin() {
    let backends = [echo(), echo(), echo()];
    let elbow = Balancer::tcp(backends.iter().map(Backend::address)).node("cores = [0]").start();
    let clients: Vec<Peer> = (0..30)
        .map(|_| {
            let mut client = Peer::connect_and_send(elbow.address(), "x");
            client.read_exact(1);
            client
        })
        .collect();
    for backend in &backends {
        let used = backend.seen().used_connections.load(Ordering::SeqCst);
        assert_eq!(used, clients.len() / backends.len());
    }
}

#[test]
fn random_bytes_are_only_bytes() {
    let backend = echo();
    let elbow = Balancer::tcp([backend.address()]).start();
    let bytes = block(42);
    let mut client = Peer::connect(elbow.address());
    let mut sender = client.another_handle();
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || sender.send(sent));
    assert_eq!(client.read_exact(bytes.len()), bytes);
    sending.join().expect("sent");
}
