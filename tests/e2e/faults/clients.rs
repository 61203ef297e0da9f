//! What clients do wrong with requests.

use super::{GET, Injected, POST, Row, Stage, hear_out, row, silent, wait_asked};
use crate::harness::{Backend, Balancer, Peer};
use std::time::Duration;

pub const ROWS: &[Row] = &[
    row("malformed_request", Some(400), |stage| says(stage, "nonsense\r\n\r\n")),
    row("host_invalid", Some(400), |stage| says(stage, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")),
    row("connect_method", Some(400), |stage| says(stage, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")),
    row("ambiguous_framing", Some(400), |stage| {
        says(stage, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na")
    }),
    row("method_not_allowed", Some(405), |stage| {
        says(stage, &format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(128)))
    }),
    row("content_too_large", Some(413), |stage| {
        says(stage, &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", u64::MAX))
    }),
    row("request_line_too_long", Some(414), |stage| {
        says(stage, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)))
    }),
    row("header_too_large", Some(431), |stage| {
        says(stage, &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(17_000)))
    }),
    row("headers_too_large", Some(431), |stage| {
        let field = format!("X: {}\r\n", "a".repeat(15_000));
        says(stage, &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", field.repeat(5)))
    }),
    row("too_many_headers", Some(431), |stage| {
        says(stage, &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(300)))
    }),
    row("transfer_coding_unknown", Some(501), |stage| {
        says(stage, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    }),
    row("version_not_supported", Some(505), |stage| says(stage, "GET / HTTP/3.0\r\nHost: a\r\n\r\n")),
    row("request_body_malformed", Some(400), |stage| {
        says(stage, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    }),
    row("request_trailers_too_large", Some(431), |stage| {
        let trailers = format!("X: {}\r\n", "a".repeat(1_000)).repeat(100);
        says(stage, &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}\r\n"))
    }),
    row("desync_blocked", Some(400), |stage| {
        let backend = Backend::saying("ok");
        let elbow = stage.start(Balancer::http([backend.address()]).attribute("desync_mitigation = \"strictest\""));
        Injected::by_saying(elbow, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", backend)
    }),
    row("client_header_timeout", Some(408), |stage| {
        under(stage, "client_header_timeout = 0.3", "GET / HTTP/1.1\r\nHo")
    }),
    row("client_body_timeout", Some(408), |stage| {
        under(stage, "client_body_timeout = 0.3", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    }),
    row("client_body_slow", Some(408), dribbles),
    row("client_rate_limit", Some(429), |stage| {
        let backend = Backend::saying("ok");
        let elbow = stage.start(Balancer::http([backend.address()]).limit("requests_per_second_per_client = 1"));
        let mut client = Peer::connect(elbow.address());
        let status = (0..20).map(|_| client.ask(GET).status()).find(|status| *status != 200);
        Injected::new(elbow, &client, status, backend)
    }),
    row("client_closed_in_head", None, |stage| leaves_after(stage, "GET / HTTP/1.1\r\nHo")),
    row("request_truncated", None, |stage| {
        leaves_after(stage, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    }),
    row("client_closed", None, |stage| {
        let silent = silent();
        let elbow = stage.start(Balancer::http([silent.address()]));
        let client = Peer::connect_and_send(elbow.address(), POST);
        wait_asked(&silent, 1);
        let injected = Injected::new(elbow, &client, None, silent);
        client.reset();
        injected
    }),
    row("client_reset", None, |stage| {
        let endless = endless();
        let elbow = stage.start(Balancer::http([endless.address()]));
        let mut client = Peer::connect_and_send(elbow.address(), GET);
        client.read_head();
        let injected = Injected::new(elbow, &client, None, endless);
        client.reset();
        injected
    }),
    row("client_send_timeout", None, |stage| {
        let endless = endless();
        let elbow = stage.start(Balancer::http([endless.address()]).attribute("idle_timeout = 1"));
        let mut client = Peer::connect_and_send(elbow.address(), GET);
        client.read_head();
        let injected = Injected::new(elbow, &client, None, ());
        Injected { _held: Box::new((client, endless)), ..injected }
    }),
    row("frames_malformed", None, |stage| {
        let backend = Backend::saying("never");
        let elbow = stage.start(Balancer::http([backend.address()]));
        // A SETTINGS frame whose length is no multiple of six (RFC 9113 section 6.5).
        let frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x05\x04\x00\x00\x00\x00\x00abcde";
        let mut client = Peer::connect_and_send(elbow.address(), frames);
        while client.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
        Injected::new(elbow, &client, None, backend)
    }),
];

/// A client that says this to a balancer all whose limits are the usual ones.
fn says(stage: &Stage, request: &str) -> Injected {
    let backend = Backend::saying("ok");
    let elbow = stage.start(Balancer::http([backend.address()]));
    Injected::by_saying(elbow, request, backend)
}

/// The same, with one limit.
fn under(stage: &Stage, limit: &str, request: &str) -> Injected {
    let backend = Backend::saying("ok");
    let elbow = stage.start(Balancer::http([backend.address()]).limit(limit));
    Injected::by_saying(elbow, request, backend)
}

/// A client that says so much and leaves.
fn leaves_after(stage: &Stage, part: &str) -> Injected {
    let backend = Backend::saying("ok");
    let elbow = stage.start(Balancer::http([backend.address()]));
    let mut client = Peer::connect_and_send(elbow.address(), part);
    client.finish();
    let status = hear_out(&mut client);
    Injected::new(elbow, &client, status, backend)
}

/// A client that is never silent for long and never done.
fn dribbles(stage: &Stage) -> Injected {
    let backend = Backend::saying("ok");
    let balancer = Balancer::http([backend.address()]);
    let elbow = stage.start(balancer.limit("client_body_timeout = 0.5\nclient_body_minimum_rate = 1000"));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n";
    let mut client = Peer::connect_and_send(elbow.address(), head);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        if client.try_send("x").is_err() || !client.is_silent() {
            break;
        }
    }
    let status = hear_out(&mut client);
    Injected::new(elbow, &client, status, backend)
}

/// An instance whose answer is more than all buffers on the way hold.
fn endless() -> Backend {
    const LENGTH: usize = 64 << 20;
    Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
            peer.try_send(vec![b'x'; LENGTH])?;
        }
        Ok(())
    })
}
