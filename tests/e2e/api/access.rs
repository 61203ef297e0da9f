//! Who may call, and over what: keys and their files, TLS.

use super::installation::{Installation, KEY, SECRET};
use crate::harness::{Authority, Peer, free_address, python, run_elbow};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// What `elbow check` and `elbow run` say of a file that both refuse.
fn refusal(file: &str) -> String {
    let [checked, run] = ["check", "run"].map(|command| run_elbow(&[command, "-c", file]));
    assert_eq!([checked.status.code(), run.status.code()], [Some(1); 2], "{checked:?} {run:?}");
    assert_eq!(checked.stderr, run.stderr);
    String::from_utf8(run.stderr).expect("UTF-8")
}

#[test]
fn without_keys_there_is_no_api_and_no_balancer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("elbow.toml");
    let path = path.to_str().expect("UTF-8");
    for (lines, place) in [("region = \"us-east-1\"", ":1:1"), ("access_keys = []", ":2:15")] {
        std::fs::write(path, format!("[api]\n{lines}\n")).expect("a file");
        let said = refusal(path);
        let expected = format!("{path}{place}: api: access_keys: expected at least one, or nobody can call the API\n");
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn an_address_in_use_is_named_once() {
    let installation = Installation::new("");
    let _taken = std::net::TcpListener::bind(installation.api()).expect("free a moment ago");
    let output = run_elbow(&["run", "-c", &installation.file()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(said.matches(&installation.api().to_string()).count(), 1, "{said}");
    assert!(said.starts_with("elbow run: API address ") && said.contains("in use"), "{said}");
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let installation = Installation::new("");
    let secret = installation.folder().join("elbow.secret");
    for (mode, cause) in [(0o644, "mode 0644 lets others than its owner"), (0o620, "mode 0620 lets others")] {
        std::fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("a mode");
        let said = refusal(&installation.file());
        assert!(said.contains(&format!("access key 1: secret_file: {}: {cause}", secret.display())), "{said}");
        assert!(said.contains("chmod 600") && said.contains('^'), "{said}");
    }
}

/// Larger than one record in both directions, behind a certificate that the client verifies, under a name of our own.
const OVER_TLS: &str = r#"
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import SSLError

endpoint, key, secret, authority, port = sys.argv[1:]
config = Config(retries={"total_max_attempts": 1})
common = {"endpoint_url": endpoint, "aws_access_key_id": key, "aws_secret_access_key": secret, "config": config}
client = boto3.client("elb", region_name="eu-central-1", verify=authority, **common)
web = {"LoadBalancerName": "web"}
listener = {"Protocol": "TCP", "LoadBalancerPort": int(port), "InstancePort": 1}
name = client.create_load_balancer(**web, Listeners=[listener], AvailabilityZones=["default"], Scheme="internal")["DNSName"]
assert name.startswith("internal-web-") and name.endswith(".lb.example.org"), name
ids = [{"InstanceId": f"127.0.0.1:{port}"} for port in range(1, 1001)]
assert client.register_instances_with_load_balancer(**web, Instances=ids)["Instances"] == ids
assert client.describe_load_balancers()["LoadBalancerDescriptions"][0]["Instances"] == ids
client.delete_load_balancer(**web)
try:
    boto3.client("elb", region_name="eu-central-1", **common).describe_load_balancers()
    raise AssertionError("nobody has vouched for it")
except SSLError:
    print("verified")
"#;

#[test]
fn calls_over_tls() {
    let (authority, listener) = (Authority::new(), free_address());
    let mut installation = Installation::new("");
    let host = installation.api().ip();
    let certificate = authority.issue("api", &host.to_string(), &rcgen::PKCS_ECDSA_P256_SHA256);
    let lines = format!(
        "certificate = {}\nregion = \"eu-central-1\"\ndns_suffix = \"lb.example.org\"\ninternal_address = \"{}\"",
        certificate.text(),
        listener.ip()
    );
    installation.say(&lines);
    installation.write("");
    let elbow = installation.start();
    let port = listener.port().to_string();
    let endpoint = installation.endpoint().replace("http:", "https:");
    assert_eq!(python(OVER_TLS, &[&endpoint, KEY, SECRET, &authority.path(), &port]).trim(), "verified");

    // Whoever does not speak TLS gets no answer in the clear, and harms nobody.
    let mut plain = Peer::connect_and_send(installation.api(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (received, _) = plain.read_to_end();
    assert!(!received.starts_with(b"HTTP/"), "{received:?}");
    assert_eq!(python(OVER_TLS, &[&endpoint, KEY, SECRET, &authority.path(), &port]).trim(), "verified");
    drop(elbow);
}

#[test]
fn the_page_for_those_who_come_from_elb_shows_a_good_file() {
    let page = include_str!("../../../src/control/api/COMING_FROM_ELB.md");
    let shown = page.split("```").find_map(|block| block.strip_prefix("toml\n")).expect("a file is shown");
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let certificate = authority.issue("api", "elb.example.org", &rcgen::PKCS_ECDSA_P256_SHA256);
    let place = |name: &str| folder.path().join(name);
    std::fs::copy(&certificate.chain, place("api.crt")).expect("a chain");
    std::fs::copy(&certificate.key, place("api.key")).expect("a key");
    for name in ["elbow.secret", "dashboard.secret"] {
        std::fs::write(place(name), SECRET).expect("a secret");
        std::fs::set_permissions(place(name), Permissions::from_mode(0o600)).expect("a mode");
    }
    std::fs::write(place("elbow.toml"), shown).expect("a file");
    let checked = run_elbow(&["check", "-c", place("elbow.toml").to_str().expect("UTF-8")]);
    assert_eq!((checked.status.code(), checked.stderr.as_slice()), (Some(0), &b""[..]), "{checked:?}");
}
