//! Programs in Python, with the packages of `tests/requirements.txt`: clients that run to their end, instances that serve.
//! What several of them need is the module `python/peers.py`, which each may import.

use super::tools::{run, text};
use super::{PATIENCE, Process, eventually, free_address};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

/// Runs a program. Its standard output.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn python(program: &str, arguments: &[&str]) -> String {
    text(run(&mut command(program, arguments)))
}

/// Starts a program that listens at the address in its first argument; more arguments may follow. Where it listens, as
/// soon as it does.
#[track_caller]
pub fn python_server(program: &str, more: &[&str]) -> (SocketAddr, Process) {
    let address = free_address();
    let process = Process::start(command(program, &[&[address.to_string().as_str()], more].concat()));
    eventually("the server in Python listens", PATIENCE, || TcpStream::connect(address).ok());
    (address, process)
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"));
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/harness/python"));
    // Nothing compiled is left among the sources.
    command.args(["-B", "-c", program]).args(arguments);
    command
}
