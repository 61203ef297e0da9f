//! RFC 9113 sections 5, 6.8, 9 and 10: many streams on one connection, windows both ways, streams given up, goodbyes,
//! timeouts, and clients that only make work.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, answer_ok, eventually};
use crate::http2_peer::{Frame, GET, Http2Peer, POST, code, flag, header_block, kind};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

/// What memory may grow by under an attack, far below what is asked for: the receive buffers that two cores lend to the
/// kernel come to 16 MiB, and allocators keep what was used once.
const MEMORY: u64 = 48 << 20;

/// Answers when the gate is open.
fn gated(gate: &Arc<AtomicBool>) -> Backend {
    let gate = gate.clone();
    Backend::answering(move |_| {
        while !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        answer_ok("ok")
    })
}

#[test]
fn section_5_1_2_streams_at_once_are_limited_and_the_rest_can_be_asked_again() {
    let gate = Arc::new(AtomicBool::new(false));
    let backend = gated(&gate);
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    let settings = client.expect(kind::SETTINGS, 0);
    let allowed = settings.payload.chunks(6).find(|setting| setting[..2] == [0, 3]).expect("a limit");
    assert_eq!(allowed[2..], 128_u32.to_be_bytes());
    // Until our acknowledgement nothing is refused (section 6.5.3).
    client.send(&Frame::new(kind::SETTINGS, flag::ACK, 0, []));
    for stream in (0..130).map(|index| 2 * index + 1) {
        client.send(&Frame::request(stream, &GET));
    }
    for _ in 0..2 {
        let refused = client.find(|frame| frame.kind == kind::RST_STREAM).expect("a refusal");
        assert_eq!(refused.error_code(), code::REFUSED_STREAM);
        assert!(refused.stream > 2 * 127, "{refused:?}");
    }
    backend.wait_in_flight(128);
    gate.store(true, Ordering::SeqCst);
    for _ in 0..128 {
        let answer = client.find(|frame| frame.kind == kind::HEADERS).expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(client.ask(261, &GET), 200);
}

#[test]
fn section_5_1_a_slow_answer_holds_no_other() {
    let backend = Backend::answering(|request| {
        if request.head.start_line.contains("/slow") {
            std::thread::sleep(Duration::from_millis(700));
        }
        answer_ok("ok")
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    let slow = GET.map(|(name, value)| (name, if name == ":path" { "/slow" } else { value }));
    client.send(&Frame::request(1, &slow));
    client.send(&Frame::request(3, &GET));
    let order: Vec<u32> =
        (0..2).map(|_| client.find(|frame| frame.kind == kind::HEADERS).expect("one").stream).collect();
    assert_eq!(order, [3, 1]);
}

/// Answers endlessly and counts the bytes that somebody took.
fn endless(sent: &Arc<AtomicUsize>) -> Backend {
    let sent = sent.clone();
    Backend::start(move |peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")?;
            let block = vec![b'x'; 65_536];
            while peer.try_send(&block).is_ok() {
                sent.fetch_add(block.len(), Ordering::SeqCst);
            }
            sent.store(usize::MAX, Ordering::SeqCst);
        }
        Ok(())
    })
}

/// Waits until the count stands still; where.
fn standstill(sent: &AtomicUsize) -> usize {
    eventually("the back end is held", PATIENCE, || {
        let earlier = sent.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
        (earlier > 0 && sent.load(Ordering::SeqCst) == earlier).then_some(earlier)
    })
}

#[test]
fn section_5_2_a_client_that_takes_nothing_holds_the_back_end_and_not_our_memory() {
    for settings in [
        // No window at all; then all the window there is, on a connection that is not read.
        &[(INITIAL_WINDOW_SIZE, 0)][..],
        &[(INITIAL_WINDOW_SIZE, i32::MAX as u32)],
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let backend = endless(&sent);
        let elbow = Balancer::http([backend.address()]).start();
        let before = elbow.process().resident_bytes();
        let mut client = Http2Peer::connect_with(elbow.address(), settings);
        client.send(&Frame::window_update(0, i32::MAX as u32 - 65_535));
        for index in 0..20 {
            client.send(&Frame::request(2 * index + 1, &GET));
        }
        let stuck = standstill(&sent);
        let grown = elbow.process().resident_bytes().saturating_sub(before);
        assert!(stuck < 20 * (8 << 20), "{settings:?}: {stuck} bytes went somewhere");
        assert!(grown < MEMORY, "{settings:?}: {grown} bytes of memory");
    }
}

#[test]
fn section_5_2_windows_open_byte_by_byte() {
    let backend = Backend::saying("twelve bytes");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect_with(elbow.address(), &[(INITIAL_WINDOW_SIZE, 5)]);
    assert_eq!(client.ask(1, &GET), 200);
    assert_eq!(client.expect(kind::DATA, 1).payload, b"twelv");
    for expected in [&b"e"[..], b" ", b"b"] {
        client.send(&Frame::window_update(1, 1));
        assert_eq!(client.expect(kind::DATA, 1).payload, expected);
    }
    // A larger initial window opens those of open streams too (section 6.9.2).
    client.send(&Frame::settings(&[(INITIAL_WINDOW_SIZE, 1_000)]));
    assert_eq!(client.read_body(1), b"ytes");
}

#[test]
fn section_5_2_an_instance_that_reads_nothing_holds_the_client() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_head()?;
        std::thread::sleep(Duration::from_secs(20));
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::new(kind::SETTINGS, flag::ACK, 0, []));
    client.send(&Frame::head(1, &POST));
    // What the windows allow; each piece that reaches the instance opens them again.
    let (mut stream, mut connection, mut sent) = (131_072_usize, 262_144_usize, 0);
    client.set_patience(Duration::from_secs(1));
    client.expect(kind::WINDOW_UPDATE, 0);
    loop {
        let piece = stream.min(connection).min(16_384);
        if piece > 0 {
            client.send(&Frame::data(1, 0, vec![0; piece]));
            (stream, connection, sent) = (stream - piece, connection - piece, sent + piece);
            continue;
        }
        let mut header = [0; 13];
        match client.peer().try_read_exact(13) {
            Ok(bytes) => header.copy_from_slice(&bytes),
            Err(_) => break,
        }
        assert_eq!(header[3], kind::WINDOW_UPDATE, "{header:?}");
        let increment = u32::from_be_bytes(header[9..].try_into().expect("four")) as usize;
        if header[8] == 1 { stream += increment } else { connection += increment }
    }
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(sent < 64 << 20, "{sent} bytes went somewhere");
    assert!(grown < 8 << 20, "{grown} bytes of memory");
}

#[test]
fn section_6_4_a_request_given_up_leaves_its_instance_at_once() {
    let sent = Arc::new(AtomicUsize::new(0));
    let answering = endless(&sent);
    let silent = Backend::start(|peer, seen| {
        if peer.try_read_message()?.is_some() {
            seen.in_flight.fetch_add(1, Ordering::SeqCst);
            peer.read_to_end();
            seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let half_read = Backend::start(|peer, seen| {
        peer.try_read_head()?;
        seen.in_flight.fetch_add(1, Ordering::SeqCst);
        peer.read_to_end();
        seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    for (what, backend, head) in [
        ("waiting for an answer", &silent, Frame::request(1, &GET)),
        ("inside an upload", &half_read, Frame::head(1, &POST)),
        ("inside an answer", &answering, Frame::request(1, &GET)),
    ] {
        let elbow = Balancer::http([backend.address()]).start();
        let mut client = Http2Peer::connect(elbow.address());
        client.send(&head);
        elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 1.0);
        match what {
            "inside an answer" => drop(standstill(&sent)),
            _ => backend.wait_in_flight(1),
        }
        let started = Instant::now();
        client.send(&Frame::reset(1, code::CANCEL));
        elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
        match what {
            "inside an answer" => {
                eventually("the instance is cut off", PATIENCE, || {
                    (sent.load(Ordering::SeqCst) == usize::MAX).then_some(())
                });
            }
            _ => backend.wait_in_flight(0),
        }
        assert!(started.elapsed() < Duration::from_secs(2), "{what}: {:?}", started.elapsed());
        let reason = if what == "inside an answer" { "client_reset" } else { "client_closed" };
        elbow.admin().wait_metric("elbow_errors_total", &[("reason", reason)], |count| count == 1.0);
    }
}

#[test]
fn section_5_4_a_connection_that_breaks_gives_up_all_its_requests() {
    let backend = Backend::start(|peer, seen| {
        if peer.try_read_message()?.is_some() {
            seen.in_flight.fetch_add(1, Ordering::SeqCst);
            peer.read_to_end();
            seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    (0..10).for_each(|index| client.send(&Frame::request(2 * index + 1, &GET)));
    backend.wait_in_flight(10);
    drop(client);
    backend.wait_in_flight(0);
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn section_6_8_a_drain_says_goodbye_and_finishes_what_has_begun() {
    let gate = Arc::new(AtomicBool::new(false));
    let backend = gated(&gate);
    let mut elbow = Balancer::http([backend.address()]).start();
    let mut idle = Http2Peer::connect(elbow.address());
    assert_eq!(idle.next().expect("settings").kind, kind::SETTINGS);
    let mut busy = Http2Peer::connect(elbow.address());
    (0..5).for_each(|index| busy.send(&Frame::request(2 * index + 1, &GET)));
    backend.wait_in_flight(5);
    elbow.signal(Signal::SIGTERM);
    assert_eq!(idle.expect(kind::GOAWAY, 0).error_code(), code::NO_ERROR);
    assert_eq!(idle.expect(kind::GOAWAY, 0).payload[..4], 0_u32.to_be_bytes(), "nothing was asked");
    assert_eq!(idle.find(|_| true), None);
    let goaway = busy.expect(kind::GOAWAY, 0);
    assert_eq!((goaway.error_code(), &goaway.payload[..4]), (code::NO_ERROR, &[0x7f, 0xff, 0xff, 0xff][..]));
    // A request that was on its way before the client heard it is served too.
    busy.send(&Frame::request(11, &GET));
    let ping = busy.expect(kind::PING, 0);
    busy.send(&Frame::new(kind::PING, flag::ACK, 0, ping.payload));
    let last = busy.expect(kind::GOAWAY, 0);
    assert_eq!(last.payload[..4], 11_u32.to_be_bytes());
    assert!(elbow.is_running(), "requests are in flight");
    gate.store(true, Ordering::SeqCst);
    let mut answered = 0;
    while let Some(frame) = busy.next() {
        answered += usize::from(frame.kind == kind::HEADERS && frame.status() == 200);
    }
    assert_eq!(answered, 6);
    assert!(elbow.wait_exit(PATIENCE).success());
}

#[test]
fn section_9_1_quiet_connections_are_closed_in_time() {
    let backend = Backend::saying("ok");
    let elbow =
        Balancer::http([backend.address()]).attribute("idle_timeout = 1").limit("client_header_timeout = 2").start();
    let started = Instant::now();
    let mut idle = Http2Peer::connect(elbow.address());
    assert_eq!(idle.ask(1, &GET), 200);
    let mut half = Http2Peer::connect(elbow.address());
    half.send(&Frame::new(kind::HEADERS, 0, 1, header_block(&GET)));
    let mut greeting = Peer::connect_and_send(elbow.address(), "PRI * HTTP/2.0\r\n\r\n");
    assert_eq!(idle.expect_goaway(), code::NO_ERROR);
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(5)).contains(&elapsed), "{elapsed:?}");
    half.find(|_| false);
    greeting.read_to_end();
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(8)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn section_9_1_pings_keep_nobody_and_work_keeps_everybody() {
    let backend = Backend::answering(|_| {
        std::thread::sleep(Duration::from_millis(2_500));
        answer_ok("ok")
    });
    let elbow =
        Balancer::http([backend.address()]).attribute("idle_timeout = 1").limit("first_byte_timeout = 10").start();
    let mut busy = Http2Peer::connect(elbow.address());
    assert_eq!(busy.ask(1, &GET), 200);
    let mut quiet = Http2Peer::connect(elbow.address());
    let started = Instant::now();
    while quiet.try_send(&[Frame::new(kind::PING, 0, 0, [0; 8])]).is_ok() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[test]
fn a_body_that_falls_silent_is_408() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).limit("client_body_timeout = 1").start();
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::head(1, &POST));
    client.send(&Frame::data(1, 0, "half"));
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 408);
    assert_eq!(backend.request_count(), 0, "half a request was taken for whole");
}

/// Sends `frames` again and again, and reads, until the connection is ended.
#[track_caller]
fn flood(elbow: &Elbow, opening: &[Frame], mut frames: impl FnMut(u32) -> Vec<Frame>) {
    let mut client = Http2Peer::connect(elbow.address());
    client.try_send(opening).expect("taken");
    let mut reader = client.peer().another_handle();
    let reading = std::thread::spawn(move || while reader.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {});
    let ended = (0..1_000_000).find(|round| client.try_send(&frames(*round)).is_err());
    assert!(ended.is_some(), "a million rounds were taken");
    reading.join().expect("no panic");
}

#[test]
fn section_10_5_floods_end_their_connection_and_nobody_else_notices() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let many = |frame: Frame| move |_: u32| vec![frame.clone(); 100];
    let settings = Frame::settings(&[(INITIAL_WINDOW_SIZE, 65_535)]);
    let unfinished = [&GET[..], &[("content-length", "1")]].concat();
    let before = elbow.process().resident_bytes();
    let cpu = elbow.process().cpu_time();
    flood(&elbow, &[], many(Frame::new(kind::PING, 0, 0, [0; 8])));
    flood(&elbow, &[], many(settings));
    flood(&elbow, &[], many(Frame::new(kind::PRIORITY, 0, 1, [0; 5])));
    flood(&elbow, &[], many(Frame::window_update(0, 1)));
    flood(&elbow, &[], many(Frame::new(0x77, 0, 0, [])));
    flood(&elbow, &[Frame::head(1, &POST)], many(Frame::data(1, 0, "")));
    // Requests given up, and requests that we have to give up ourselves.
    flood(&elbow, &[], |round| vec![Frame::request(2 * round + 1, &GET), Frame::reset(2 * round + 1, code::CANCEL)]);
    flood(&elbow, &[], |round| vec![Frame::request(2 * round + 1, &unfinished)]);
    assert_eq!(Http2Peer::connect(elbow.address()).ask(1, &GET), 200);
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} bytes of memory");
    let spent = elbow.process().cpu_time() - cpu;
    assert!(spent < Duration::from_secs(8), "{spent:?} of CPU");
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
    elbow.admin().wait_metric("elbow_errors_total", &[("reason", "frame_flood")], |count| count == 8.0);
}

#[test]
fn section_10_5_1_heads_without_end_are_bounded() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    // A head that never ends, in frames; the same in empty ones.
    for piece in [header_block(&[("x", &"y".repeat(8_000))]), Vec::new()] {
        let opening = [Frame::new(kind::HEADERS, 0, 1, header_block(&GET))];
        flood(&elbow, &opening, |_| vec![Frame::new(kind::CONTINUATION, 0, 1, piece.clone())]);
    }
    // Small on the wire, large in memory: one field in the table, named again and again.
    let mut block = vec![0x40, 1, b'x', 0x7f, 0x81, 0x1e];
    block.extend(vec![b'y'; 4_000]);
    block.extend(vec![0xbe; 8_000]);
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, block));
    let refused = client.find(|frame| frame.stream == 1 || frame.kind == kind::GOAWAY).expect("a refusal");
    assert!(refused.kind != kind::HEADERS || refused.status() == 431, "{refused:?}");
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(grown < MEMORY, "{grown} bytes of memory");
    assert_eq!(backend.request_count(), 0);
}

#[test]
fn section_10_5_answers_that_nobody_reads_stop_the_reading() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let before = elbow.process().resident_bytes();
    let mut client = Http2Peer::connect(elbow.address());
    client.peer().stream().set_write_timeout(Some(Duration::from_secs(1))).expect("a write timeout");
    // Each costs an answer, and none is ever read.
    let burst: Vec<Frame> = (0..100).map(|_| Frame::new(kind::PING, 0, 0, [0; 8])).collect();
    (0..20_000).find(|_| client.try_send(&burst).is_err());
    let grown = elbow.process().resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes of memory");
    assert_eq!(Http2Peer::connect(elbow.address()).ask(1, &GET), 200);
}
