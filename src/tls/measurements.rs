//! What TLS costs, for figures in commits. Prints, asserts little; run it alone and optimised:
//! `cargo test --release --lib tls::measurements -- --ignored --nocapture --test-threads 1`

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant as Stopwatch;

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, NamedGroup, ServerConnection};

use super::testing::*;
use super::*;
use crate::base::Instant;

/// Things done in a row between two looks at the clock; no more than tickets are kept per back end.
const BATCH: usize = 32;
const ROUNDS: usize = 60;

/// Seconds for each of `count` things, taken from the fastest of some rounds: the others were disturbed.
fn fastest(count: usize, mut round: impl FnMut() -> f64) -> f64 {
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min) / count as f64
}

fn timed(work: impl FnOnce()) -> f64 {
    let watch = Stopwatch::now();
    work();
    watch.elapsed().as_secs_f64()
}

/// Server-side seconds per handshake, tickets included.
fn handshake(server: &ServerTls, client: &ClientTls) -> f64 {
    fastest(BATCH, || {
        let mut clients: Vec<End> = (0..BATCH).map(|_| End::client(client)).collect();
        let mut servers = Vec::with_capacity(BATCH);
        let mut spent = timed(|| servers.extend((0..BATCH).map(|_| End::server(server))));
        while clients.iter().any(|client| !client.out.is_empty()) {
            spent += timed(|| {
                for (server, client) in servers.iter_mut().zip(&mut clients) {
                    let _ = server.receive(&std::mem::take(&mut client.out)).expect("a handshake");
                }
            });
            for (server, client) in servers.iter_mut().zip(&mut clients) {
                let _ = client.receive(&std::mem::take(&mut server.out)).expect("a handshake");
            }
        }
        assert!(servers.iter().all(|server| !server.session.is_handshaking()));
        spent
    })
}

#[test]
#[ignore = "measures"]
fn handshakes() {
    let cases = [("TLS 1.3", TlsPolicy::ELBOW_TLS_1_3), ("TLS 1.2", "ELBSecurityPolicy-TLS-1-2-2017-01")];
    for (version, name) in cases {
        for (kind, files) in [("ECDSA", &WEB.ecdsa), ("RSA", &WEB.rsa)] {
            let settings = Server { policy: policy(name), certificates: vec![files.load()], ..Server::default() };
            let server = settings.tls();
            for (groups, only) in [("X25519MLKEM768", None), ("X25519", Some(NamedGroup::X25519))] {
                let resuming = client_with_groups(only);
                let mut forgetful = resuming.clone();
                Arc::make_mut(&mut forgetful.config).resumption = Resumption::disabled();
                let full = handshake(&server, &forgetful);
                // The first batch is still a full handshake; the fastest is not.
                let resumed = handshake(&server, &resuming);
                println!("{version} {kind} {groups}: full {:.1} us, resumed {:.1} us", full * 1e6, resumed * 1e6);
            }
        }
    }
}

/// A client that offers all our key exchange groups, or one.
fn client_with_groups(only: Option<NamedGroup>) -> ClientTls {
    let mut tls = client(&BackendTrust::Anyone, Some("web.test"), Alpn::Off);
    let mut provider = (**tls.config.crypto_provider()).clone();
    provider.kx_groups.retain(|group| only.is_none_or(|only| group.name() == only));
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(WEB.authority.authorities().store().clone())
        .with_no_client_auth();
    config.resumption = tls.config.resumption.clone();
    tls.config = Arc::new(config);
    tls
}

#[test]
#[ignore = "measures"]
fn records() {
    for name in [TlsPolicy::ELBOW_TLS_1_3, "ELBSecurityPolicy-TLS-1-2-2017-01"] {
        let server_tls = Server { policy: policy(name), ..Server::default() }.tls();
        let (mut server, mut client) = connect(&server_tls, &web_client()).expect("a handshake");
        let (mut buffered_server, mut buffered_client) = buffered(&server_tls);
        for size in [1024, 16_384] {
            let plaintext = vec![1; size];
            let mut records = vec![Vec::new(); BATCH];
            let mut received = Vec::with_capacity(size);
            let (mut seal, mut open, mut buffered_seal, mut buffered_open) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
            for _ in 0..ROUNDS {
                seal = seal.min(timed(|| {
                    for record in &mut records {
                        record.clear();
                        client.session.seal(&[&plaintext], Instant::ZERO, record).expect("sealed");
                    }
                }));
                open = open.min(timed(|| {
                    for record in &mut records {
                        received.clear();
                        let sink = |piece: &[u8]| received.extend_from_slice(piece);
                        let _ = server.session.feed(record, &mut Vec::new(), sink).expect("opened");
                        black_box(&received);
                    }
                }));
                assert_eq!(received.len(), size);
                buffered_seal = buffered_seal.min(timed(|| {
                    for record in &mut records {
                        record.clear();
                        buffered_client.writer().write_all(&plaintext).expect("sealed");
                        while buffered_client.wants_write() {
                            buffered_client.write_tls(record).expect("written");
                        }
                    }
                }));
                buffered_open = buffered_open.min(timed(|| {
                    for record in &records {
                        let mut rest = record.as_slice();
                        while !rest.is_empty() {
                            buffered_server.read_tls(&mut rest).expect("read");
                            buffered_server.process_new_packets().expect("opened");
                        }
                        received.resize(size, 0);
                        buffered_server.reader().read_exact(&mut received).expect("plaintext");
                    }
                }));
            }
            let rate = |seconds: f64| (BATCH * size) as f64 / seconds / f64::from(1 << 30);
            println!(
                "{name} {size} bytes: seal {:.2} GiB/s (buffered {:.2}), open {:.2} GiB/s (buffered {:.2})",
                rate(seal),
                rate(buffered_seal),
                rate(open),
                rate(buffered_open),
            );
        }
    }
}

/// The same connection by the library's ordinary interface.
fn buffered(server: &ServerTls) -> (ServerConnection, ClientConnection) {
    let client = web_client();
    let mut server = ServerConnection::new(server.0.clone()).expect("a connection");
    let mut client = ClientConnection::new(client.config, client.server_name).expect("a connection");
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("written");
        }
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("read");
            server.process_new_packets().expect("a handshake");
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).expect("written");
        }
        let mut rest = flight.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("read");
            client.process_new_packets().expect("a handshake");
        }
    }
    (server, client)
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

#[test]
#[ignore = "measures"]
fn memory_of_idle_sessions() {
    const SESSIONS: usize = 4500;
    for (version, name) in [("TLS 1.3", TlsPolicy::ELBOW_TLS_1_3), ("TLS 1.2", "ELBSecurityPolicy-TLS-1-2-2017-01")] {
        let server = Server { policy: policy(name), alpn: Alpn::Http2OrHttp1, ..Server::default() }.tls();
        let client = client(&BackendTrust::Anyone, Some("web.test"), Alpn::Http2OrHttp1);
        let connect_and_talk = |side: fn(End, End) -> Session| {
            let (mut server, mut client) = connect(&server, &client).expect("a handshake");
            client.send(&[1; 300]);
            exchange(&mut server, &mut client).expect("a request");
            server.send(&[2; 3000]);
            exchange(&mut server, &mut client).expect("an answer");
            side(server, client)
        };
        for (side, keep) in [
            ("server", (|server, _| server.session) as fn(End, End) -> Session),
            ("client", (|_, client| client.session) as fn(End, End) -> Session),
        ] {
            let warm: Vec<Session> = (0..100).map(|_| connect_and_talk(keep)).collect();
            let before = resident_bytes();
            let sessions: Vec<Session> = (0..SESSIONS).map(|_| connect_and_talk(keep)).collect();
            let bytes = resident_bytes().saturating_sub(before) / SESSIONS;
            println!("{version} {side}: {bytes} bytes resident per idle session");
            assert!(bytes < 8192);
            // Dropped, their memory would serve the next round.
            std::mem::forget((warm, sessions));
        }
    }
}
