//! Every crate that is built, for the program or for its tests, comes from where `deny.toml` allows, under a licence it
//! allows.

use serde::Deserialize;
use spdx::{Expression, ParseMode};
use std::path::Path;
use std::process::Command;

#[derive(Deserialize)]
struct Rules {
    licenses: LicenceRules,
    sources: SourceRules,
}

#[derive(Deserialize)]
struct LicenceRules {
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SourceRules {
    allow_registry: Vec<String>,
}

/// What `cargo metadata` says of a package.
#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    license: Option<String>,
    source: Option<String>,
}

impl Rules {
    fn read() -> Rules {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
        toml::from_str(&std::fs::read_to_string(path).expect("deny.toml")).expect("rules")
    }

    /// What is wrong with a package, if anything.
    fn complaint(&self, package: &Package) -> Option<String> {
        let Some(source) = &package.source else {
            return (package.name != "elbow").then(|| format!("{}: from a local path", package.name));
        };
        if !self.sources.allow_registry.iter().any(|allowed| source.strip_prefix("registry+") == Some(allowed)) {
            return Some(format!("{}: from {source}", package.name));
        }
        let Some(licence) = &package.license else {
            return Some(format!("{}: no licence", package.name));
        };
        match Expression::parse_mode(licence, ParseMode::LAX) {
            Ok(expression) if expression.evaluate(|term| self.licenses.allow.contains(&term.license.to_string())) => {
                None
            }
            Ok(_) => Some(format!("{}: {licence}", package.name)),
            Err(error) => Some(format!("{}: {licence}: {error}", package.name)),
        }
    }
}

/// All packages in the graph of this platform.
fn packages() -> Vec<Package> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
        resolve: Resolve,
    }
    #[derive(Deserialize)]
    struct Resolve {
        nodes: Vec<Node>,
    }
    #[derive(Deserialize)]
    struct Node {
        id: String,
    }
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Metadata { packages, resolve } = serde_json::from_slice(&output.stdout).expect("metadata");
    packages.into_iter().filter(|package| resolve.nodes.iter().any(|node| node.id == package.id)).collect()
}

#[test]
fn every_crate_is_under_a_permissive_licence() {
    let (rules, packages) = (Rules::read(), packages());
    let complaints: Vec<String> = packages.iter().filter_map(|package| rules.complaint(package)).collect();
    assert!(packages.len() > 50, "only {} packages", packages.len());
    assert!(complaints.is_empty(), "not allowed by deny.toml:\n{}", complaints.join("\n"));
}

#[test]
fn what_is_not_allowed_is_found() {
    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let cases = [
        ("MIT", CRATES_IO, true),
        ("MIT OR GPL-3.0", CRATES_IO, true),
        ("MIT/Apache-2.0", CRATES_IO, true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", CRATES_IO, true),
        ("MIT AND GPL-3.0", CRATES_IO, false),
        ("LGPL-2.1-or-later", CRATES_IO, false),
        ("my own", CRATES_IO, false),
        ("MIT", "git+https://example.net/crate", false),
    ];
    let rules = Rules::read();
    for (license, source, allowed) in cases {
        let package =
            Package { id: "x".into(), name: "x".into(), license: Some(license.into()), source: Some(source.into()) };
        assert_eq!(rules.complaint(&package).is_none(), allowed, "{license} {source}");
    }
}
