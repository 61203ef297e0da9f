//! The balancer's own events, one line each, on standard error. Events are written with the macros of `tracing`.
//!
//! # A blocked standard error blocks nothing
//!
//! The thread that has something to say formats the line and offers it to a bounded queue; a thread of its own takes
//! lines from there to standard error. When nobody reads standard error that thread alone waits, the queue fills, and
//! further lines are dropped and counted ([`Log::lines_dropped`]). At exit the queue gets about a second to empty.
//!
//! An event still costs a few microseconds and an allocation where it is written. What a peer can cause at will (a
//! request, a refused connection) is counted in a metric and at most logged at `debug`, which is off by default.

mod logfmt;

use logfmt::Logfmt;
use std::io;
use std::str::FromStr;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

/// Lines that may wait for standard error: some hundred KiB, and more than a start or a reload of a large node writes
/// at once.
const QUEUED_LINES_MAX: usize = 2_048;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `time=… level=info target=… message=… key=value`, quoted where needed.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("unknown log format {other:?}: expected text or json")),
        }
    }
}

/// The running log. Dropping it writes what is queued, for at most about a second, and ends the writing thread.
#[must_use = "lines are no longer written once this is dropped"]
pub struct Log {
    dropped: ErrorCounter,
    _writer: WorkerGuard,
}

impl Log {
    /// Starts the log for the whole process: once, before any thread that writes to it.
    ///
    /// `directives` says what is written, as in `info` or `info,elbow::prober=debug`; what it does not name is written
    /// from `info` up.
    ///
    /// # Errors
    ///
    /// Directives that do not parse, and a second start.
    pub fn start(format: Format, directives: &str) -> io::Result<Self> {
        let filter = filter(directives)?;
        let (log, queue) = Self::writing_to(io::stderr());
        tracing::subscriber::set_global_default(subscriber(format, filter, queue)).map_err(io::Error::other)?;
        Ok(log)
    }

    /// How many lines were dropped so far because standard error did not take them fast enough.
    pub fn lines_dropped(&self) -> usize {
        self.dropped.dropped_lines()
    }

    fn writing_to(destination: impl io::Write + Send + 'static) -> (Self, NonBlocking) {
        let (queue, writer) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUED_LINES_MAX)
            .lossy(true)
            .thread_name("elbow-log")
            .finish(destination);
        (Self { dropped: queue.error_counter(), _writer: writer }, queue)
    }
}

/// What `h2` warns of are its peers' mistakes. They are counted as failures; nobody outside shall fill the log.
const SILENT: &str = "h2=off";

fn filter(directives: &str) -> io::Result<EnvFilter> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(directives)
        .and_then(|filter| Ok(filter.add_directive(SILENT.parse()?)))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("log filter {directives:?}: {error}")))
}

fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Text => lines.event_format(Logfmt).boxed(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, directives: &str, events: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let filter = filter(directives).expect("good directives");
        tracing::subscriber::with_default(subscriber(format, filter, move || writer.clone()), events);
        let bytes = kept.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn text_is_one_quoted_line_per_event_whatever_a_peer_sends() {
        let text = logged(Format::Text, "", || {
            tracing::warn!(port = 80, peer = %"a b\n\"level=error\"", empty = "", ratio = 0.5, "listener paused");
            tracing::debug!("not at the default level");
        });
        let (time, rest) = text.split_once(' ').expect("several fields");
        assert!(time.starts_with("time=20") && time.ends_with('Z'), "{time}");
        assert_eq!(
            rest,
            "level=warn target=elbow::telemetry::log::tests message=\"listener paused\" port=80 \
             peer=\"a b\\n\\\"level=error\\\"\" empty=\"\" ratio=0.5\n"
        );
    }

    #[test]
    fn json_is_one_object_per_event() {
        let text = logged(Format::Json, "debug", || tracing::debug!(port = 80, "listener\npaused"));
        assert_eq!(text.lines().count(), 1);
        let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(event["level"], "DEBUG");
        assert_eq!(event["message"], "listener\npaused");
        assert_eq!(event["port"], 80);
    }

    #[test]
    fn directives_choose_by_room() {
        let text = logged(Format::Text, "error,elbow::telemetry=info", || {
            tracing::info!("kept");
            tracing::warn!(target: "elbow::prober", "left out");
        });
        assert!(text.contains("message=kept") && !text.contains("left out"), "{text}");
        assert!(filter("elbow=loud").is_err());
    }

    #[test]
    fn a_destination_that_blocks_costs_lines_not_time() {
        struct Blocked(mpsc::Receiver<()>);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (unblock, blocked) = mpsc::channel();
        let (log, queue) = Log::writing_to(Blocked(blocked));
        let filter = filter("info").expect("good directives");
        tracing::subscriber::with_default(subscriber(Format::Text, filter, queue), || {
            (0..3 * QUEUED_LINES_MAX).for_each(|line| tracing::info!(line));
        });
        let dropped = log.lines_dropped();
        assert!((2 * QUEUED_LINES_MAX - 2..=2 * QUEUED_LINES_MAX).contains(&dropped), "{dropped}");
        drop(unblock);
    }
}
