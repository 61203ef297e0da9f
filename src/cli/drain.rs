//! `elbow drain`.

use std::process::ExitCode;

use super::remote;
use crate::model::AdminAddress;

/// Give an instance no more new work; what it has in flight goes on
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Which one, e.g. web/web-2
    #[arg(value_name = "LOAD-BALANCER/INSTANCE")]
    instance: String,

    /// Give it work again
    #[arg(long)]
    undo: bool,

    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Tells the balancer, and says what it answers.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    let path = if arguments.undo { "/undrain" } else { "/drain" };
    remote::command(&arguments.admin, path, arguments.instance.clone())
}
