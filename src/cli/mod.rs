//! The command line: arguments, one file per command, exit codes.
//!
//! A command reads its arguments into a struct and has one `execute` that answers an exit code. Results go to
//! standard output, everything about them (errors, warnings, progress) to standard error.

mod check;
mod demo;
mod drain;
mod explain;
mod export;
mod import;
mod reload;
mod remote;
mod run;
mod status;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Where the configuration is when nobody says.
const DEFAULT_FILE: &str = "/etc/elbow/elbow.toml";

/// Exit code: the configuration is wrong, or the balancer could not do its work.
const FAILED: u8 = 1;
/// Exit code: the configuration could not be read.
const UNREADABLE: u8 = 2;
/// Exit code: the arguments make no sense; clap's.
const MISUSED: u8 = 2;

/// What `elbow` without arguments says.
const SHORT_HELP: &str = "\
elbow demo                 try it: two sample back ends and a balancer
elbow run -c elbow.toml    run the balancer that a file describes
elbow run --listen http://127.0.0.1:8080 --to 127.0.0.1:9001
                           run one without a file
elbow check -c elbow.toml  check a file: every error at once, with its line
elbow status               what a running balancer balances
elbow reload [--plan]      make it read its file again, or show the difference
elbow drain web/web-2      give an instance no more new work
elbow explain ID           what became of a request: its X-Request-Id
elbow import web           let the ELB API change what the file has made
elbow export               what the ELB API has made, as a file
elbow help [COMMAND]       all options
";

/// A load balancer for bare-metal Linux.
#[derive(Debug, Parser)]
#[command(name = "elbow", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Run(run::Arguments),
    Check(check::Arguments),
    Status(status::Arguments),
    Reload(reload::Arguments),
    Drain(drain::Arguments),
    Explain(explain::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Some(Command::Demo(arguments)) => demo::execute(&arguments),
        Some(Command::Run(arguments)) => run::execute(&arguments),
        Some(Command::Check(arguments)) => check::execute(&arguments),
        Some(Command::Status(arguments)) => status::execute(&arguments),
        Some(Command::Reload(arguments)) => reload::execute(&arguments),
        Some(Command::Drain(arguments)) => drain::execute(&arguments),
        Some(Command::Explain(arguments)) => explain::execute(&arguments),
        Some(Command::Import(arguments)) => import::execute(&arguments),
        Some(Command::Export(arguments)) => export::execute(&arguments),
        None => terminal::show(SHORT_HELP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_short_help_fits_a_narrow_terminal() {
        assert!(SHORT_HELP.starts_with("elbow demo"));
        assert!(SHORT_HELP.lines().all(|line| line.len() <= 80));
    }
}
