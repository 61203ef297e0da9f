//! Talking to a running balancer.

use std::process::ExitCode;

use super::terminal;
use crate::control::admin::client;
use crate::model::AdminAddress;

/// Posts a command and shows the answer: on standard output when it was carried out, else on standard error.
pub(super) fn command(address: &AdminAddress, path: &str, body: String) -> ExitCode {
    match client::post(address, path, body) {
        Ok(reply) if reply.status.is_success() => terminal::show(&String::from_utf8_lossy(&reply.body)),
        Ok(reply) => failed(&String::from_utf8_lossy(&reply.body)),
        Err(error) => failed(&format!("{error}\n")),
    }
}

/// Says why it did not go; answers the exit code.
pub(super) fn failed(message: &str) -> ExitCode {
    terminal::print_error(message);
    ExitCode::from(super::FAILED)
}
