//! What `testssl.sh` makes of a listener: protocols, server defaults, forward secrecy, known weaknesses.

use crate::harness::{Authority, Backend, Balancer, Finding, testssl};
use rcgen::PKCS_ECDSA_P256_SHA256;

/// Protocols, server preference, server defaults, forward secrecy and weaknesses: half a minute on an idle machine. The
/// rest tries each cipher that there ever was, which takes minutes.
const SECTIONS: [&str; 5] = ["--protocols", "--server-preference", "--server-defaults", "--pfs", "--vulnerable"];

/// What it must say, by the beginning.
const EXPECTED: [(&str, &str); 29] = [
    ("SSLv2", "not offered"),
    ("SSLv3", "not offered"),
    ("TLS1", "not offered"),
    ("TLS1_1", "not offered"),
    ("TLS1_2", "offered"),
    ("TLS1_3", "offered with final"),
    ("ALPN_HTTP2", "h2"),
    ("cipher_order", "server"),
    ("protocol_negotiated", "Default protocol TLS1.3"),
    ("TLS_session_ticket", "valid for 21600 seconds"),
    ("cert_trust", "Ok via SAN"),
    ("cert_chain_of_trust", "passed"),
    ("PFS", "offered"),
    ("heartbleed", "not vulnerable"),
    ("CCS", "not vulnerable"),
    ("ticketbleed", "not vulnerable"),
    ("ROBOT", "not vulnerable"),
    ("secure_renego", "supported"),
    ("secure_client_renego", "not vulnerable"),
    ("CRIME_TLS", "not vulnerable"),
    ("BREACH", "not vulnerable"),
    ("POODLE_SSL", "not vulnerable"),
    ("SWEET32", "not vulnerable"),
    ("FREAK", "not vulnerable"),
    ("DROWN", "not vulnerable"),
    ("LOGJAM", "not vulnerable"),
    ("BEAST", "not vulnerable"),
    ("LUCKY13", "not vulnerable"),
    ("RC4", "not vulnerable"),
];

#[test]
fn it_finds_nothing_to_say_against_us() {
    let authority = Authority::new();
    let backend = Backend::saying("ok");
    let address = crate::harness::free_address();
    let certificate = authority.issue("web", &address.ip().to_string(), &PKCS_ECDSA_P256_SHA256);
    let balancer = Balancer::https([backend.address()], &[&certificate]);
    let _elbow = balancer.listener("policies = [\"Elbow-TLS-1-2-2026\"]").start_at(address);
    let found = testssl(address, &[&SECTIONS[..], &["--add-ca", &authority.path()]].concat());
    for (id, text) in EXPECTED {
        let finding = found.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id} in {found:#?}"));
        assert!(finding.text.starts_with(text), "{finding:?}");
    }
    // What it holds against the certificate is the test's: it lives for ever and cannot be revoked.
    let is_ours = |finding: &&Finding| !finding.id.starts_with("cert_");
    let harmless = ["OK", "INFO", "WARN"];
    let bad: Vec<_> = found.iter().filter(is_ours).filter(|found| !harmless.contains(&&*found.severity)).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
