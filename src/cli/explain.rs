//! `elbow explain`.

use std::process::ExitCode;

use super::remote;
use crate::model::AdminAddress;

/// Show what became of a request: how long each part took, which instances it was tried on, and why it failed
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What its answer said in X-Request-Id, its trace if it came with one, or the ADDRESS:PORT of the client, which finds
    /// connections too
    #[arg(value_name = "ID")]
    id: String,

    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Asks the balancer, and shows what it remembers.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    remote::command(&arguments.admin, "/explain", arguments.id.clone())
}
