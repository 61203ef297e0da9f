//! botocore and the AWS command line against a running balancer: one Python program of `scenarios/` each, which checks
//! what it is told.

use super::installation::{Installation, SECRET};
use crate::harness::{Authority, Backend, free_address};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

/// A port that something else listens on.
const TAKEN: u16 = 6666;

#[test]
fn a_life_of_a_load_balancer() {
    drive("life");
}

#[test]
fn listeners_and_policies() {
    drive("policies");
}

#[test]
fn the_calls_that_terraform_makes() {
    drive("terraform");
}

#[test]
fn the_command_line() {
    drive("command_line");
}

#[test]
fn instances_and_waiters() {
    drive("instances");
}

#[test]
fn errors_by_code() {
    drive("errors");
}

#[test]
fn signatures() {
    drive("signatures");
}

/// Runs a scenario against a balancer of its own, in front of two instances that answer.
fn drive(scenario: &str) {
    let (well, known) = (Backend::saying("one"), Backend::saying("two"));
    let (place, ill, authority) = (free_address().ip(), free_address(), Authority::new());
    let certificate = authority.issue("shop", "shop.example", &rcgen::PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let (known, nobody) = (known.address(), ill.ip());
    let installation = Installation::with_api(
        &format!(
            r#"
[inventory.instances.web-9]
address = "{known}"
[inventory.instances.i-0aa11bb22cc33dd44]
address = "{nobody}:1"
[inventory.instances.far]
address = "{nobody}:2"
zone = "rack-b"
[inventory.certificates.shop]
chain = "{chain}"
key = "{key}"
[inventory.certificates.other]
chain = "{chain}"
key = "{key}"
[inventory.subnets]
subnet-a = {{ zone = "default" }}
subnet-a2 = {{ zone = "default" }}
subnet-b = {{ zone = "rack-b" }}
[inventory.security_groups.sg-office]
allow = ["127.0.0.0/8"]
[load_balancers.filed]
listeners = [{{ protocol = "TCP", address = "{place}", port = 9000, instance_port = 9001 }}]
"#
        ),
        &format!("internet_facing_address = \"{place}\""),
    );
    std::fs::create_dir_all(installation.folder().join("state/buckets/my-logs")).expect("a bucket");
    let _taken = TcpListener::bind(SocketAddr::new(place, TAKEN)).expect("a free port");
    let _elbow = installation.start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join(".venv/bin/python"));
    command.arg(root.join("tests/e2e/api/scenarios").join(format!("{scenario}.py"))).env_clear();
    command.env("ENDPOINT", installation.endpoint()).env("SECRET", SECRET);
    command.env("WELL", well.address().to_string()).env("ILL", ill.to_string());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    // Nothing of the machine's own, and no look for credentials on the network.
    command.env("HOME", installation.folder()).env("AWS_EC2_METADATA_DISABLED", "true");
    let output = command.output().unwrap_or_else(|error| panic!("python: {error}; ./scripts/test installs it"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{scenario}: {}\n{said}\n{wrong}", output.status);
}
