//! Sessions of ours against each other.

use proptest::prelude::*;
use rcgen::PKCS_ECDSA_P256_SHA256;

use super::*;
use crate::model::{Keyword, UnknownName};
use crate::tls::testing::*;
use crate::tls::*;

const TLS_1_2: &str = "ELBSecurityPolicy-TLS-1-2-2017-01";
const TLS_1_3: &str = TlsPolicy::ELBOW_TLS_1_3;

fn server_with_policy(name: &str) -> ServerTls {
    Server { policy: policy(name), ..Server::default() }.tls()
}

#[test]
fn both_versions_carry_data_both_ways_and_say_what_was_agreed() {
    let cases = [
        (TLS_1_2, Protocol::TlsV1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", "X25519"),
        (TLS_1_3, Protocol::TlsV1_3, "TLS_AES_128_GCM_SHA256", "X25519MLKEM768"),
        (TlsPolicy::ELBOW_TLS_1_2, Protocol::TlsV1_3, "TLS_AES_128_GCM_SHA256", "X25519MLKEM768"),
    ];
    for (name, protocol, cipher, group) in cases {
        let (mut server, mut client) = connect(&server_with_policy(name), &web_client()).expect("a handshake");
        client.send(b"question");
        server.send(b"answer");
        exchange(&mut server, &mut client).expect("an exchange");
        assert_eq!((server.plaintext.as_slice(), client.plaintext.as_slice()), (&b"question"[..], &b"answer"[..]));
        for session in [&server.session, &client.session] {
            assert_eq!(session.protocol(), Some(protocol));
            assert_eq!(session.cipher().map(Keyword::as_str), Some(cipher));
            assert_eq!(session.group(), Some(group));
            assert_eq!(session.server_name(), Some("web.test"));
            assert!(!session.is_resumed());
        }
    }
}

#[test]
fn the_client_s_order_of_ciphers_counts_unless_ours_does() {
    use crate::model::{Cipher, CustomPolicy, SecurityPolicy, TlsVersion};
    for (server_order, expected) in [(true, "ECDHE-ECDSA-AES128-GCM-SHA256"), (false, "ECDHE-ECDSA-AES256-GCM-SHA384")]
    {
        let ciphers = Cipher::all().collect();
        let custom = CustomPolicy::new([TlsVersion::Tls12].into(), ciphers, server_order).expect("a policy");
        let policy = TlsPolicy::of(&SecurityPolicy::Custom(custom)).negotiable().expect("something left");
        let server = Server { policy, ..Server::default() }.tls();
        let (server, _) = connect(&server, &web_client()).expect("a handshake");
        assert_eq!(server.session.cipher().map(Keyword::as_str), Some(expected));
    }
}

#[test]
fn sessions_resume_in_both_versions_also_on_a_rebuilt_configuration() {
    for name in [TLS_1_2, TLS_1_3] {
        let settings = Server { policy: policy(name), ..Server::default() };
        let client_tls = web_client();
        for round in 0..4 {
            let (mut server, mut client) = connect(&settings.tls(), &client_tls).expect("a handshake");
            client.send(b"question");
            exchange(&mut server, &mut client).expect("an exchange");
            assert_eq!(server.plaintext, b"question");
            for session in [&server.session, &client.session] {
                assert_eq!(session.is_resumed(), round > 0, "{name}, round {round}");
            }
        }
    }
}

#[test]
fn a_ticket_does_not_pass_to_a_listener_that_asks_for_a_client_certificate() {
    let anonymous = Server::default();
    let client_tls = web_client();
    connect(&anonymous.tls(), &client_tls).expect("a handshake");
    let strict = Server {
        client_auth: ClientAuth::Required(WEB.authority.authorities()),
        tickets: anonymous.tickets.clone(),
        ..Server::default()
    };
    let refused = connect(&strict.tls(), &client_tls).map(|_| ());
    assert_eq!(refused, Err(TlsFault::CertificateMissing));
}

#[test]
fn tickets_leave_right_after_the_client_s_finished() {
    let (mut server, mut client) = (End::server(&server_with_policy(TLS_1_3)), End::client(&web_client()));
    let _ = server.receive(&std::mem::take(&mut client.out)).expect("a hello");
    let _ = client.receive(&std::mem::take(&mut server.out)).expect("a flight");
    assert!(!client.session.is_handshaking(), "the client may send with its Finished");
    client.send(b"early question");
    let _ = server.receive(&std::mem::take(&mut client.out)).expect("a Finished");
    assert_eq!(server.plaintext, b"early question");
    assert!(!server.out.is_empty(), "tickets wait in the same feed");
}

#[test]
fn the_application_protocol_is_agreed_or_the_handshake_fails() {
    use ApplicationProtocol::{Http1, Http2};
    let cases = [
        (Alpn::Http2OrHttp1, Alpn::Http2OrHttp1, Ok(Some(Http2))),
        (Alpn::Http1, Alpn::Http2OrHttp1, Ok(Some(Http1))),
        (Alpn::Http2OrHttp1, Alpn::Http1, Ok(Some(Http1))),
        (Alpn::Off, Alpn::Http2OrHttp1, Ok(None)),
        (Alpn::Http2OrHttp1, Alpn::Off, Ok(None)),
        (Alpn::Http1, Alpn::Http2, Err(TlsFault::NoSharedApplicationProtocol)),
    ];
    for (ours, theirs, expected) in cases {
        let server = Server { alpn: ours, ..Server::default() }.tls();
        let client = client(&BackendTrust::Anyone, Some("web.test"), theirs);
        let agreed = connect(&server, &client).map(|(server, client)| {
            assert_eq!(server.session.alpn(), client.session.alpn());
            server.session.alpn()
        });
        assert_eq!(agreed, expected, "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_goodbye_is_told_from_a_cut() {
    let (mut server, mut client) = connect(&server_with_policy(TLS_1_3), &web_client()).expect("a handshake");
    assert_eq!(server.session.handle_end(), Err(TlsFault::Truncated));
    client.send(b"last words");
    client.session.close_notify(&mut client.out);
    let length = client.out.len();
    client.session.close_notify(&mut client.out);
    assert_eq!(client.out.len(), length, "once is enough");
    client.out.extend_from_slice(b"ignored");
    let _ = server.receive(&std::mem::take(&mut client.out)).expect("a goodbye");
    assert_eq!(server.plaintext, b"last words");
    assert!(server.session.is_peer_closed());
    assert_eq!(server.session.handle_end(), Ok(()));
    server.send(b"half open");
    exchange(&mut server, &mut client).expect("an exchange");
    assert_eq!(client.plaintext, b"half open");
    let sealed = client.session.seal(&[b"too late"], Instant::ZERO, &mut client.out);
    assert_eq!(sealed, Err(TlsFault::Internal));
    assert_eq!(End::server(&Server::default().tls()).session.handle_end(), Err(TlsFault::HandshakeAbandoned));
}

#[test]
fn failures_have_a_reason_and_tell_the_peer() {
    let strangers = TestAuthority::new("Strangers");
    let authorities = |authority: &TestAuthority| BackendTrust::Authorities(authority.authorities());
    let expired = WEB.authority.issue_with(&["web.test"], &PKCS_ECDSA_P256_SHA256, |parameters| {
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let expired = Server { certificates: vec![expired.load()], ..Server::default() };
    let strict = Server { unknown_name: UnknownName::Refuse, ..Server::default() };
    let web = authorities(&WEB.authority);
    let cases = [
        (&Server::default(), &authorities(&strangers), Some("web.test"), TlsFault::CertificateUntrusted),
        (&Server::default(), &web, Some("other.test"), TlsFault::CertificateWrongName),
        (&expired, &web, Some("web.test"), TlsFault::CertificateExpired),
        (&strict, &web, Some("other.test"), TlsFault::UnknownServerName),
        (&strict, &BackendTrust::Anyone, None, TlsFault::UnknownServerName),
    ];
    for (settings, trust, name, expected) in cases {
        let (mut server, mut client) = (End::server(&settings.tls()), End::client(&client(trust, name, Alpn::Off)));
        let fault = exchange(&mut server, &mut client).expect_err("a fault");
        assert_eq!(fault, expected);
        let server_failed = server.session.handle_end() == Err(expected);
        let (failed, told) = if server_failed { (&mut server, &mut client) } else { (&mut client, &mut server) };
        let heard = told.receive(&std::mem::take(&mut failed.out)).expect_err("an alert");
        assert!(matches!(heard, TlsFault::PeerAlert(_)), "{expected}: heard {heard}");
        assert_eq!(failed.receive(b"more").expect_err("the same fault"), expected);
    }
}

#[test]
fn what_is_no_tls_is_called_so_and_answered_with_an_alert() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"[..], TlsFault::NotTls),
        (&[22, 3, 1, 0xff, 0xff], TlsFault::NotTls),
        (&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0], TlsFault::Malformed),
    ] {
        let mut server = End::server(&Server::default().tls());
        assert_eq!(server.receive(bytes), Err(expected));
        assert_eq!(server.out.first(), Some(&21), "an alert record");
    }
}

#[test]
fn progress_says_how_much_of_a_record_is_missing() {
    let (mut server, mut client) = connect(&server_with_policy(TLS_1_3), &web_client()).expect("a handshake");
    client.send(&[7; 1000]);
    let record = std::mem::take(&mut client.out);
    assert_eq!(server.receive(&record[..3]), Ok(Progress { consumed: 0, missing: 2 }));
    assert_eq!(server.receive(&record[3..105]), Ok(Progress { consumed: 0, missing: record.len() - 105 }));
    assert_eq!(server.receive(&record[105..]), Ok(Progress { consumed: record.len(), missing: 0 }));
    assert_eq!(server.plaintext, [7; 1000]);
}

#[test]
fn records_are_small_first_and_large_later() {
    let (_, mut client) = connect(&server_with_policy(TLS_1_3), &web_client()).expect("a handshake");
    client.send(&[0; 100_000]);
    let mut sizes = Vec::new();
    let mut rest = client.out.as_slice();
    while let [_, _, _, high, low, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        sizes.push(length - 17);
        rest = &body[length..];
    }
    assert_eq!(sizes[..16], [4096; 16]);
    assert_eq!(sizes[16..], [16_384, 16_384, 100_000 - 65_536 - 2 * 16_384]);
}

#[test]
fn pieces_share_records() {
    let (mut server, mut client) = connect(&server_with_policy(TLS_1_2), &web_client()).expect("a handshake");
    let pieces: [&[u8]; 4] = [b"head ", b"", b"body ", b"tail"];
    client.session.seal(&pieces, Instant::ZERO, &mut client.out).expect("sealed");
    assert_eq!(client.out.len(), 14 + 5 + 8 + 16, "one record");
    exchange(&mut server, &mut client).expect("an exchange");
    assert_eq!(server.plaintext, b"head body tail");
    let nothing: [&[u8]; 1] = [b""];
    client.session.seal(&nothing, Instant::ZERO, &mut client.out).expect("nothing to do");
    assert!(client.out.is_empty());
}

/// Cuts each plaintext handshake record into records of one byte, as RFC 8446 section 5.1 allows.
fn fragment(records: &[u8]) -> Vec<u8> {
    let mut fragments = Vec::new();
    let mut rest = records;
    while let [kind, major, minor, high, low, body @ ..] = rest {
        let (payload, following) = body.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        payload.iter().for_each(|byte| fragments.extend([*kind, *major, *minor, 0, 1, *byte]));
        rest = following;
    }
    fragments
}

#[test]
fn a_handshake_message_may_come_in_fragments_and_pieces() {
    for piece in [1, 5, 6, 7, 4000] {
        let (mut server, mut client) = (End::server(&server_with_policy(TLS_1_3)), End::client(&web_client()));
        for piece in fragment(&std::mem::take(&mut client.out)).chunks(piece) {
            let _ = server.receive(piece).expect("a fragment");
        }
        exchange(&mut server, &mut client).expect("a handshake");
        client.send(b"question");
        exchange(&mut server, &mut client).expect("an exchange");
        assert_eq!(server.plaintext, b"question");
        assert!(server.session.held.is_empty() && server.session.held.capacity() == 0);
    }
}

#[test]
fn a_handshake_message_in_endless_fragments_is_refused() {
    let mut server = End::server(&Server::default().tls());
    let hello_of_60_kilobytes = [22, 3, 1, 0, 4, 1, 0, 0xf0, 0];
    let mut result = server.receive(&hello_of_60_kilobytes);
    let mut fed = 0;
    while result.is_ok() {
        result = server.receive(&[22, 3, 1, 0, 1, 0]);
        fed += 6;
        assert!(fed <= MAX_HELD, "held without end");
    }
    assert_eq!(result, Err(TlsFault::HandshakeTooLarge));
}

/// A record of TLS_AES_128_GCM_SHA256, as a peer would seal it that does not care for the rules.
fn seal_by_hand(secrets: &rustls::ExtractedSecrets, sequence: u64, content_type: u8, payload: &[u8]) -> Vec<u8> {
    use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let rustls::ConnectionTrafficSecrets::Aes128Gcm { key, iv } = &secrets.tx.1 else { panic!("AES-128-GCM") };
    let mut nonce: [u8; 12] = iv.as_ref().try_into().expect("12 bytes");
    nonce[4..].iter_mut().zip(sequence.to_be_bytes()).for_each(|(byte, count)| *byte ^= count);
    let mut sealed = [payload, &[content_type]].concat();
    let header = [23, 3, 3, 0, (sealed.len() + 16) as u8];
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).expect("a key"))
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(header), &mut sealed)
        .expect("sealed");
    [header.as_slice(), &sealed].concat()
}

/// The library keeps half a message by its place in the buffer: sending must not take that buffer away.
#[test]
fn half_a_message_after_the_handshake_does_not_keep_us_from_sending() {
    let mut client_tls = web_client();
    std::sync::Arc::make_mut(&mut client_tls.config).enable_secret_extraction = true;
    let (mut server, client) = connect(&server_with_policy(TLS_1_3), &client_tls).expect("a handshake");
    let Side::Client(connection) = client.session.side else { panic!("a client") };
    let (secrets, _) = connection.dangerous_into_kernel_connection().expect("secrets");
    let key_update = [24, 0, 0, 1, 0];
    for (sequence, byte) in key_update.iter().enumerate() {
        let _ = server.receive(&seal_by_hand(&secrets, sequence as u64, 22, &[*byte])).expect("a fragment");
        server.send(b"meanwhile");
        assert_eq!(server.session.held.is_empty(), sequence == key_update.len() - 1);
    }
    server.session.close_notify(&mut server.out);
    let _ = server.receive(&[]).expect("nothing");
}

/// The suite of `server_with_policy(TLS_1_3)` with keys good for a few records only.
fn with_short_lived_keys(mut server: ServerTls) -> ServerTls {
    let config = std::sync::Arc::make_mut(&mut server.0);
    let mut provider = (**config.crypto_provider()).clone();
    let rustls::SupportedCipherSuite::Tls13(suite) = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
    else {
        panic!("a suite of TLS 1.3")
    };
    let common = rustls::crypto::CipherSuiteCommon { confidentiality_limit: 5, ..suite.common };
    let suite = rustls::Tls13CipherSuite { common, quic: None, ..*suite };
    provider.cipher_suites = vec![rustls::SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))];
    let mut short = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(config.cert_resolver.clone());
    short.send_tls13_tickets = 0;
    ServerTls(short.into())
}

#[test]
fn keys_are_replaced_before_they_have_protected_too_much() {
    let server_tls = with_short_lived_keys(server_with_policy(TLS_1_3));
    let (mut server, mut client) = connect(&server_tls, &web_client()).expect("a handshake");
    let plaintext: Vec<u8> = (0..200_000u32).map(|number| number as u8).collect();
    server.send(&plaintext);
    let records = server.out.len();
    exchange(&mut server, &mut client).expect("an exchange");
    assert!(client.plaintext == plaintext);
    let without_updates = plaintext.len() + (16 + (plaintext.len() - 65_536).div_ceil(16_384)) * 22;
    assert!(records > without_updates, "key updates are among the records");
}

#[test]
fn keys_may_be_updated_at_any_time() {
    let (mut server, mut client) = connect(&server_with_policy(TLS_1_3), &web_client()).expect("a handshake");
    let Side::Client(connection) = &mut client.session.side else { panic!("a client") };
    let UnbufferedStatus { state, .. } = connection.process_tls_records(&mut []);
    let Ok(ConnectionState::WriteTraffic(traffic)) = state else { panic!("ready to write") };
    traffic.refresh_traffic_keys().expect("a key update");
    let _ = client.receive(&[]).expect("no fault");
    assert!(!client.out.is_empty(), "the update is sent");
    let _ = server.receive(&std::mem::take(&mut client.out)).expect("a key update");
    client.send(b"under new keys");
    server.send(b"under new keys too");
    exchange(&mut server, &mut client).expect("an exchange");
    assert_eq!(server.plaintext, b"under new keys");
    assert_eq!(client.plaintext, b"under new keys too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_the_bytes_gives_the_same_plaintext(
        tls_1_3 in any::<bool>(),
        lengths in prop::collection::vec(0usize..40_000, 1..4),
        cuts in prop::collection::vec(1usize..9000, 1..60),
    ) {
        let server_tls = server_with_policy(if tls_1_3 { TLS_1_3 } else { TLS_1_2 });
        let (mut server, mut client) = (End::server(&server_tls), End::client(&web_client()));
        let mut cuts = cuts.iter().cycle();
        let mut carry = |from: &mut End, to: &mut End| {
            let flight = std::mem::take(&mut from.out);
            let mut rest = flight.as_slice();
            while !rest.is_empty() {
                let (piece, following) = rest.split_at(rest.len().min(*cuts.next().unwrap_or(&1)));
                let _ = to.receive(piece).expect("no fault");
                rest = following;
            }
        };
        for _ in 0..4 {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
        }
        let mut sent = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            let plaintext = vec![index as u8 + 1; *length];
            client.send(&plaintext);
            sent.extend_from_slice(&plaintext);
        }
        carry(&mut client, &mut server);
        prop_assert_eq!(server.plaintext.len(), sent.len());
        prop_assert!(server.plaintext == sent);
    }

    #[test]
    fn garbage_never_panics(
        spoil_at in 0usize..6000,
        garbage in prop::collection::vec(any::<u8>(), 1..300),
        record_type in 20u8..25,
        as_record in any::<bool>(),
        after_goodbye in any::<bool>(),
    ) {
        let (mut server, mut client) = (End::server(&Server::default().tls()), End::client(&web_client()));
        let mut seen = 0;
        loop {
            let flight = std::mem::take(&mut client.out);
            if seen + flight.len() >= spoil_at || flight.is_empty() {
                // The library asserts in debug builds that no alert follows close_notify, which a peer can provoke.
                if after_goodbye && !cfg!(debug_assertions) {
                    server.session.close_notify(&mut server.out);
                }
                let (good, _) = flight.split_at((spoil_at - seen).min(flight.len()));
                let mut bytes = good.to_vec();
                if as_record {
                    bytes.extend([record_type, 3, 3, 0, garbage.len() as u8]);
                }
                bytes.extend_from_slice(&garbage);
                for piece in bytes.chunks(97) {
                    if server.receive(piece).is_err() {
                        break;
                    }
                }
                let _ = server.session.seal(&[b"answer"], Instant::ZERO, &mut server.out);
                server.session.close_notify(&mut server.out);
                break;
            }
            seen += flight.len();
            let _ = server.receive(&flight).expect("still good");
            let flight = std::mem::take(&mut server.out);
            let _ = client.receive(&flight).expect("still good");
            if !client.session.is_handshaking() && client.out.is_empty() {
                client.send(&[1; 500]);
            }
        }
    }
}
