//! The seam between the executor and a kernel: the ring is one kernel, the simulator of `tests/sim` the other.
//!
//! Waiting operations are submitted and answered later with a [`Completion`]; calls that never wait (close, shutdown,
//! splice between ready descriptors, ...) are plain methods. One virtual call per operation is its whole price.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::base::Instant;
use crate::base::slab::Key;
use crate::runtime::buffers::BufferId;
use crate::runtime::operation::Operation;

/// What a kernel says when an operation has made progress.
#[derive(Debug)]
pub struct Completion {
    /// The key under which the operation was submitted.
    pub key: Key,
    /// As a system call would return it: a count or a descriptor, or a negated errno.
    pub result: i32,
    /// The provided buffer that received data, if any.
    pub buffer: Option<BufferId>,
    /// Further completions with this key will follow (multishot operations).
    pub more: bool,
}

/// How long a turn may sleep when nothing has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: there is work to do.
    No,
    /// Until the instant at the latest.
    Until(Instant),
    /// Until something completes or the doorbell rings.
    Forever,
}

/// Which direction of a connection to shut down, as shutdown(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// No more sends: the peer sees the end of the stream.
    Write,
    /// Neither sends nor receives.
    Both,
}

/// How a listening socket is made.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where to listen; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Length of the accept queue asked for; the kernel caps it at `net.core.somaxconn`.
    pub backlog: u32,
}

/// A kernel as one executor sees it. All methods are called from the executor's thread only.
pub trait Kernel {
    /// Monotonic time now.
    fn now(&self) -> Instant;

    /// Starts `operation`. It stays at its place in memory, and what it owns stays untouched, until its last
    /// completion has been handed out.
    fn submit(&mut self, key: Key, operation: &mut Operation);

    /// Asks that the operation end soon. It still completes exactly once for the last time, possibly successfully.
    fn cancel(&mut self, key: Key);

    /// Lends a buffer for data to be received into.
    fn provide(&mut self, buffer: BufferId);

    /// Submits what is pending, sleeps as `wait` allows when nothing has completed, and appends completions.
    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()>;

    /// The eventfd(2) that ends a sleeping turn from another thread, where this kernel has one.
    fn doorbell(&self) -> Option<RawFd>;

    /// A listening TCP socket with SO_REUSEADDR and SO_REUSEPORT; accepted sockets inherit TCP_NODELAY.
    fn listen(&mut self, options: &ListenOptions) -> io::Result<RawFd>;

    /// An unconnected TCP socket of the address's family, non-blocking, with TCP_NODELAY.
    fn open(&mut self, address: &SocketAddr) -> io::Result<RawFd>;

    /// Takes one connection from the accept queue, or fails with `WouldBlock`.
    fn accept_now(&mut self, listener: RawFd) -> io::Result<RawFd>;

    /// Lets `listener` take no further handshake; those begun, and connections waiting to be accepted, stay.
    fn refuse_new(&mut self, listener: RawFd);

    /// close(2). No operation is in flight on `descriptor`.
    fn close(&mut self, descriptor: RawFd);

    /// shutdown(2); errors (already shut, already reset) carry no news and are dropped.
    fn shutdown(&mut self, socket: RawFd, direction: Direction);

    /// Makes the coming close send RST instead of FIN (SO_LINGER with zero seconds, socket(7)).
    fn reset_on_close(&mut self, socket: RawFd);

    /// getpeername(2).
    fn peer_address(&self, socket: RawFd) -> io::Result<SocketAddr>;

    /// getsockname(2).
    fn local_address(&self, socket: RawFd) -> io::Result<SocketAddr>;

    /// A non-blocking pipe: read end, write end and its capacity in bytes.
    fn pipe(&mut self) -> io::Result<(RawFd, RawFd, usize)>;

    /// recv(2), non-blocking, by the calling thread and not by the ring. `Ok(0)` is the end of the stream.
    fn receive_now(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize>;

    /// splice(2), non-blocking: moves up to `length` bytes. `Ok(0)` is the end of the stream.
    fn splice(&mut self, from: RawFd, to: RawFd, length: usize) -> io::Result<usize>;
}
