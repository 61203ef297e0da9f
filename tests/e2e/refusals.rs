//! What Elbow answers itself when a request is not good: ELB's statuses and reason phrases, an empty body, the end of
//! the connection. The back end never hears of it.

use crate::harness::{Backend, Balancer, Ending, Peer};

/// Sends `request`, expects an answer with this status line and the end of the connection.
#[track_caller]
fn assert_refused(backend: &Backend, elbow: &crate::harness::Elbow, request: &[u8], status_line: &str) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(100)]).into_owned();
    let mut client = Peer::connect(elbow.address());
    // The answer may come, and the connection end, before all is sent.
    let _ = client.try_send(request);
    let answer = client.read_message();
    assert_eq!(answer.head.start_line, status_line, "to {shown:?}");
    assert_eq!(answer.head.content_length(), Some(0), "to {shown:?}");
    assert_eq!(answer.head.get("connection"), Some("close"), "to {shown:?}");
    assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed), "after {shown:?}");
    assert_eq!(backend.request_count(), 0, "{shown:?} reached the back end");
}

#[test]
fn a_bad_request_is_answered_with_elbs_phrases() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).start();
    let long = |length: usize| "a".repeat(length);
    let bad = "HTTP/1.1 400 BAD_REQUEST";
    let cases: Vec<(String, &str)> = vec![
        ("nonsense\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".into(), bad),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), bad),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into(), bad),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na".into(), bad),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na".into(), bad),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), bad),
        (format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", long(128)), "HTTP/1.1 405 METHOD_NOT_ALLOWED"),
        (
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", u64::MAX),
            "HTTP/1.1 413 CONTENT_TOO_LARGE",
        ),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(17_000)), "HTTP/1.1 414 URI_TOO_LONG"),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(17_000)),
            "HTTP/1.1 431 REQUEST_HEADER_FIELDS_TOO_LARGE",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", format!("X: {}\r\n", long(15_000)).repeat(5)),
            "HTTP/1.1 431 REQUEST_HEADER_FIELDS_TOO_LARGE",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(300)),
            "HTTP/1.1 431 REQUEST_HEADER_FIELDS_TOO_LARGE",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(),
            "HTTP/1.1 501 NOT_IMPLEMENTED",
        ),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), "HTTP/1.1 505 HTTP_VERSION_NOT_SUPPORTED"),
    ];
    for (request, status_line) in &cases {
        assert_refused(&backend, &elbow, request.as_bytes(), status_line);
    }
    let answered = [("code", "4xx"), ("source", "elbow")];
    elbow.admin().wait_metric("elbow_requests_total", &answered, |count| count == (cases.len() - 2) as f64);
}

#[test]
fn a_limit_of_the_file_is_the_limit() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()])
        .limit("request_line = 600")
        .limit("header = 700")
        .limit("headers_total = 2000")
        .start();
    let line =
        |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length - "GET / HTTP/1.1".len()));
    assert_refused(&backend, &elbow, line(601).as_bytes(), "HTTP/1.1 414 URI_TOO_LONG");
    let field = |length: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(length - "X: ".len()));
    let too_large = "HTTP/1.1 431 REQUEST_HEADER_FIELDS_TOO_LARGE";
    assert_refused(&backend, &elbow, field(701).as_bytes(), too_large);
    let fields = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", format!("X: {}\r\n", "a".repeat(500)).repeat(count))
    };
    assert_refused(&backend, &elbow, fields(4).as_bytes(), too_large);

    let mut client = Peer::connect(elbow.address());
    for request in [line(600), field(700), fields(3)] {
        assert_eq!(client.ask(request).text(), "ok");
    }
}

#[test]
fn what_is_not_http_at_all_is_refused() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).start();
    // A TLS 1.2 ClientHello record begins like this; 0x16 is no letter of a method.
    let hello = [&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03][..], &[0x5a; 502]].concat();
    assert_refused(&backend, &elbow, &hello, "HTTP/1.1 400 BAD_REQUEST");
}

#[test]
fn random_bytes_never_hang_or_reach_the_back_end() {
    let backend = Backend::saying("never");
    let mut elbow = Balancer::http([backend.address()]).limit("client_header_timeout = 1").start();
    // A generator with a fixed seed (SplitMix64): every run sends the same.
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    };
    let mut clients = Vec::new();
    for _ in 0..200 {
        let length = 1 + next() % 3_000;
        let bytes: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[0]).collect();
        let mut client = Peer::connect(elbow.address());
        let _ = client.try_send(&bytes);
        clients.push((client, bytes));
    }
    for (mut client, bytes) in clients {
        let (answer, _) = client.read_to_end();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?} to {bytes:?}");
    }
    assert_eq!(backend.request_count(), 0);
    assert!(elbow.is_running());
}

#[test]
fn a_broken_chunk_is_no_whole_request() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).start();
    for chunk in ["zz\r\n", "-1\r\n", "5\r\nhelloX", "ffffffffffffffffff\r\n"] {
        let mut client = Peer::connect_and_send(
            elbow.address(),
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        );
        let answer = client.read_message();
        assert_eq!(answer.head.start_line, "HTTP/1.1 400 BAD_REQUEST", "to {chunk:?}");
        assert_eq!(client.read_to_end().0, b"");
    }
    assert_eq!(backend.request_count(), 0, "a request without its end was taken for whole");
}
