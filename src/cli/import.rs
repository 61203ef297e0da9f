//! `elbow import`.

use std::process::ExitCode;

use super::remote;
use crate::model::AdminAddress;

/// Make a load balancer of the configuration file one that the ELB API changes; its traffic does not notice
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which one, e.g. web
    #[arg(value_name = "LOAD-BALANCER")]
    load_balancer: String,

    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Tells the balancer, and says what it answers.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    remote::command(&arguments.admin, "/import", arguments.load_balancer.clone())
}
