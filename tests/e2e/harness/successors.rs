//! A balancer whose binary can be replaced, and the processes that come after the first.

use super::admin::Admin;
use super::{Elbow, PATIENCE, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A balancer that was started from an executable of its own. Dropping it kills whoever serves, and whoever drains.
pub struct Upgradable {
    pub elbow: Elbow,
    /// All processes there were, the first one first.
    processes: RefCell<Vec<Pid>>,
    folder: TempDir,
}

impl Upgradable {
    /// Starts what `command` runs, from a copy of its executable.
    pub fn start(command: &Command, addresses: Vec<SocketAddr>, admin: SocketAddr) -> Upgradable {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("elbow");
        install(Path::new(command.get_program()), &program);
        let mut copy = Command::new(&program);
        copy.args(command.get_args());
        for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            copy.env(name, value);
        }
        let elbow = Elbow::start_command(copy, addresses, admin);
        let first = pid(elbow.process().id());
        Upgradable { elbow, processes: RefCell::new(vec![first]), folder }
    }

    /// The executable.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("elbow")
    }

    /// Replaces the executable by a script of the shell.
    pub fn replace_by_script(&self, script: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).expect("a file");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::rename(&new, self.program()).expect("replaced");
    }

    /// Replaces the executable by a new copy of the real one.
    pub fn replace(&self) {
        install(Path::new(env!("CARGO_BIN_EXE_elbow")), &self.program());
    }

    /// The process that serves, as far as is known here.
    pub fn pid(&self) -> Pid {
        *self.processes.borrow().last().expect("the first")
    }

    /// Tells the process that serves to upgrade.
    pub fn signal_upgrade(&self) {
        kill(self.pid(), Signal::SIGUSR2).expect("it runs");
    }

    /// Upgrades, and waits until the new process answers for the node. The one before.
    pub fn upgrade(&self) -> Pid {
        let before = self.pid();
        self.signal_upgrade();
        let after = eventually("another process answers", 2 * PATIENCE, || {
            serving(self.elbow.admin()).filter(|serving| *serving != before)
        });
        self.processes.borrow_mut().push(after);
        before
    }

    /// Tells the process that serves to upgrade, and waits until it says that this has failed, with this reason.
    pub fn fail_to_upgrade(&self, reason: &str) {
        let failures = || {
            let log = self.elbow.log();
            log.into_iter().filter(|line| line.contains("upgrade failed")).collect::<Vec<String>>()
        };
        let before = failures().len();
        self.signal_upgrade();
        let said = eventually("the upgrade fails", 2 * PATIENCE, || failures().get(before).cloned());
        assert!(said.contains(reason), "{said}");
        assert_eq!(serving(self.elbow.admin()), Some(self.pid()), "the old process goes on");
    }

    /// Waits for the end of a process that was succeeded.
    pub fn wait_end(&self, process: Pid) {
        eventually("the old process ends", 2 * PATIENCE, || (!runs(process)).then_some(()));
    }
}

impl Drop for Upgradable {
    fn drop(&mut self) {
        // One that began to serve after the test gave up.
        let last = serving(self.elbow.admin());
        for process in self.processes.borrow().iter().copied().chain(last).filter(|process| runs(*process)) {
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

fn install(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).expect("a copy");
    fs::rename(&new, to).expect("replaced");
}

fn serving(admin: Admin) -> Option<Pid> {
    let (_, status) = admin.try_get("/status").ok()?;
    let status: serde_json::Value = serde_json::from_str(&status).ok()?;
    Some(pid(status["node"]["pid"].as_u64()?.try_into().ok()?))
}

/// Whether a process is there and no zombie.
pub fn runs(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().expect("a process id"))
}
