//! Writing to people: what colour their terminal takes, and no panic when they stop reading.

use std::io::{IsTerminal, Write};

use crate::control::config::Paint;

/// Writes to standard output. A reader that has gone wants no more of it: that is no error.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error, as [`print()`] does.
pub(super) fn print_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// How text for standard error is coloured: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub(super) fn error_paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && std::io::stderr().is_terminal() { Paint::Ansi } else { Paint::Plain }
}
