//! The history of a run: always as a hash, so that two runs can be compared, and as text when it is being looked at.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use elbow::base::Instant;

use crate::network::Errno;
use crate::stage::Harm;

/// One line of history.
#[derive(Debug, Hash)]
pub enum Note<'a> {
    /// A ring took an operation.
    Submit { ring: usize, key: u64, kind: &'static str, descriptor: RawFd },
    /// A ring was asked to cancel an operation.
    Cancel { ring: usize, key: u64 },
    /// A completion was handed to its executor.
    Complete { ring: usize, key: u64, result: i32, more: bool },
    /// A call that does not wait.
    Call { ring: usize, name: &'static str, descriptor: RawFd, result: Result<i64, Errno> },
    /// Something reached one end of a connection.
    Arrive { connection: u32, side: usize, what: &'static str, bytes: usize },
    /// Injected harm.
    Harm(Harm, SocketAddr, SocketAddr),
    /// All rings sleep; time moves to the next event.
    Sleep,
    /// What a client or a back end has to say.
    Say(&'a str),
    /// Something is wrong.
    Finding(&'a str),
}

/// All notes of a run.
pub struct Trace {
    hasher: DefaultHasher,
    lines: u64,
    verbose: bool,
}

impl Trace {
    /// An empty history; `verbose` prints every line as it comes.
    pub fn new(verbose: bool) -> Trace {
        Trace { hasher: DefaultHasher::new(), lines: 0, verbose }
    }

    /// Adds one line.
    pub fn note(&mut self, now: Instant, note: Note<'_>) {
        now.hash(&mut self.hasher);
        note.hash(&mut self.hasher);
        self.lines += 1;
        if self.verbose {
            println!("{} {note:?}", Time(now));
        }
    }

    /// Equal for equal histories.
    pub fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// Number of lines.
    pub fn len(&self) -> u64 {
        self.lines
    }

    /// Shows the beginning of what is sent, which is not part of the history: the bytes follow from the rest.
    pub fn show(&self, bytes: &[u8]) {
        const SHOWN: usize = 400;
        if self.verbose && !bytes.is_empty() {
            println!("{:15}{}", "", bytes[..bytes.len().min(SHOWN)].escape_ascii());
        }
    }
}

/// An instant in seconds since the start of a run's clock.
pub struct Time(pub Instant);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:14.9}", self.0.as_nanoseconds() as f64 / 1e9)
    }
}
