//! `elbow export`.

use std::process::ExitCode;

use super::remote;
use crate::model::AdminAddress;

/// Print the load balancers that were made by the ELB API as a configuration file
///
/// What a file has no word for is missing: tags, times of creation, load balancers without a listener.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Asks the balancer, and prints what it answers.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    remote::command(&arguments.admin, "/export", String::new())
}
