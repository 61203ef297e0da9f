//! Who must prove what to whom: strict server names, certificates of clients and of instances, tickets of a fleet.

use crate::harness::{
    Authority, Balancer, CertificatePaths, Elbow, Nginx, curl, eventually, fingerprint_of_certificate, free_address,
    openssl,
};
use crate::reload::Reloadable;
use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const GET: &str = "GET /client HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a client may say that only Elbow should, in every spelling that some back end takes for the same.
const FORGED: [&str; 7] = [
    "X-Forwarded-Client-Cert: Hash=f00;Subject=\"CN=root\"",
    "x_forwarded_client_cert: Hash=f00;Subject=\"CN=root\"",
    "X-Amzn-Mtls-Clientcert-Subject: CN=root",
    "X-Amzn-Mtls-Clientcert_Subject: CN=root",
    "X-Amzn-Mtls-Clientcert-Issuer: CN=root",
    "X-Amzn-Mtls-Clientcert-Serial-Number: 42",
    "X-Amzn-Mtls-Clientcert-Leaf: root",
];

/// What an instance learns of a client that showed no certificate.
const NOBODY: &str = "subject=\nissuer=\nserial=\nleaf=\nboth=\n";

fn web(authority: &Authority) -> CertificatePaths {
    authority.issue("web", "web.test", &PKCS_ECDSA_P256_SHA256)
}

fn clients(verify: &str, authority: &Authority) -> String {
    format!("client_certificates = {{ verify = {verify:?}, ca_file = {:?} }}", authority.path())
}

/// `openssl s_client` to `address`: sends a request and shows what became of the handshake.
fn shake_hands(address: SocketAddr, more: &[&str]) -> String {
    openssl(&[&["s_client", "-connect", &address.to_string(), "-ign_eof"], more].concat(), GET)
}

/// curl with a certificate of its own, or none, and with forged fields.
fn ask(elbow: &Elbow, certificate: Option<&CertificatePaths>, more: &[&str]) -> String {
    let url = format!("https://{}/client", elbow.address());
    let files = certificate.map(|paths| [paths.chain.display().to_string(), paths.key.display().to_string()]);
    let mut arguments = vec!["--insecure", &url];
    if let Some([chain, key]) = &files {
        arguments.extend(["--cert", chain, "--key", key]);
    }
    FORGED.iter().for_each(|field| arguments.extend(["--header", field]));
    curl(&[&arguments, more].concat())
}

#[test]
fn strict_server_names_turn_away_who_names_no_host_of_ours() {
    let authority = Authority::new();
    let certificate = web(&authority);
    let nginx = Nginx::start("plain");
    let lenient = Balancer::https([nginx.address()], &[&certificate]);
    let running = Reloadable::start(&lenient.clone().listener("strict_sni = true"));
    let cases: [(&[&str], bool); 3] =
        [(&["-servername", "web.test"], true), (&["-servername", "other.test"], false), (&["-noservername"], false)];
    for (arguments, expected) in cases {
        let told = shake_hands(running.listener, arguments);
        assert_eq!(told.contains("200 OK"), expected, "{arguments:?}: {told}");
        assert_eq!(told.contains("alert"), !expected, "{arguments:?}: {told}");
    }
    let turned_away = [("reason", "tls_unknown_server_name")];
    running.elbow.admin().wait_metric("elbow_errors_total", &turned_away, |count| count == 2.0);
    assert!(running.reload(&lenient).contains("- strict_sni = true"));
    assert!(shake_hands(running.listener, &["-noservername"]).contains("200 OK"));
}

#[test]
fn a_client_that_must_prove_who_it_is_is_told_to_the_instance() {
    let (authority, staff, strangers) = (Authority::new(), Authority::named("Staff"), Authority::named("Strangers"));
    let certificate = web(&authority);
    let alice = staff.issue("alice", "alice.test", &PKCS_ECDSA_P256_SHA256);
    let stranger = strangers.issue("alice", "alice.test", &PKCS_ECDSA_P256_SHA256);
    let nginx = Nginx::start("plain");
    let balancer = Balancer::https([nginx.address()], &[&certificate]);
    let running = Reloadable::start(&balancer.clone().listener(&clients("required", &staff)));
    let elbow = &running.elbow;

    let hash = fingerprint_of_certificate(&alice);
    for version in ["--http1.1", "--http2"] {
        let told = ask(elbow, Some(&alice), &[version]);
        assert!(told.starts_with("subject=CN=alice.test\nissuer=CN=Staff\nserial="), "{told}");
        assert!(told.ends_with(&format!("\nleaf=\nboth=Hash={hash};Subject=\"CN=alice.test\"\n")), "{told}");
        assert!(!told.contains("root") && !told.contains("serial=42\n") && !told.contains("serial=\n"), "{told}");
    }
    let [chain, key] = [&stranger.chain, &stranger.key].map(|path| path.display().to_string());
    let told = shake_hands(running.listener, &["-cert", &chain, "-key", &key]);
    assert!(told.contains("alert") && !told.contains("200 OK"), "{told}");
    let told = shake_hands(running.listener, &[]);
    assert!(told.contains("alert") && !told.contains("200 OK"), "{told}");
    // Counted once the alert has gone out, which the client may have read by then.
    for reason in ["tls_client_certificate_missing", "tls_client_certificate_untrusted"] {
        elbow.admin().wait_metric("elbow_errors_total", &[("reason", reason)], |count| count == 1.0);
    }

    // Who may stay anonymous is, unless it shows something.
    let plan = running.reload(&balancer.clone().listener(&clients("optional", &staff)));
    assert!(plan.contains("verify = \"optional\""), "{plan}");
    assert_eq!(ask(elbow, None, &[]), NOBODY);
    assert!(ask(elbow, Some(&alice), &[]).contains("\nboth=Hash="));
    let told = shake_hands(running.listener, &["-cert", &chain, "-key", &key]);
    assert!(told.contains("alert") && !told.contains("200 OK"), "{told}");

    // Where nobody is asked, nobody is known, and nobody can pretend to be.
    running.reload(&balancer);
    assert_eq!(ask(elbow, Some(&alice), &[]), NOBODY);
}

#[test]
fn nobody_can_pretend_on_a_plain_listener_or_towards_http2() {
    let nginx = Nginx::start("plain");
    let elbow = Balancer::http([nginx.address()]).start();
    let url = format!("http://{}/client", elbow.address());
    let forged: Vec<&str> = FORGED.iter().flat_map(|field| ["--header", field]).collect();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(curl(&[&[version, url.as_str()], forged.as_slice()].concat()), NOBODY);
    }
}

#[test]
fn a_client_that_comes_back_is_still_known() {
    let (authority, staff) = (Authority::new(), Authority::new());
    let alice = staff.issue("alice", "alice.test", &PKCS_ECDSA_P256_SHA256);
    let [chain, key] = [&alice.chain, &alice.key].map(|path| path.display().to_string());
    let nginx = Nginx::start("plain");
    let balancer = Balancer::https([nginx.address()], &[&web(&authority)]);
    let running = Reloadable::start(&balancer.clone().listener(&clients("required", &staff)));
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.folder().join(version).display().to_string();
        let shown = ["-cert", &chain, "-key", &key];
        let first = shake_hands(running.listener, &[&[version, "-sess_out", &session], &shown[..]].concat());
        assert!(first.contains("New, TLSv1") && first.contains("subject=CN=alice.test"), "{first}");
        let next = shake_hands(running.listener, &[version, "-sess_in", &session]);
        assert!(next.contains("Reused, TLSv1") && next.contains("subject=CN=alice.test"), "{version}: {next}");
        let resumed = [("resumed", "true"), ("protocol", &version[1..].replace("tls1_", "TLSv1."))];
        assert_eq!(running.elbow.admin().metrics().sum("elbow_tls_handshakes_total", &resumed), 1.0);
    }
    // A session begun under other demands opens nothing.
    running.reload(&balancer.listener(&clients("required", &Authority::new())));
    let session = authority.folder().join("-tls1_3").display().to_string();
    let told = shake_hands(running.listener, &["-tls1_3", "-sess_in", &session]);
    assert!(!told.contains("200 OK"), "{told}");
}

#[test]
fn a_ca_file_is_followed_without_a_reload() {
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let alice = new.issue("alice", "alice.test", &PKCS_ECDSA_P256_SHA256);
    let [chain, key] = [&alice.chain, &alice.key].map(|path| path.display().to_string());
    let nginx = Nginx::start("plain");
    let elbow = Balancer::https([nginx.address()], &[&web(&authority)]).listener(&clients("required", &old)).start();
    let comes_in = || shake_hands(elbow.address(), &["-cert", &chain, "-key", &key]).contains("200 OK");
    assert!(!comes_in());
    std::fs::copy(new.path(), old.path()).expect("a file");
    eventually("the new authority", Duration::from_secs(30), || comes_in().then_some(()));
    std::fs::write(old.path(), "no certificate").expect("a file");
    eventually("a word about the broken one", Duration::from_secs(30), || {
        elbow.log().iter().any(|line| line.contains("changed CA file is no good")).then_some(())
    });
    assert!(comes_in(), "the last good one stays");
}

#[test]
fn instances_are_verified_by_authority_and_name() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let named = Nginx::start_secure("named", &authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256));
    let address = free_address();
    let of_address = authority.issue("ip", &address.ip().to_string(), &PKCS_ECDSA_P256_SHA256);
    let addressed = Nginx::start_secure_at(address, "addressed", &of_address);
    let asking = |nginx: &Nginx, authority: &Authority, name: Option<&str>| {
        let name = name.map(|name| format!(", server_name = {name:?}")).unwrap_or_default();
        let asked = format!("instance_certificates = {{ ca_file = {:?}{name} }}", authority.path());
        Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\"").listener(&asked)
    };
    let running = Reloadable::start(&asking(&named, &authority, Some("back.test")));
    let url = format!("http://{}/", running.listener);
    let status = || curl(&["--output", "/dev/null", "--write-out", "%{http_code}", &url]);
    assert_eq!(status(), "200");
    let cases = [
        (&named, &authority, Some("other.test"), "502"),
        (&named, &authority, None, "502"),
        (&named, &strangers, Some("back.test"), "502"),
        (&addressed, &authority, None, "200"),
        (&addressed, &authority, Some("back.test"), "502"),
        (&named, &authority, Some("back.test"), "200"),
    ];
    for (nginx, authority, name, expected) in cases {
        running.reload(&asking(nginx, authority, name));
        running.elbow.admin().wait_in_service();
        assert_eq!(status(), expected, "{name:?}");
    }
    let untrusted = [("reason", "backend_key_untrusted")];
    assert!(running.elbow.admin().metrics().sum("elbow_errors_total", &untrusted) >= 4.0);
}

#[test]
fn the_access_log_in_json_says_who_a_client_proved_to_be() {
    let (authority, staff) = (Authority::new(), Authority::named("Staff"));
    let alice = staff.issue("alice", "alice.test", &PKCS_ECDSA_P256_SHA256);
    let (nginx, certificate) = (Nginx::start("plain"), web(&authority));
    let asking = clients("optional", &staff);
    let lines = |balancer: Balancer, format: &str, certificate: Option<&CertificatePaths>, more: &[&str]| {
        let path = authority.folder().join(format!("{format}.log"));
        let log = format!("access_log = {{ path = {:?}, format = {format:?} }}", path.display().to_string());
        let elbow = balancer.listener(&asking).attribute(&log).start();
        ask(&elbow, certificate, more);
        let written = eventually("a line", Duration::from_secs(30), || {
            std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))
        });
        std::fs::remove_file(&path).expect("a file");
        written
    };
    let web = Balancer::https([nginx.address()], &[&certificate]);
    let hash = fingerprint_of_certificate(&alice);
    let stream = Balancer::ssl([nginx.address()], &[&certificate]);
    for (balancer, version) in [(&web, "--http1.1"), (&web, "--http2"), (&stream, "--http1.1")] {
        let line: Value =
            serde_json::from_str(&lines(balancer.clone(), "json", Some(&alice), &[version])).expect("JSON");
        assert_eq!(line["client_certificate_subject"], "CN=alice.test", "{version}: {line}");
        assert_eq!(line["client_certificate_fingerprint"], hash.as_str(), "{version}: {line}");
    }
    let line = lines(web.clone(), "json", None, &[]);
    assert!(line.contains("\"ssl_protocol\"") && !line.contains("client_certificate"), "{line}");
    let line = lines(web, "elb", Some(&alice), &[]);
    assert!(line.contains(" TLSv1.") && !line.contains("alice") && !line.contains(&hash), "{line}");
}

#[test]
fn probes_believe_an_instance_for_the_reason_that_traffic_does() {
    let (authority, strangers) = (Authority::new(), Authority::named("Strangers"));
    let nginx = Nginx::start_secure("named", &authority.issue("back", "back.test", &PKCS_ECDSA_P256_SHA256));
    let probing = |target: &str, authority: &Authority, name: &str| {
        let asked = format!("instance_certificates = {{ ca_file = {:?}, server_name = {name:?} }}", authority.path());
        let balancer = Balancer::http([nginx.address()]).listener("instance_protocol = \"HTTPS\"");
        balancer.listener(&asked).probing(target)
    };
    for target in ["HTTPS:1/", "SSL:1"] {
        let elbow = probing(target, &authority, "back.test").start();
        assert_eq!(elbow.admin().metrics().sum("elbow_healthy_instances", &[]), 1.0);
        for (authority, name, reason) in [
            (&strangers, "back.test", "certificate refused: certificate_untrusted"),
            (&authority, "other.test", "certificate refused: certificate_wrong_name"),
        ] {
            let elbow = probing(target, authority, name).start_early();
            let says = |line: &String| line.contains("instance out of service") && line.contains(reason);
            eventually(reason, Duration::from_secs(30), || elbow.log().iter().any(says).then_some(()));
        }
    }
    // On a port that no traffic is sent to nobody is verified.
    let elbow = probing("HTTPS:2/", &strangers, "other.test").start();
    assert_eq!(elbow.admin().metrics().sum("elbow_healthy_instances", &[]), 1.0);
}

/// A secret for tickets, only for its owner.
fn secret(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, name.repeat(32)).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    path
}

#[test]
fn nodes_of_a_fleet_take_each_others_tickets() {
    let authority = Authority::new();
    let certificate = web(&authority);
    let nginx = Nginx::start("plain");
    let plain = Balancer::https([nginx.address()], &[&certificate]);
    let with = |name: &str| {
        plain.clone().node(&format!("ticket_key_file = {:?}", secret(authority.folder(), name).display().to_string()))
    };
    let (first, second) = (with("shared").start(), Reloadable::start(&with("shared")));
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.folder().join(version).display().to_string();
        shake_hands(first.address(), &[version, "-sess_out", &session]);
        let comes_back = |at| shake_hands(at, &[version, "-sess_in", &session]).contains("Reused, TLSv1");
        assert!(comes_back(second.listener), "{version}");
        second.reload(&with("other"));
        assert!(!comes_back(second.listener), "{version}: another secret closes what was issued under this one");
        second.reload(&plain);
        assert!(!comes_back(second.listener), "{version}: so do random keys");
        second.reload(&with("shared"));
        assert!(comes_back(second.listener), "{version}");
    }
}
