//! TLS with clients: certificates, versions, resumption, what is no TLS at all.

use crate::harness::{
    Authority, Backend, Balancer, Elbow, Nginx, PATIENCE, Peer, block, curl, eventually, fingerprint, openssl,
};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// curl to `elbow` under the name `web.test`, which must verify.
#[track_caller]
fn ask(elbow: &Elbow, authority: &Authority, path: &str, more: &[&str]) -> String {
    let address = elbow.address();
    let resolve = format!("web.test:{}:{}", address.port(), address.ip());
    let url = format!("https://web.test:{}{path}", address.port());
    let ca = authority.path();
    curl(&[&["--cacert", &ca, "--resolve", &resolve, &url], more].concat())
}

/// `openssl s_client` to `elbow`: sends a request and shows what became of the handshake.
fn shake_hands(elbow: &Elbow, more: &[&str]) -> String {
    let address = elbow.address().to_string();
    openssl(&[&["s_client", "-connect", &address, "-ign_eof"], more].concat(), CLOSE)
}

#[test]
fn curl_is_served_over_both_versions_and_the_instance_hears_of_it() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let nginx = Nginx::start("plain");
    let elbow = Balancer::https([nginx.address()], &[&certificate]).start();
    let port = elbow.address().port();
    for version in ["1.2", "1.3"] {
        let options = [&format!("--tlsv{version}"), "--tls-max", version];
        let echoed = ask(&elbow, &authority, "/echo", &options);
        assert!(echoed.contains("proto=https\n") && echoed.contains(&format!("port={port}\n")), "{version}: {echoed}");
    }
    let metrics = elbow.admin().metrics();
    assert_eq!(metrics.sum("elbow_tls_handshake_duration_seconds_count", &[]), 2.0);
    let agreed = |protocol, cipher| {
        let labels = [("protocol", protocol), ("cipher", cipher), ("resumed", "false")];
        metrics.sum("elbow_tls_handshakes_total", &labels)
    };
    assert_eq!(agreed("TLSv1.3", "TLS_AES_256_GCM_SHA384") + agreed("TLSv1.3", "TLS_AES_128_GCM_SHA256"), 1.0);
    assert_eq!(metrics.sum("elbow_tls_handshakes_total", &[("protocol", "TLSv1.2")]), 1.0);
    assert!(metrics.sum("elbow_certificate_expiry_timestamp_seconds", &[]) > 1.7e9);
}

#[test]
fn bodies_larger_than_records_and_buffers_arrive_whole_both_ways() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let body: Vec<u8> = (0..64).flat_map(block).collect();
    let sent = authority.folder().join("body");
    std::fs::write(&sent, &body).expect("a file");
    let nginx = Nginx::start("plain");
    nginx.put_file("body", &body);
    let elbow = Balancer::https([nginx.address()], &[&certificate]).start();
    let got = authority.folder().join("got");
    ask(&elbow, &authority, "/files/body", &["--output", got.to_str().expect("UTF-8")]);
    assert_eq!(fingerprint(&std::fs::read(&got).expect("a file")), fingerprint(&body));

    let backend = Backend::answering(|request| {
        let seen = fingerprint(&request.body.bytes);
        crate::harness::answer_ok(&format!("{} {:?}", seen.length, seen.digest))
    });
    let elbow = Balancer::https([backend.address()], &[&certificate]).start();
    let upload = format!("@{}", sent.display());
    let told = ask(&elbow, &authority, "/", &["--data-binary", &upload]);
    let expected = fingerprint(&body);
    assert_eq!(told, format!("{} {:?}", expected.length, expected.digest));
}

#[test]
fn an_answer_that_breaks_off_inside_a_long_body_is_not_ended_as_if_it_were_whole() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::start(|peer, _| {
        if peer.try_read_head()?.is_some() {
            peer.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
            peer.try_send(vec![b'x'; 500_000])?;
        }
        Ok(())
    });
    let elbow = Balancer::https([backend.address()], &[&certificate]).start();
    let told = shake_hands(&elbow, &["-quiet"]);
    assert!(told.matches('x').count() <= 500_000);
    let truncated = [("reason", "response_truncated")];
    elbow.admin().wait_metric("elbow_errors_total", &truncated, |count| count == 1.0);
}

#[test]
fn sessions_are_resumed_whichever_core_a_client_meets() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    let elbow = Balancer::https([backend.address()], &[&certificate]).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.folder().join(version).display().to_string();
        let first = shake_hands(&elbow, &[version, "-sess_out", &session]);
        assert!(first.contains("New, TLSv1"), "{first}");
        // The kernel spreads connections over the cores by their ports.
        for attempt in 0..16 {
            let next = shake_hands(&elbow, &[version, "-sess_in", &session]);
            assert!(next.contains("Reused, TLSv1"), "{version}, attempt {attempt}: {next}");
        }
    }
}

#[test]
fn the_name_and_what_the_client_can_verify_choose_the_certificate() {
    let authority = Authority::new();
    let certificates = [
        authority.issue("rsa", "web.test", &PKCS_RSA_SHA256),
        authority.issue("ecdsa", "web.test", &PKCS_ECDSA_P256_SHA256),
        authority.issue("other", "*.other.test", &PKCS_ECDSA_P256_SHA256),
    ];
    let backend = Backend::saying("ok");
    let elbow = Balancer::https([backend.address()], &certificates.each_ref()).start();
    let cases: [(&[&str], &str, &str); 5] = [
        (&["-servername", "web.test"], "CN = web.test", "Peer signature type: ECDSA"),
        (&["-servername", "web.test", "-sigalgs", "RSA-PSS+SHA256"], "CN = web.test", "Peer signature type: RSA-PSS"),
        (&["-servername", "a.other.test"], "CN = *.other.test", "Peer signature type: ECDSA"),
        (&["-servername", "unknown.test"], "CN = web.test", "Peer signature type: ECDSA"),
        (&["-noservername"], "CN = web.test", "Peer signature type: ECDSA"),
    ];
    for (arguments, subject, signature) in cases {
        let told = shake_hands(&elbow, arguments);
        assert!(told.contains(&format!("subject={subject}")) && told.contains(signature), "{arguments:?}: {told}");
    }
}

#[test]
fn the_security_policy_decides_what_is_spoken() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    for (policy, with_1_2, with_1_3) in [
        ("ELBSecurityPolicy-TLS-1-2-2017-01", true, false),
        ("Elbow-TLS-1-3-2026", false, true),
        ("Elbow-TLS-1-2-2026", true, true),
    ] {
        let balancer = Balancer::https([backend.address()], &[&certificate]);
        let elbow = balancer.listener(&format!("policies = [\"{policy}\"]")).start();
        for (version, expected) in [("-tls1_2", with_1_2), ("-tls1_3", with_1_3)] {
            let told = shake_hands(&elbow, &[version]);
            assert_eq!(told.contains("200 OK"), expected, "{policy} {version}: {told}");
        }
    }
}

#[test]
fn what_is_no_tls_and_who_says_nothing_are_turned_away_and_counted() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    let balancer = Balancer::https([backend.address()], &[&certificate]).limit("tls_handshake_timeout = 0.3");
    let elbow = balancer.start();
    let failures = |reason| elbow.admin().metrics().sum("elbow_errors_total", &[("reason", reason)]);
    let garbage =
        [CLOSE.as_bytes().to_vec(), vec![0; 4_096], vec![0xff; 40_000], b"\x16\x03\x01\x00\x05hello".to_vec()];
    for (number, bytes) in garbage.iter().enumerate() {
        let mut peer = Peer::connect(elbow.address());
        // It may be turned away before it has said all.
        let _ = peer.try_send(bytes);
        let in_handshake = [("phase", "handshake")];
        elbow.admin().wait_metric("elbow_errors_total", &in_handshake, |count| count == (number + 1) as f64);
    }
    assert_eq!((failures("tls_not_spoken"), failures("tls_handshake_failed")), (3.0, 1.0));
    let silent = Peer::connect(elbow.address());
    elbow.admin().wait_metric("elbow_errors_total", &[("reason", "tls_handshake_timeout")], |count| count == 1.0);
    drop(silent);
    drop(Peer::connect(elbow.address()));
    assert!(shake_hands(&elbow, &[]).contains("200 OK"), "others are served");
    assert_eq!(failures("tls_not_spoken") + failures("tls_handshake_failed"), garbage.len() as f64);
}

#[test]
fn a_handshake_that_fails_is_counted_by_its_reason() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    let elbow = Balancer::https([backend.address()], &[&certificate]).start();
    let old: &[&str] = &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let cases: [(&[&str], &str); 4] = [
        (old, "tls_no_shared_protocol"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "tls_no_shared_cipher"),
        (&["-alpn", "imap"], "tls_no_shared_application_protocol"),
        (&["-verify_return_error"], "tls_certificate_rejected"),
    ];
    for (arguments, reason) in cases {
        let told = shake_hands(&elbow, arguments);
        assert!(!told.contains("200 OK"), "{told}");
        elbow.admin().wait_metric("elbow_errors_total", &[("reason", reason)], |count| count == 1.0);
    }
    let mut peer = Peer::connect(elbow.address());
    peer.send(b"\x16\x03\x01\x02\x00\x01");
    drop(peer);
    elbow.admin().wait_metric("elbow_errors_total", &[("reason", "tls_handshake_abandoned")], |count| count == 1.0);
    let in_handshake = elbow.admin().metrics().sum("elbow_errors_total", &[("phase", "handshake")]);
    assert_eq!(in_handshake, 5.0, "each is counted once");
}

#[test]
fn a_changed_certificate_takes_effect_under_load_and_a_broken_one_does_not() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let backend = Backend::saying("ok");
    let elbow = Balancer::https([backend.address()], &[&certificate]).start();
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(ask(&elbow, &authority, "/", &[]), "ok");
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
        // The same names: whoever verifies is content with both.
        authority.issue("web", "web.test", &PKCS_RSA_SHA256);
        eventually("the new certificate", Duration::from_secs(30), || {
            shake_hands(&elbow, &[]).contains("Peer signature type: RSA-PSS").then_some(())
        });
        std::fs::write(&certificate.chain, "no certificate").expect("a file");
        eventually("a word about the broken one", Duration::from_secs(30), || {
            elbow.log().iter().any(|line| line.contains("no good")).then_some(())
        });
        let before = served.load(Ordering::SeqCst);
        eventually("requests after that", PATIENCE, || (served.load(Ordering::SeqCst) > before + 3).then_some(()));
        stop.store(true, Ordering::SeqCst);
    });
    assert!(shake_hands(&elbow, &[]).contains("Peer signature type: RSA-PSS"), "the last good one stays");
    assert_eq!(elbow.admin().metrics().sum("elbow_errors_total", &[("phase", "handshake")]), 0.0);
}

#[test]
fn a_proxy_header_comes_before_the_handshake_and_the_log_says_what_was_agreed() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let nginx = Nginx::start("plain");
    let log = authority.folder().join("web.log");
    let elbow = Balancer::https([nginx.address()], &[&certificate])
        .listener("proxy_protocol_from = [\"127.0.0.0/8\"]")
        .attribute(&format!("access_log = {{ path = {log:?}, format = \"elb\" }}"))
        .start();
    let said = ["--haproxy-protocol", "--tls-max", "1.2"];
    let echoed = ask(&elbow, &authority, "/echo", &said);
    assert!(echoed.contains("for=127.0.0.1\n"), "{echoed}");
    let line =
        eventually("a line", PATIENCE, || std::fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
    assert!(line.contains(" web 127.0.0.1:") && line.contains(" \"GET https://web.test:"), "{line}");
    assert!(line.ends_with("-GCM-SHA256 TLSv1.2\n") && line.contains(" ECDHE-ECDSA-AES"), "{line}");
}
