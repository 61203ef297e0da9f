//! `tuning/check` and `tuning/apply`, with a tree of files in the place of the kernel's settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// What `60-elbow.conf` wants, by name.
fn wanted() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("../../tuning/60-elbow.conf").lines();
    lines
        .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(" = "))
        .collect()
}

/// A host whose settings are as wanted, but for those that a test says.
struct Host(TempDir);

impl Host {
    fn with(others: &[(&'static str, &'static str)]) -> Host {
        let host = Host(tempfile::tempdir().expect("a folder"));
        for (name, value) in wanted().into_iter().chain(others.iter().copied()) {
            let path = host.setting(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, format!("{value}\n")).expect("a file");
        }
        host
    }

    fn setting(&self, name: &str) -> PathBuf {
        self.0.path().join("proc/sys").join(name.replace('.', "/"))
    }

    fn value(&self, name: &str) -> String {
        fs::read_to_string(self.setting(name)).expect("a setting").trim().to_owned()
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning").join(script);
        let mut command = Command::new(script);
        command.args(arguments).env("TUNING_ROOT", self.0.path()).output().expect("started")
    }

    /// Exit status and standard output.
    fn says(&self, script: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(script, arguments);
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    }

    /// What is kept over a restart, without comments.
    fn installed(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("etc/sysctl.d/60-elbow.conf")).unwrap_or_default();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }
}

#[test]
fn a_host_as_wanted_is_left_alone() {
    let host = Host::with(&[("net.core.somaxconn", "65535"), ("net.ipv4.tcp_fin_timeout", "10")]);
    assert_eq!(host.says("check", &[]).0, Some(0), "more than at least, and less than at most, is good");
    assert_eq!(host.says("check", &["--plain"]), (Some(0), String::new()));
    assert_eq!(host.says("apply", &["--yes"]), (Some(0), "all settings are as wanted\n".to_owned()));
    assert_eq!(host.value("net.core.somaxconn"), "65535");
    assert!(host.installed().is_empty());
}

#[test]
fn what_differs_is_shown_changed_kept_and_put_back() {
    let before = [("net.core.somaxconn", "128"), ("net.ipv4.ip_local_port_range", "32768\t60999")];
    let host = Host::with(&before);
    let (status, said) = host.says("check", &["--plain"]);
    let changes = "net.core.somaxconn\t128\t32768\nnet.ipv4.ip_local_port_range\t32768 60999\t10240 65535\n";
    assert_eq!((status, said.as_str()), (Some(1), changes));

    let (_, said) = host.says("apply", &[]);
    assert!(said.contains("net.core.somaxconn: 128 -> 32768\n") && said.contains("nothing changed"), "{said}");
    assert_eq!(host.value("net.core.somaxconn"), "128");
    assert!(host.installed().is_empty());

    // Once more changes nothing, least of all what would be put back.
    for _ in 0..2 {
        assert_eq!(host.says("apply", &["--yes"]).0, Some(0));
        assert_eq!(host.value("net.core.somaxconn"), "32768");
        assert_eq!(host.value("net.ipv4.ip_local_port_range"), "10240 65535");
        let kept = ["net.core.somaxconn = 32768", "net.ipv4.ip_local_port_range = 10240 65535"];
        assert_eq!(host.installed(), kept);
    }

    assert!(host.says("apply", &["--undo"]).1.contains("nothing changed"));
    assert_eq!(host.value("net.core.somaxconn"), "32768");
    assert_eq!(host.says("apply", &["--undo", "--yes"]).0, Some(0));
    assert_eq!(host.value("net.core.somaxconn"), "128");
    assert_eq!(host.value("net.ipv4.ip_local_port_range"), "32768 60999");
    assert!(host.installed().is_empty());
    assert_eq!(host.run("apply", &["--undo"]).status.code(), Some(1), "there is nothing left to undo");
}

#[test]
fn a_setting_that_this_kernel_does_not_have_is_said_and_passed_over() {
    let host = Host::with(&[("net.core.somaxconn", "128")]);
    fs::remove_file(host.setting("net.ipv4.tcp_migrate_req")).expect("removed");
    let (_, said) = host.says("check", &[]);
    let line = said.lines().find(|line| line.contains("tcp_migrate_req")).expect("listed");
    assert!(line.ends_with("not in this kernel or namespace"), "{line}");
    assert_eq!(host.says("apply", &["--yes"]).0, Some(0));
    assert!(!host.setting("net.ipv4.tcp_migrate_req").exists());
    assert_eq!(host.says("check", &[]).0, Some(0));
}

#[test]
fn a_wrong_argument_changes_nothing() {
    let host = Host::with(&[("net.core.somaxconn", "128")]);
    for (script, argument) in [("apply", "--force"), ("check", "--yes")] {
        assert_eq!(host.run(script, &[argument]).status.code(), Some(2), "{script}");
    }
    assert_eq!(host.value("net.core.somaxconn"), "128");
}
