//! `elbow reload`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{check, remote};
use crate::control::config;
use crate::model::AdminAddress;

/// Make a running balancer read its configuration file again: by difference, all or nothing
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only show what would change
    #[arg(long)]
    plan: bool,

    /// With --plan: what would change if the balancer had this file
    #[arg(short = 'c', long = "config", value_name = "FILE", requires = "plan")]
    config: Option<PathBuf>,

    /// The admin address of the balancer
    #[arg(long, value_name = "ADDRESS", default_value_t = AdminAddress::DEFAULT)]
    admin: AdminAddress,
}

/// Reloads or plans, and shows what changes.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    if !arguments.plan {
        return remote::command(&arguments.admin, "/reload", String::new());
    }
    // The file is read here, where its paths mean what the user means, and sent with all of them absolute.
    let text = match &arguments.config {
        None => String::new(),
        Some(path) => match config::load(path) {
            Ok(loaded) => config::effective(&loaded.configuration),
            Err(errors) => return check::show_errors(&errors),
        },
    };
    remote::command(&arguments.admin, "/reload/plan", text)
}
