//! What holds when receive buffers run short: whoever has held some for long and got nowhere gives them back.
//!
//! A connection holds buffers while its peer does not take what they hold. Many such peers would leave none to the others
//! of the core, long before any of them is silent for a timeout. So while most buffers are held, waits with buffers in
//! their hands end after a short time, with an error of their own.

use std::io;
use std::task::Poll;
use std::time::Duration;

use crate::base::Instant;
use crate::runtime::io::Io;

/// How long a peer may take over one send, or let what it sent ahead lie, while buffers are scarce: a piece of 16 KiB in
/// two seconds is slower than any line in use.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often waits are looked at while buffers are scarce.
pub(in crate::runtime) const LOOK: Duration = Duration::from_millis(100);

/// Whether so many buffers are `held` of all that there are (`capacity`) that those left are for whoever makes progress.
pub(in crate::runtime) fn is_scarce(held: usize, capacity: usize) -> bool {
    held > capacity - capacity / 4
}

impl Io {
    /// Asked by a wait that began at `since`, is not over and keeps buffers in use: ready, with an error that
    /// [`is_shortage`] knows, if they are scarce and it has taken long. Every task is polled now and then while they are.
    pub fn poll_shortage(&self, since: Instant) -> Poll<io::Error> {
        if !self.in_flight().lending().is_scarce() || self.now().since(since) < PATIENCE {
            return Poll::Pending;
        }
        self.in_flight().lending().note_taken_back();
        Poll::Ready(io::Error::from_raw_os_error(libc::ENOBUFS))
    }
}

/// Whether something failed because buffers were scarce.
pub fn is_shortage(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
}
