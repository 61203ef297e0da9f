//! Operations: what can be asked of the kernel, and the future that waits for the answer.
//!
//! An operation owns its descriptor and its memory until its last completion. Dropping the future that waits for it asks
//! the kernel to cancel and leaves the slot behind; what it owns is released, and what it won (a descriptor, a
//! buffer) given back, when the kernel has answered.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::base::slab::Key;
use crate::runtime::backlog::Backlog;
use crate::runtime::buffers::Chunk;
use crate::runtime::io::Io;
use crate::runtime::outgoing::Outgoing;
use crate::runtime::socket::Descriptor;

/// What a poll waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end of the stream.
    Readable,
    /// Room to write.
    Writable,
}

/// What [`Manner::Little`] receives at the most: any usual head and not much of a body.
pub const LITTLE: usize = 4096;

/// How a receive goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Once; bytes are probably there.
    Now,
    /// Once, and little: the head of a long message, whose body is better moved by other means. Nothing is expected right
    /// now, so wait for readiness before trying (IORING_RECVSEND_POLL_FIRST).
    Little,
    /// Again and again until cancelled, where the kernel can do that with a bound on what one turn may take; else as
    /// [`Manner::Little`]. For connections that carry small messages: nothing is submitted per message.
    Repeatedly,
}

/// What a receive that is waited for has to say.
#[derive(Debug)]
pub enum Arrival {
    /// Bytes.
    Chunk(Chunk),
    /// The end of the stream.
    End,
    /// Nothing more from this operation, but possibly from the next.
    Over,
}

/// One request to the kernel with everything it needs while it is in flight.
#[derive(Debug)]
pub enum Operation {
    /// Accept connections until cancelled or failed; each arrives as one completion.
    Accept {
        /// The listening socket.
        listener: Rc<Descriptor>,
        /// Accepted descriptors that nobody has taken yet.
        accepted: VecDeque<RawFd>,
    },
    /// Connect `socket` to `address`.
    Connect {
        /// An unconnected socket.
        socket: Rc<Descriptor>,
        /// Where to; boxed because the kernel may read it until completion.
        address: Box<socket2::SockAddr>,
    },
    /// Receive into provided buffers.
    Receive {
        /// The connected socket.
        socket: Rc<Descriptor>,
        /// How often, and what is expected.
        manner: Manner,
        /// What arrived and nobody has taken yet.
        received: Backlog,
    },
    /// Send all of `bytes`.
    Send {
        /// The connected socket.
        socket: Rc<Descriptor>,
        /// What is left to send.
        bytes: Outgoing,
        /// The end of the stream follows at once, so the last segment may wait for it (MSG_MORE of send(2)): both leave
        /// as one.
        ends: bool,
    },
    /// Wait until a descriptor is ready (level-triggered, one shot).
    Poll {
        /// The socket or pipe.
        descriptor: Rc<Descriptor>,
        /// What for.
        interest: Interest,
    },
}

impl Operation {
    /// The descriptor operated on.
    pub fn descriptor(&self) -> RawFd {
        match self {
            Operation::Accept { listener, .. } => listener.raw(),
            Operation::Connect { socket, .. } | Operation::Receive { socket, .. } | Operation::Send { socket, .. } => {
                socket.raw()
            }
            Operation::Poll { descriptor, .. } => descriptor.raw(),
        }
    }

    /// The address of a connect, in the form the rest of the program uses.
    pub fn connect_address(&self) -> Option<SocketAddr> {
        match self {
            Operation::Connect { address, .. } => address.as_socket(),
            _ => None,
        }
    }
}

/// How an operation ended.
#[derive(Debug)]
pub struct Outcome {
    /// Count or descriptor.
    pub result: io::Result<u32>,
    /// The operation with what it owned.
    pub operation: Operation,
}

/// A submitted operation. Await it for its [`Outcome`]; drop it to cancel.
pub struct Submitted {
    io: Io,
    key: Key,
    fetched: bool,
}

impl Submitted {
    pub(in crate::runtime) fn new(io: Io, key: Key) -> Submitted {
        Submitted { io, key, fetched: false }
    }

    /// The next accepted descriptor of an [`Operation::Accept`]; `Ready(None)` when the operation has ended.
    pub(in crate::runtime) fn poll_accepted(&mut self, context: &mut Context<'_>) -> Poll<Option<RawFd>> {
        self.io.in_flight().poll_accepted(self.key, context)
    }

    /// What an [`Operation::Receive`] has received next.
    pub(in crate::runtime) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        self.io.in_flight().poll_arrival(self.key, context)
    }

    /// Whether an [`Operation::Receive`] has something to say.
    pub(in crate::runtime) fn has_arrival(&self) -> bool {
        self.io.in_flight().has_arrival(self.key)
    }

    /// Whether an [`Operation::Receive`] has nothing to say but [`Arrival::Over`].
    pub(in crate::runtime) fn is_over(&self) -> bool {
        self.io.in_flight().is_over(self.key)
    }

    /// The executor that it was submitted to.
    pub(in crate::runtime) fn io(&self) -> &Io {
        &self.io
    }

    /// Asks the kernel to end the operation without giving up its outcome.
    pub fn cancel(&self) {
        self.io.in_flight().cancel(self.key);
    }
}

impl Future for Submitted {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = self.io.in_flight().poll_outcome(self.key, context);
        self.fetched = outcome.is_ready();
        outcome
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if !self.fetched {
            self.io.in_flight().abandon(self.key);
        }
    }
}
