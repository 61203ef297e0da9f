//! `elbow demo`.

use std::process::ExitCode;

use super::terminal;

/// Try it: start two small sample back ends and a load balancer in front of them, on loopback
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The port of the load balancer on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,
}

/// Runs until a signal.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    let message = format!("elbow demo on port {}: this build has no data plane\n", arguments.port);
    terminal::print_error(&message);
    ExitCode::from(super::FAILED)
}
