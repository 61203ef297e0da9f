//! Writing to people: what colour their terminal takes, and no panic when they stop reading.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use crate::control::config::Paint;

/// Writes the result of a command to standard output; answers the exit code. A reader that has gone wants no more of
/// it: that is no failure. A full disk is one, or half of a file would pass for the whole.
pub(super) fn show(text: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            print_error(&format!("standard output: {error}\n"));
            ExitCode::from(super::FAILED)
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Writes to standard output what is said beside the work, which goes on whether it is heard or not.
pub(super) fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error, as [`print()`] does.
pub(super) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// How text for standard error is coloured: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(super) fn error_paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stderr().is_terminal() { Paint::Ansi } else { Paint::Plain }
}
