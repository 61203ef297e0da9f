//! Connections that are not let in, and connections whose bytes are not looked into.

use super::{GET, Injected, Row, Stage, falls_silent_after, row};
use crate::harness::{Authority, Backend, Balancer, PATIENCE, Peer, eventually};
use rcgen::PKCS_ECDSA_P256_SHA256;
use std::sync::atomic::Ordering;

pub const ROWS: &[Row] = &[
    row("address_denied", None, |stage| {
        let backend = Backend::saying("never");
        let elbow = stage.start(Balancer::http([backend.address()]).listener("deny = [\"127.0.0.0/8\"]"));
        Injected::by_saying(elbow, GET, backend)
    }),
    row("node_connection_limit", None, |stage| {
        let backend = Backend::saying("ok");
        second(stage, Balancer::http([backend.address()]).node("max_connections = 1"), backend)
    }),
    row("listener_connection_limit", None, |stage| {
        let backend = Backend::saying("ok");
        second(stage, Balancer::http([backend.address()]).listener("max_connections = 1"), backend)
    }),
    row("client_connection_limit", None, |stage| {
        let backend = Backend::saying("ok");
        second(stage, Balancer::http([backend.address()]).limit("connections_per_client = 1"), backend)
    }),
    row("proxy_header_malformed", None, |stage| trusted(stage, "PROXY TCP4 nonsense\r\n")),
    row("proxy_header_timeout", None, |stage| trusted(stage, "PROXY TC")),
    row("proxy_header_untrusted", None, |stage| {
        let backend = Backend::saying("never");
        let elbow = stage.start(Balancer::http([backend.address()]));
        Injected::by_saying(elbow, format!("PROXY TCP4 192.0.2.7 198.51.100.9 1234 443\r\n{GET}"), backend)
    }),
    row("tls_not_spoken", None, |stage| secure(stage, GET)),
    row("tls_handshake_timeout", None, |stage| secure(stage, "\x16\x03")),
    row("idle_timeout", None, |stage| {
        let backend = quiet();
        let elbow = stage.start(Balancer::tcp([backend.address()]).attribute("idle_timeout = 1"));
        Injected::by_saying(elbow, "hello", backend)
    }),
    row("tunnel_client_reset", None, |stage| {
        let backend = quiet();
        let elbow = stage.start(Balancer::tcp([backend.address()]));
        let probes = backend.seen().connections.load(Ordering::SeqCst);
        let client = Peer::connect_and_send(elbow.address(), "hello");
        eventually("it is carried", PATIENCE, || {
            (backend.seen().connections.load(Ordering::SeqCst) > probes).then_some(())
        });
        let injected = Injected::new(elbow, &client, None, backend);
        client.reset();
        injected
    }),
    row("tunnel_timeout", Some(101), |stage| {
        let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        let backend = falls_silent_after(switched);
        let elbow = stage.start(Balancer::http([backend.address()]).limit("tunnel_timeout = 1"));
        let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        Injected::by_saying(elbow, request, backend)
    }),
];

/// One connection too many.
fn second(stage: &Stage, balancer: Balancer, backend: Backend) -> Injected {
    let elbow = stage.start(balancer);
    let mut first = Peer::connect(elbow.address());
    assert_eq!(first.ask(GET).status(), 200);
    Injected::by_saying(elbow, GET, (first, backend))
}

/// Somebody who may speak for others says this.
fn trusted(stage: &Stage, header: &str) -> Injected {
    let backend = Backend::saying("never");
    let balancer = Balancer::http([backend.address()]).listener("proxy_protocol_from = [\"127.0.0.0/8\"]");
    let elbow = stage.start(balancer.limit("client_header_timeout = 0.3"));
    Injected::by_saying(elbow, header, backend)
}

/// A client of a secure listener says this.
fn secure(stage: &Stage, hello: &str) -> Injected {
    let authority = Authority::new();
    let certificate = authority.issue("front", "front.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("never");
    let balancer = Balancer::https([backend.address()], &[&certificate]).limit("tls_handshake_timeout = 0.3");
    let elbow = stage.start(balancer);
    let mut client = Peer::connect_and_send(elbow.address(), hello);
    while client.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
    Injected::new(elbow, &client, None, (backend, authority))
}

/// An instance that listens and says nothing.
fn quiet() -> Backend {
    Backend::start(|peer, _| {
        while peer.try_read_some().is_ok_and(|bytes| !bytes.is_empty()) {}
        Ok(())
    })
}
