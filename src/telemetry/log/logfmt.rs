//! Events as `key=value` pairs on one line. Whatever a value holds, it cannot begin another pair or another line.

use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// The text form of the log. Spans are not shown: an event carries all it has to say.
#[derive(Debug)]
pub(super) struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        line.write_str("time=")?;
        SystemTime.format_time(&mut line)?;
        write!(line, " level={} target={}", level_word(metadata.level()), metadata.target())?;
        let mut pairs = Pairs { line: &mut line, outcome: Ok(()) };
        event.record(&mut pairs);
        pairs.outcome?;
        line.write_char('\n')
    }
}

struct Pairs<'a, 'w> {
    line: &'a mut Writer<'w>,
    outcome: fmt::Result,
}

impl Visit for Pairs<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.outcome.is_ok() {
            self.outcome = write!(self.line, " {}=", field.name()).and_then(|()| write_value(self.line, value));
        }
    }
}

fn write_value(line: &mut Writer<'_>, value: &str) -> fmt::Result {
    let plain = |character: char| !character.is_whitespace() && !character.is_control() && !"=\"\\".contains(character);
    if !value.is_empty() && value.chars().all(plain) { line.write_str(value) } else { write!(line, "{value:?}") }
}

fn level_word(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
