//! Floor 2: one thread, one ring, one executor. The home of `io_uring` and the only room with `unsafe`.
//!
//! It owns the executor and its tasks, operations in flight, receive buffers, timers, sockets and pipes. It knows nothing
//! of protocols or load balancing.
//!
//! How things are born and die: an [`Executor`] is made on its thread over a [`Kernel`] ([`Ring`], or the simulator of
//! `tests/sim`). Flows are tasks ([`Io::spawn`]); they hold sockets, and sockets hold descriptors by count. Every
//! operation in flight holds its descriptor and memory until the kernel's last word, so dropping a flow at any
//! point is safe: its operations are cancelled, and what they owned goes when they have ended.

mod buffers;
mod executor;
mod features;
mod kernel;
mod mailbox;
mod operation;
mod outgoing;
mod pipe;
mod race;
mod ring;
mod socket;
mod system;
mod timer;

pub use buffers::{BUFFER_SIZE, BufferId, BufferPool, Chunk};
pub use executor::{Counts, Executor, Io};
pub use features::{Features, MINIMUM_KERNEL, Support};
pub use kernel::{Completion, Direction, Kernel, ListenOptions, Wait};
pub use operation::{Interest, Operation, Outcome, Submitted};
pub use outgoing::Outgoing;
pub use pipe::{Moved, Pipe, PipePool};
pub use race::{Either, join, race};
pub use ring::Ring;
pub use socket::{Descriptor, Listener, Receiving, Socket};
pub use timer::{Elapsed, Sleep};

/// Pins the calling thread to one CPU.
///
/// # Errors
/// As sched_setaffinity(2), such as EINVAL for a CPU that is not there.
pub fn pin_to(cpu: usize) -> std::io::Result<()> {
    system::pin_to(cpu)
}
