//! The real binary, running.

use super::admin::Admin;
use super::{PATIENCE, Process, eventually};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A balancer that serves. Dropping it kills it, and shows its log if the test failed.
#[derive(Debug)]
pub struct Elbow {
    process: Process,
    output: Lines,
    log: Lines,
    addresses: Vec<SocketAddr>,
    admin: Admin,
}

/// What a pipe has said so far, kept up by a thread of its own.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                kept.0.lock().expect("not poisoned").push(line);
            }
        });
        lines
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

/// `elbow` with these arguments.
pub fn elbow_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elbow"));
    command.args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR");
    command
}

/// Runs `elbow` to its end.
///
/// # Panics
/// When it has not ended in time.
pub fn run_elbow(arguments: &[&str]) -> Output {
    run_to_end(elbow_command(arguments))
}

/// Runs `command` to its end.
///
/// # Panics
/// When it has not ended in time.
pub fn run_to_end(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("elbow starts");
    let deadline = std::time::Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if std::time::Instant::now() > deadline {
            let _ = child.kill();
            panic!("{command:?} did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("its output")
}

/// The same command with a hard limit of open files.
pub fn under_limit(descriptors: usize, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &descriptors.to_string()]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    shell
}

impl Elbow {
    /// Starts the balancer with a configuration file of this text, which must name `admin`, and waits until it is
    /// ready. `addresses` are those of its listeners, in the test's order.
    pub fn start(text: &str, addresses: Vec<SocketAddr>, admin: SocketAddr) -> Elbow {
        Elbow::start_limited(text, addresses, admin, None)
    }

    /// As [`Elbow::start`], with a hard limit of open files.
    pub fn start_limited(
        text: &str,
        addresses: Vec<SocketAddr>,
        admin: SocketAddr,
        descriptors: Option<usize>,
    ) -> Elbow {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("elbow.toml");
        std::fs::write(&path, text).expect("a file");
        let elbow = elbow_command(&["run", "-c", path.to_str().expect("UTF-8")]);
        let command = match descriptors {
            None => elbow,
            Some(limit) => under_limit(limit, &elbow),
        };
        let started = Elbow::start_command(command, addresses, admin);
        // The file is read once; a reload in a test writes a file of its own.
        drop(folder);
        started
    }

    /// Starts `command`, which runs a balancer, and waits until it is ready.
    pub fn start_command(mut command: Command, addresses: Vec<SocketAddr>, admin: SocketAddr) -> Elbow {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(command);
        let output = Lines::of(process.child().stdout.take().expect("a pipe"));
        let log = Lines::of(process.child().stderr.take().expect("a pipe"));
        let mut elbow = Elbow { process, output, log, addresses, admin: Admin(admin) };
        elbow.wait_ready();
        elbow
    }

    fn wait_ready(&mut self) {
        eventually("the line `ready`", PATIENCE, || {
            if let Some(status) = self.process.exited() {
                panic!("elbow ended with {status} before it was ready");
            }
            self.log().iter().any(|line| line.starts_with("ready")).then_some(())
        });
    }

    /// The address of its first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn admin(&self) -> Admin {
        self.admin
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// All lines of its standard output so far.
    pub fn output(&self) -> Vec<String> {
        self.output.read()
    }

    /// All lines of its standard error so far.
    pub fn log(&self) -> Vec<String> {
        self.log.read()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the process to end.
    #[track_caller]
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        self.process.wait_exit(patience)
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.exited().is_none()
    }
}

impl Drop for Elbow {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("elbow said:\n{}", self.log().join("\n"));
        }
    }
}
