//! `elbow check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{FAILED, UNREADABLE, terminal};
use crate::control::config::{self, ConfigErrors, Loaded, Report};
use crate::model::Configuration;

/// Check a configuration file: every error at once, each with its line
///
/// Exit code 0: good; 1: wrong; 2: cannot be read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = super::DEFAULT_FILE)]
    config: PathBuf,

    /// Print the file with every default filled in
    #[arg(long)]
    effective: bool,

    /// Print what was found as JSON
    #[arg(long, conflicts_with = "effective")]
    json: bool,
}

/// Checks the file and says so.
pub(super) fn execute(arguments: &Arguments) -> ExitCode {
    let loaded = config::load(&arguments.config);
    if arguments.json {
        return show_json(&loaded);
    }
    match loaded {
        Ok(Loaded { configuration, warnings }) => {
            terminal::print_error(&warnings.render(terminal::error_paint()));
            match arguments.effective {
                true => terminal::show(&config::effective(&configuration)),
                false => terminal::show(&summary(&arguments.config, &configuration)),
            }
        }
        Err(errors) => show_errors(&errors),
    }
}

/// Says on standard error why there is no configuration; answers the exit code.
pub(super) fn show_errors(errors: &ConfigErrors) -> ExitCode {
    match errors {
        ConfigErrors::Invalid(report) => show_invalid(report),
        ConfigErrors::Unreadable { .. } => {
            terminal::print_error(&format!("{errors}\n"));
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Shows what is wrong with a file, with the number of errors last, where the eye is; answers the exit code.
pub(super) fn show_invalid(report: &Report) -> ExitCode {
    let (errors, warnings) = report.counts();
    let path = report.source().path().display();
    let paragraphs = report.render(terminal::error_paint());
    let counts = match warnings {
        0 => count(errors, "error"),
        warnings => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    terminal::print_error(&format!("{paragraphs}{path}: {counts}\n"));
    ExitCode::from(FAILED)
}

fn show_json(loaded: &Result<Loaded, ConfigErrors>) -> ExitCode {
    let (found, failure) = match loaded {
        Ok(Loaded { warnings, .. }) => (warnings.to_json(), None),
        Err(errors @ ConfigErrors::Invalid(_)) => (errors.to_json(), Some(FAILED)),
        Err(errors @ ConfigErrors::Unreadable { .. }) => (errors.to_json(), Some(UNREADABLE)),
    };
    let shown = terminal::show(&format!("{found:#}\n"));
    failure.map_or(shown, ExitCode::from)
}

/// One line about a good file.
fn summary(path: &Path, configuration: &Configuration) -> String {
    let load_balancers = &configuration.load_balancers;
    let listeners = load_balancers.values().map(|load_balancer| load_balancer.listeners.len()).sum();
    let instances = load_balancers.values().map(|load_balancer| load_balancer.instances.len()).sum();
    format!(
        "{}: good: {}, {}, {}\n",
        path.display(),
        count(load_balancers.len(), "load balancer"),
        count(listeners, "listener"),
        count(instances, "instance"),
    )
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
