//! Floor 2: one thread, one ring, one executor. The home of `io_uring` and the only room with `unsafe`.
//!
//! It owns the executor and its tasks, operations in flight, receive buffers, timers, sockets and pipes. It knows nothing
//! of protocols or load balancing.
//!
//! How things are born and die: an [`Executor`] is made on its thread over a [`Kernel`] ([`Ring`], or the simulator of
//! `tests/sim`). Flows are tasks ([`Io::spawn`]); they hold sockets, and sockets hold descriptors by count. Every
//! operation in flight holds its descriptor and memory until the kernel's last word, so dropping a flow at any
//! point is safe: its operations are cancelled, and what they owned goes when they have ended.

mod backlog;
mod block;
mod buffers;
mod executor;
mod features;
mod handover;
mod in_flight;
mod io;
mod kernel;
mod lending;
mod listening;
mod mailbox;
mod operation;
mod outgoing;
mod pipe;
mod published;
mod race;
mod ring;
mod scarcity;
mod socket;
mod system;
mod tasks;
mod timer;
mod waker;

pub use backlog::Backlog;
pub use buffers::{BUFFER_SIZE, BufferId, BufferPool, Chunk};
pub use executor::Executor;
pub use features::{Features, MINIMUM_KERNEL, Support};
pub use handover::{HandoverChannel, ListeningAddress, activated_sockets, listening_address, prepare_listener};
pub use io::{Counts, Io};
pub use kernel::{Completion, Direction, Kernel, ListenOptions, Wait};
pub use listening::{ListeningSockets, Remaining, Slot};
pub use operation::{Arrival, Interest, LITTLE, Manner, Operation, Outcome, Submitted};
pub use outgoing::Outgoing;
pub use pipe::{Moved, Pipe, PipePool};
pub use published::Published;
pub use race::{Either, Race, TryJoin, race, try_join};
pub use ring::Ring;
pub use scarcity::is_shortage;
pub use socket::{AcceptError, Descriptor, Listener, Receiving, Sending, Socket};
pub use timer::{Elapsed, Sleep, Within};

/// The CPUs that this process may run on (sched_getaffinity(2)), in order.
///
/// # Errors
/// As sched_getaffinity(2).
pub fn allowed_cpus() -> std::io::Result<Vec<usize>> {
    system::allowed_cpus()
}

/// Has the kernel give this process memory in small pages only. The allocator asks for huge ones, and then a heap of a few
/// megabytes takes several times that, and a first touch in the middle of a burst waits until two megabytes are cleared.
///
/// # Errors
/// As prctl(2) with PR_SET_THP_DISABLE.
pub fn forgo_huge_pages() -> std::io::Result<()> {
    system::forgo_huge_pages()
}

/// Raises the soft limit on open descriptors to the hard one; answers the limit in force.
///
/// # Errors
/// As getrlimit(2).
pub fn raise_descriptor_limit() -> std::io::Result<u64> {
    system::raise_descriptor_limit()
}

/// Whether nobody listens at `address`, not even a socket that would share it.
///
/// # Errors
/// Why it cannot be bound, such as `AddrInUse` or `PermissionDenied`.
pub fn probe_address(address: std::net::SocketAddr) -> std::io::Result<()> {
    system::probe_address(address)
}

/// The time that every [`Ring`] of this machine tells (CLOCK_MONOTONIC).
pub fn monotonic_now() -> crate::base::Instant {
    system::now()
}

/// Pins the calling thread to one CPU.
///
/// # Errors
/// As sched_setaffinity(2), such as EINVAL for a CPU that is not there.
pub fn pin_to(cpu: usize) -> std::io::Result<()> {
    system::pin_to(cpu)
}
