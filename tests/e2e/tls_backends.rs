//! TLS to instances, and byte streams inside TLS.

use crate::harness::{Authority, Backend, Balancer, CertificatePaths, Nginx, curl, eventually, openssl};
use rcgen::PKCS_ECDSA_P256_SHA256;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

fn url(elbow: &crate::harness::Elbow, path: &str) -> String {
    format!("http://{}{path}", elbow.address())
}

#[test]
fn https_instances_are_probed_reached_and_kept() {
    let authority = Authority::new();
    let nginx = Nginx::start_secure("secure", &authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256));
    let elbow = Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\"").probing("HTTPS:1/").start();
    for _ in 0..4 {
        let told = curl(&[&url(&elbow, "/tls"), &url(&elbow, "/tls")]);
        assert_eq!(told.lines().filter(|line| line.starts_with("TLSv1.")).count(), 2, "{told}");
    }
    let metrics = elbow.admin().metrics();
    let carried = |reused| metrics.sum("elbow_backend_connections_total", &[("reused", reused)]);
    assert_eq!(carried("true") + carried("false"), 8.0);
    assert!(carried("true") >= 4.0, "the second request of each client at least");
}

#[test]
fn an_instance_must_hold_a_key_that_its_policy_names() {
    let authority = Authority::new();
    let (back, other) = (
        authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256),
        authority.issue("other", "other.test", &PKCS_ECDSA_P256_SHA256),
    );
    let nginx = Nginx::start_secure("secure", &back);
    for (trusted, status) in [(&back, "200"), (&other, "502")] {
        let tables = format!(
            "[load_balancers.web.policies.key]\ntype = \"PublicKeyPolicyType\"\npublic_key = \"{}\"\n\
             [load_balancers.web.policies.auth]\ntype = \"BackendServerAuthenticationPolicyType\"\n\
             public_key_policy_name = \"key\"\n[load_balancers.web.backend_policies]\n1 = [\"auth\"]\n",
            public_key(trusted)
        );
        let balancer = Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\"").tables(&tables);
        let elbow = balancer.start();
        let told = curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &url(&elbow, "/")]);
        assert_eq!(told, status, "{trusted:?}");
        // What traffic refuses, a probe refuses.
        let elbow = balancer.probing("HTTPS:1/").start_early();
        if status == "200" {
            elbow.admin().wait_in_service();
        } else {
            let says = |line: &String| line.contains("certificate refused: public_key_unknown");
            eventually("the reason", Duration::from_secs(30), || elbow.log().iter().any(says).then_some(()));
        }
    }
}

/// The base64 of a certificate's public key.
pub fn public_key(certificate: &CertificatePaths) -> String {
    let pem = openssl(&["pkey", "-pubout", "-in", certificate.key.to_str().expect("UTF-8")], "");
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn an_answer_cut_inside_tls_is_not_taken_for_whole() {
    let authority = Authority::new();
    let certificate = authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256);
    let chain = vec![CertificateDer::from_pem_file(&certificate.chain).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
    let config = Arc::new(config);
    // The body lasts until the connection ends; whether it ended or was cut, only TLS can say.
    for announces_its_end in [true, false] {
        let config = config.clone();
        let backend = Backend::start(move |peer, _seen| {
            let mut session = ServerConnection::new(config.clone()).expect("a session");
            let mut socket = &**peer.stream();
            let mut stream = Stream::new(&mut session, &mut socket);
            if stream.read(&mut [0; 4096])? == 0 {
                return Ok(());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")?;
            stream.flush()?;
            if announces_its_end {
                session.send_close_notify();
                session.complete_io(&mut socket)?;
            }
            Ok(())
        });
        let elbow = Balancer::http([backend.address()]).listener("instance_protocol = \"HTTPS\"").start();
        let told = std::process::Command::new("curl").args(["-s", &url(&elbow, "/")]).output().expect("curl");
        assert_eq!(told.stdout, b"hello");
        assert_eq!(told.status.success(), announces_its_end, "{told:?}");
    }
}

#[test]
fn byte_streams_are_carried_inside_tls_on_either_side() {
    let authority = Authority::new();
    let certificate = authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256);
    let (plain, secure) = (Nginx::start("plain"), Nginx::start_secure("secure", &certificate));
    let front = Balancer::ssl([plain.address()], &[&certificate]).start();
    let told = curl(&["--insecure", &format!("https://{}/", front.address())]);
    assert_eq!(told, "plain\n");
    let both = Balancer::ssl([secure.address()], &[&certificate]).listener("instance_protocol = \"SSL\"").start();
    assert_eq!(curl(&["--insecure", &format!("https://{}/", both.address())]), "secure\n");
    let back = Balancer::tcp([secure.address()]).listener("instance_protocol = \"SSL\"").start();
    assert_eq!(curl(&[&url(&back, "/")]), "secure\n");
    // Every client has a connection of its own to the instance; the sessions are shared by all cores.
    for _ in 0..8 {
        assert_eq!(curl(&[&url(&back, "/tls")]), "TLSv1.3 r\n");
    }
}
