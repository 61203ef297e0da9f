//! A request reaches a back end, and its answer the client, as RFC 9110, RFC 9112 and ELB want it.

use crate::harness::{
    BLOCK_BYTES, Backend, Balancer, Ending, Message, Nginx, PATIENCE, Peer, ab, answer_ok, block, curl, fingerprint,
    receive_stream, send_stream,
};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

#[test]
fn curl_gets_nginx_through_elbow() {
    let nginx = Nginx::start("one");
    let elbow = Balancer::http([nginx.address()]).start();
    let address = elbow.address();
    assert_eq!(curl(&[&format!("http://{address}/any")]), "one\n");

    let echoed = curl(&["-H", "Host: shop.example:8443", &format!("http://{address}/echo?a=b%20c")]);
    let port = address.port();
    assert_eq!(
        echoed,
        format!(
            "host=shop.example:8443\nfor=127.0.0.1\nproto=http\nport={port}\nversion=HTTP/1.1\nuri=/echo?a=b%20c\n"
        )
    );
}

#[test]
fn curl_talks_http_1_0() {
    let nginx = Nginx::start("one");
    let elbow = Balancer::http([nginx.address()]).start();
    assert_eq!(curl(&["--http1.0", &format!("http://{}/", elbow.address())]), "one\n");
}

#[test]
fn ab_keeps_its_connections_in_http_1_0() {
    let nginx = Nginx::start("one");
    let elbow = Balancer::http([nginx.address()]).start();
    let counted = ab(elbow.address(), 8, 2_000);
    assert_eq!((counted.complete, counted.failed, counted.kept), (2_000, 0, 2_000));
}

#[test]
fn forwarding_fields_are_appended_or_replaced_and_host_is_untouched() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    let answer = client.ask(
        "GET /a HTTP/1.1\r\nHost: Shop.Example:81\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Port: 443\r\nX-Other: kept\r\n\r\n",
    );
    assert_eq!(answer.text(), "ok");

    let head = backend.only_request().head;
    assert_eq!(head.start_line, "GET /a HTTP/1.1");
    assert_eq!(head.get("host"), Some("Shop.Example:81"));
    assert_eq!(head.all("x-forwarded-for").join(", "), "192.0.2.1, 127.0.0.1");
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-port"), Some(elbow.address().port().to_string().as_str()));
    assert_eq!(head.get("x-other"), Some("kept"));
}

#[test]
fn hop_by_hop_fields_stop_here() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\nok"
            .to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let answer = Peer::connect(elbow.address()).ask(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip\r\nX-Kept: 1\r\n\r\n",
    );
    let request = backend.only_request().head;
    for name in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(request.all(name), [""; 0], "{name} in {request:?}");
    }
    assert!(!request.all("te").contains(&"gzip"), "{request:?}");
    for name in ["x-internal", "keep-alive"] {
        assert_eq!(answer.head.all(name), [""; 0], "{name} in {:?}", answer.head);
    }
    assert_eq!((request.get("x-kept"), answer.head.get("x-kept")), (Some("1"), Some("1")));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..100 {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    // Another client finds the connection that the first one left.
    assert_eq!(Peer::connect(elbow.address()).ask(GET).text(), "ok");
    assert_eq!(backend.request_count(), 101);
    assert_eq!(backend.seen().used_connections.load(std::sync::atomic::Ordering::SeqCst), 1);

    let reused = |value| [("load_balancer", "web"), ("reused", value)];
    let metrics = elbow.admin().metrics();
    assert_eq!(metrics.sum("elbow_backend_connections_total", &reused("false")), 1.0);
    assert_eq!(metrics.sum("elbow_backend_connections_total", &reused("true")), 100.0);
}

#[test]
fn a_client_of_http_1_0_gets_its_answer_and_the_end() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n".to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();

    let mut client = Peer::connect_and_send(elbow.address(), "GET / HTTP/1.0\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.status(), 200);
    assert_eq!(head.all("transfer-encoding"), [""; 0], "HTTP/1.0 knows no chunks");
    assert_eq!(client.read_to_end(), (b"abcdef".to_vec(), Ending::Closed));
    let request = backend.only_request().head;
    assert!(request.start_line.ends_with("HTTP/1.1"), "{request:?}");
    // ELB names itself when the client named nobody.
    assert!(request.get("host").is_some(), "{request:?}");
}

#[test]
fn a_client_of_http_1_0_may_ask_to_keep_its_connection() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..3 {
        let answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert!(answer.head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive")));
        assert_eq!(answer.text(), "ok");
    }
}

#[test]
fn a_back_end_of_http_1_0_is_understood() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.0 200 OK\r\n\r\nuntil the end")?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..2 {
        assert_eq!(client.ask(GET).text(), "until the end");
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_keeps_the_clients() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.1 200 OK\r\n\r\nfirst ")?;
            peer.try_send("second")?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..2 {
        let answer = client.ask(GET);
        assert!(answer.head.is_chunked(), "{:?}", answer.head);
        assert_eq!(answer.text(), "first second");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_reach_the_back_end_one_by_one() {
    let unread = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen_unread = unread.clone();
    let backend = Backend::start(move |peer, _| {
        while let Some(request) = peer.try_read_message()? {
            std::thread::sleep(Duration::from_millis(5));
            if !peer.is_silent() {
                unread.lock().expect("not poisoned").push(request.head.start_line.clone());
            }
            peer.try_send(answer_ok(request.head.target()))?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut client = Peer::connect_and_send(elbow.address(), requests);
    for n in 0..20 {
        assert_eq!(client.read_message().text(), format!("/{n}"));
    }
    assert_eq!(*seen_unread.lock().expect("not poisoned"), [""; 0], "requests that came with another behind them");
}

#[test]
fn a_thousand_requests_at_once_are_a_thousand_answers() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.head.target()));
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    let mut sender = client.another_handle();
    let sending = std::thread::spawn(move || {
        let requests: String = (0..1_000).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        sender.send(requests);
        sender.finish();
    });
    for n in 0..1_000 {
        assert_eq!(client.read_message().text(), format!("/{n}"));
    }
    sending.join().expect("sent");
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let backend = Backend::answering(|_: &Message| {
        std::thread::sleep(Duration::from_millis(100));
        answer_ok("late")
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), GET);
    client.finish();
    assert_eq!(client.read_message().text(), "late");
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn a_client_of_ipv6_is_named_without_brackets() {
    let backend = Backend::saying("ok");
    let address = std::net::TcpListener::bind("[::1]:0").and_then(|listener| listener.local_addr());
    let Ok(address) = address else {
        eprintln!("not run: no IPv6 on this machine");
        return;
    };
    let elbow = Balancer::http([backend.address()]).start_at(address);
    assert_eq!(Peer::connect(address).ask("GET / HTTP/1.0\r\n\r\n").text(), "ok");
    let head = backend.only_request().head;
    assert_eq!((head.get("x-forwarded-for"), head.get("host")), (Some("::1"), Some("[::1]")));
    drop(elbow);
}

#[test]
fn a_pipelined_body_is_not_taken_for_a_request() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.text()));
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.1\r\n\
         POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
         GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let texts = [(); 3].map(|()| client.read_message().text().to_string());
    assert_eq!(texts, ["GET / HTTP/1.1\r\n", "hi", ""]);
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nabcd\r\n2;note=1\r\nef\r\n\
          0\r\nX-Sum: 6\r\n\r\n"
            .to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "PUT / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n",
    );
    // In pieces that split size lines, data and trailers.
    for piece in ["5\r", "\nhel", "lo\r\n", "6;x=y\r\n world\r", "\n0\r\nX-Che", "ck: 11\r\n\r", "\n"] {
        client.send(piece);
        std::thread::sleep(Duration::from_millis(2));
    }
    let answer = client.read_message();
    let request = backend.only_request();
    assert!(request.head.is_chunked(), "{:?}", request.head);
    assert_eq!(request.text(), "hello world");
    assert_eq!(request.body.trailers, [("x-check".to_string(), "11".to_string())]);
    assert!(answer.head.is_chunked(), "{:?}", answer.head);
    assert_eq!(answer.text(), "abcdef");
    assert_eq!(answer.body.trailers, [("x-sum".to_string(), "6".to_string())]);
}

#[test]
fn elbow_tells_a_client_to_continue() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.text()));
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.read_head().status(), 100);
    assert_eq!(client.ask("hello").text(), "hello");
    assert_eq!(backend.only_request().head.all("expect"), [""; 0]);
}

#[test]
fn interim_answers_pass() {
    let backend = Backend::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), GET);
    let interim = client.read_head();
    assert_eq!((interim.status(), interim.get("link")), (103, Some("</a.css>; rel=preload")));
    assert_eq!(client.read_message().text(), "ok");
    // HTTP/1.0 knows no interim answers (RFC 9110 section 15.2).
    let mut old = Peer::connect_and_send(elbow.address(), "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.read_message().text(), "ok");
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let backend = Backend::answering(|request: &Message| match request.head.target() {
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX-A: 1\r\n\r\n".to_vec(),
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n".to_vec(),
        _ => answer_ok("body"),
    });
    let elbow = Balancer::http([backend.address()]).node("cores = [0]").start();
    let mut client = Peer::connect(elbow.address());
    let cases = [("HEAD", "/head", 200), ("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/204", 204)];
    for (method, target, status) in cases {
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.read_head();
        assert_eq!(head.status(), status, "{head:?}");
        assert_eq!(client.ask(GET).text(), "body", "behind {method} {target}");
    }
    client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_head().content_length(), Some(1000));
}

#[test]
fn an_early_answer_ends_a_body_that_nobody_wants() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_head()?.is_some() {
            peer.try_send("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop")?;
            // Waits until the balancer has gone: an early close would be a reset.
            peer.read_to_end();
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nthe first bytes",
    );
    let answer = client.read_message();
    assert_eq!((answer.status(), answer.text()), (413, "stop"));
    // The rest of the body cannot be waited for: the connection ends, and says so before.
    assert_eq!(answer.head.get("connection"), Some("close"));
    client.finish();
    assert_eq!(client.read_to_end().0, b"");
}

#[test]
fn an_early_answer_is_there_before_the_body_is() {
    let backend = Backend::start(|peer, _| {
        if let Some(head) = peer.try_read_head()? {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nearly")?;
            let body = peer.try_read_body(&head)?;
            peer.try_send(&body.bytes[..5])?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    let head = client.read_head();
    assert_eq!((head.status(), client.read_exact(5)), (200, b"early".to_vec()));
    client.send("12345");
    assert_eq!(client.read_exact(5), b"12345");
}

#[test]
fn an_upgraded_connection_is_a_tunnel() {
    let backend = Backend::start(|peer, seen| {
        if let Some(request) = peer.try_read_message()? {
            seen.requests.lock().expect("not poisoned").push(request);
            peer.try_send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01first words",
            )?;
            while let Ok(byte) = peer.try_read_exact(1) {
                peer.try_send([byte[0].wrapping_add(1)])?;
            }
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(
        elbow.address(),
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\x10\x20",
    );
    let head = client.read_head();
    assert_eq!(head.status(), 101, "{head:?}");
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert!(head.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{head:?}");
    assert_eq!(head.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.read_exact(12), b"\x01first words");
    assert_eq!(client.read_exact(2), b"\x11\x21", "what came with the request belongs to the tunnel");
    for byte in 0..=254 {
        client.send([byte]);
        assert_eq!(client.read_exact(1), [byte + 1]);
    }
    let request = backend.only_request().head;
    assert_eq!(request.get("upgrade"), Some("websocket"));
    assert_eq!(request.get("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    client.finish();
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn each_side_of_a_tunnel_may_finish_first() {
    let backend = Backend::start(|peer, _| {
        let Some(request) = peer.try_read_message()? else { return Ok(()) };
        peer.try_send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")?;
        if request.head.target() == "/back-end-first" {
            peer.finish();
            peer.read_to_end();
        } else {
            let (heard, _) = peer.read_to_end();
            peer.try_send(heard)?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let upgrade = |target| format!("GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");

    let mut client = Peer::connect_and_send(elbow.address(), upgrade("/client-first"));
    assert_eq!(client.read_head().status(), 101);
    client.send("last words");
    client.finish();
    assert_eq!(client.read_to_end(), (b"last words".to_vec(), Ending::Closed));

    let mut client = Peer::connect_and_send(elbow.address(), upgrade("/back-end-first"));
    assert_eq!(client.read_head().status(), 101);
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
    client.send("still here");
    client.finish();
    elbow.admin().wait_metric("elbow_connections_active", &[], |count| count == 0.0);
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    let backend = Backend::saying("no");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        assert_eq!((answer.status(), answer.text()), (200, "no"));
    }
}

#[test]
fn the_client_that_asks_to_close_is_closed() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect_and_send(elbow.address(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = client.read_message();
    assert_eq!((answer.text(), answer.head.get("connection")), ("ok", Some("close")));
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
}

#[test]
fn a_back_end_that_closes_does_not_close_the_client() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..5 {
        let answer = client.ask(GET);
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
    }
}

/// 64 MiB: enough to leave every buffer and every threshold behind.
const BLOCKS: u64 = 1_024;
const BODY_BYTES: u64 = BLOCKS * BLOCK_BYTES as u64;

#[test]
fn a_large_answer_arrives_whole() {
    let nginx = Nginx::start("files");
    let stream: Vec<u8> = (0..BLOCKS).flat_map(block).collect();
    nginx.put_file("large", &stream);
    let elbow = Balancer::http([nginx.address()]).start();
    let expected = fingerprint(&stream);
    let mut client = Peer::connect(elbow.address());
    for _ in 0..2 {
        client.send("GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.read_head().content_length(), Some(BODY_BYTES as usize));
        assert_eq!(receive_stream(&mut client, BODY_BYTES), expected);
    }
}

#[test]
fn a_large_request_arrives_whole() {
    let (report, reported) = mpsc::channel();
    let backend = Backend::start(move |peer, _| {
        while peer.try_read_head()?.is_some() {
            report.send(receive_stream(peer, BODY_BYTES)).expect("a test that waits");
            peer.try_send(answer_ok("thanks"))?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..2 {
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_BYTES}\r\n\r\n"));
        let sent = send_stream(&mut client, BLOCKS);
        assert_eq!(client.read_message().text(), "thanks");
        assert_eq!(reported.recv_timeout(PATIENCE).expect("a report"), sent);
    }
}

#[test]
fn one_byte_at_a_time_is_a_request_like_any_other() {
    let backend = Backend::answering(|request: &Message| answer_ok(request.text()));
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for byte in b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.send([*byte]);
    }
    assert_eq!(client.read_message().text(), "abc");
}
