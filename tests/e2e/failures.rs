//! What a client hears when the back end fails: ELB's 502, 503 and 504 (elb-api section 6.5), or, where it is safe,
//! nothing at all because another attempt succeeded.

use crate::harness::{Backend, Balancer, Message, Peer, answer_ok, eventually, free_address};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const CAPACITY: &str = "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity";
const GATEWAY_TIMEOUT: &str = "HTTP/1.1 504 GATEWAY_TIMEOUT";

#[track_caller]
fn assert_own_answer(answer: &Message, status_line: &str) {
    assert_eq!(answer.head.start_line, status_line);
    assert_eq!(answer.head.content_length(), Some(0));
}

#[test]
fn without_an_instance_in_service_the_answer_is_503_at_once() {
    let nobody = free_address();
    let elbow = Balancer::http([nobody]).probing("TCP:1").start_early();
    elbow.admin().wait_states(&["OutOfService"]);
    let mut client = Peer::connect(elbow.address());
    for _ in 0..3 {
        let started = Instant::now();
        assert_own_answer(&client.ask(GET), CAPACITY);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
}

#[test]
fn a_refused_connection_everywhere_is_504() {
    let backend = Backend::saying("gone soon");
    let address = backend.address();
    let elbow = Balancer::http([address]).start();
    drop(backend);
    let mut client = Peer::connect(elbow.address());
    for request in [GET, GET, POST] {
        assert_own_answer(&client.ask(request), GATEWAY_TIMEOUT);
    }
    let errors = elbow.admin().metrics().sum("elbow_backend_connection_errors_total", &[]);
    assert!(errors >= 3.0, "{errors}");
}

#[test]
fn a_refused_connection_is_tried_on_another_instance() {
    let dead = Backend::saying("dead");
    let alive = Backend::saying("alive");
    let elbow = Balancer::http([dead.address(), alive.address()]).start();
    drop(dead);
    let mut client = Peer::connect(elbow.address());
    for _ in 0..20 {
        assert_eq!(client.ask(GET).text(), "alive");
        assert_eq!(client.ask(POST).text(), "alive");
    }
}

#[test]
fn a_back_end_that_closes_before_it_answers_is_504() {
    let backend = Backend::start(|peer, seen| {
        if let Some(request) = peer.try_read_message()? {
            seen.requests.lock().expect("not poisoned").push(request);
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    assert_own_answer(&Peer::connect(elbow.address()).ask(POST), GATEWAY_TIMEOUT);
    assert_eq!(backend.request_count(), 1, "a POST that was sent is not sent again");
    assert_own_answer(&Peer::connect(elbow.address()).ask(GET), GATEWAY_TIMEOUT);
}

#[test]
fn a_back_end_that_resets_before_it_answers_is_504() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_message()?;
        peer.reset_when_dropped();
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    assert_own_answer(&Peer::connect(elbow.address()).ask(POST), GATEWAY_TIMEOUT);
}

#[test]
fn an_answer_that_cannot_be_read_is_502() {
    let bad = [
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ];
    let next = Arc::new(AtomicUsize::new(0));
    let backend = Backend::answering(move |_| bad[next.fetch_add(1, Ordering::SeqCst) % bad.len()].into());
    let elbow = Balancer::http([backend.address()]).start();
    for text in bad {
        let answer = Peer::connect(elbow.address()).ask(POST);
        assert_eq!(answer.head.start_line, "HTTP/1.1 502 BAD_GATEWAY", "to {text:?}");
        assert_eq!(answer.head.content_length(), Some(0));
    }
}

#[test]
fn a_back_end_that_does_not_answer_in_time_is_504() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_message()?;
        peer.read_to_end();
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).limit("first_byte_timeout = 1").start();
    let mut client = Peer::connect(elbow.address());
    let started = Instant::now();
    assert_own_answer(&client.ask(POST), GATEWAY_TIMEOUT);
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&elapsed), "{elapsed:?}");
}

#[test]
fn an_instance_that_does_not_accept_is_given_up_in_time() {
    // A full backlog: the kernel drops further SYNs, as a machine that is gone would.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let address = free_address();
    listener.bind(&address.into()).expect("a free address");
    listener.listen(1).expect("listen");
    let fillers: Vec<socket2::Socket> = (0..4)
        .map(|_| {
            let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            filler.set_nonblocking(true).expect("non-blocking");
            let _ = filler.connect(&address.into());
            filler
        })
        .collect();
    let alive = Backend::saying("alive");
    let elbow =
        Balancer::http([address, alive.address()]).limit("connect_timeout = 0.5").probing("TCP:1").start_early();
    // Probes fail too; the question is what happens to requests before they have failed often enough.
    let mut client = Peer::connect(elbow.address());
    for _ in 0..10 {
        let started = Instant::now();
        let answer = client.ask(GET);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        if answer.status() == 503 {
            // Nothing is in service yet.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        assert_eq!(answer.text(), "alive");
    }
    elbow.admin().wait_states(&["OutOfService", "InService"]);
    drop(fillers);
}

#[test]
fn a_kept_connection_that_died_does_not_fail_a_request_that_may_be_repeated() {
    // Answers one request per connection and closes without saying so.
    let backend = Backend::start(|peer, seen| {
        if let Some(request) = peer.try_read_message()? {
            seen.requests.lock().expect("not poisoned").push(request);
            peer.try_send(answer_ok("ok"))?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..200 {
        let answer = client.ask(GET);
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
    }
    assert_eq!(backend.request_count(), 200);
}

#[test]
fn a_kept_connection_that_dies_with_the_request_on_it_is_tried_again_when_that_is_safe() {
    // The second request of a connection is taken and not answered: what a back end that times out idle connections
    // does when the two cross.
    let backend = Backend::start(|peer, seen| {
        if peer.try_read_message()?.is_some() {
            peer.try_send(answer_ok("ok"))?;
            if let Some(request) = peer.try_read_message()? {
                seen.requests.lock().expect("not poisoned").push(request);
            }
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..50 {
        let answer = client.ask(GET);
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
    }
    assert!(backend.request_count() > 0, "no request met a dying connection");
}

#[test]
fn a_post_on_a_kept_connection_that_dies_is_never_sent_twice() {
    // Takes the second request of a connection, acts upon it, and dies without an answer.
    let backend = Backend::start(|peer, seen| {
        for answered in [true, false] {
            let Some(request) = peer.try_read_message()? else { return Ok(()) };
            seen.requests.lock().expect("not poisoned").push(request);
            if answered {
                peer.try_send(answer_ok("ok"))?;
            }
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut client = Peer::connect(elbow.address());
    let mut statuses = Vec::new();
    for n in 0..20 {
        let answer = client.ask(format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        statuses.push(answer.status());
    }
    let requests = backend.seen().requests.lock().expect("not poisoned");
    let mut targets: Vec<&str> = requests.iter().map(|request| request.head.target()).collect();
    targets.sort_unstable();
    let sent = targets.len();
    targets.dedup();
    assert_eq!(targets.len(), sent, "some were sent twice; the client got {statuses:?}");
    assert!(statuses.contains(&504) && statuses.iter().all(|status| [200, 504].contains(status)), "{statuses:?}");
}

#[test]
fn an_answer_with_too_large_a_head_is_502_and_one_within_limits_passes() {
    let backend = Backend::answering(|request: &Message| {
        let length: usize = request.head.target()[1..].parse().expect("a length");
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Large: {}\r\n\r\n", "x".repeat(length)).into_bytes()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let ask = |length: usize| Peer::connect(elbow.address()).ask(format!("GET /{length} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let large = ask(15_000);
    assert_eq!((large.status(), large.head.get("x-large").map(str::len)), (200, Some(15_000)));
    assert_eq!(ask(1_000_000).head.start_line, "HTTP/1.1 502 BAD_GATEWAY");
}

#[test]
fn an_answer_that_breaks_off_is_cut_and_not_made_whole() {
    let backend = Backend::start(|peer, _| {
        if let Some(request) = peer.try_read_message()? {
            let answer: &[u8] = match request.head.target() {
                "/length" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            };
            peer.try_send(answer)?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    for target in ["/length", "/chunked"] {
        let mut client = Peer::connect_and_send(elbow.address(), format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.read_head().status(), 200);
        let (body, _) = client.read_to_end();
        let text = String::from_utf8(body).expect("UTF-8");
        assert!(text.contains("half"), "{text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{target}: the broken answer was ended as if whole: {text:?}");
    }
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let backend = Backend::start(|peer, seen| {
        if let Some(request) = peer.try_read_message()? {
            seen.requests.lock().expect("not poisoned").push(request);
            // Ends when the balancer gives the exchange up.
            peer.read_to_end();
            seen.in_flight.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let client = Peer::connect_and_send(elbow.address(), GET);
    backend.only_request();
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 1.0);
    client.reset();
    backend.wait_in_flight(1);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn the_instance_count_follows_what_probes_say() {
    let backend = Backend::saying("ok");
    let address = backend.address();
    let elbow = Balancer::http([address]).probing("TCP:1").start();
    assert_eq!(elbow.admin().metrics().sum("elbow_healthy_instances", &[]), 1.0);
    drop(backend);
    elbow.admin().wait_metric("elbow_unhealthy_instances", &[], |count| count == 1.0);
    let mut client = Peer::connect(elbow.address());
    assert_own_answer(&client.ask(GET), CAPACITY);
    let _back = Backend::start_at(address, |peer, _| {
        while peer.try_read_message()?.is_some() {
            peer.try_send(answer_ok("back"))?;
        }
        Ok(())
    });
    elbow.admin().wait_in_service();
    eventually("the client's connection works again", Duration::from_secs(5), || {
        (client.ask(GET).status() == 200).then_some(())
    });
}
