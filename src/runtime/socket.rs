//! Descriptors and the two kinds of socket a proxy has: listening and connected.
//!
//! A descriptor is closed when its last holder goes, and every operation in flight holds it. So a close never overtakes
//! an operation, and a descriptor number is never reused under one.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::base::Instant;
use crate::runtime::backlog::Backlog;
use crate::runtime::block::BLOCK;
use crate::runtime::buffers::Chunk;
use crate::runtime::io::Io;
use crate::runtime::kernel::{Direction, ListenOptions};
use crate::runtime::operation::{Arrival, Interest, Manner, Operation, Submitted};
use crate::runtime::outgoing::Outgoing;
use crate::runtime::pipe::Moved;

/// An open descriptor, closed when dropped.
pub struct Descriptor {
    io: Io,
    raw: RawFd,
}

impl Descriptor {
    pub(in crate::runtime) fn new(io: &Io, raw: RawFd) -> Rc<Descriptor> {
        Rc::new(Descriptor { io: io.clone(), raw })
    }

    /// The number the kernel knows it by.
    pub fn raw(&self) -> RawFd {
        self.raw
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.io.with_kernel(|kernel| kernel.close(self.raw));
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Descriptor({})", self.raw)
    }
}

/// A connected TCP socket. Clones are handles to the same connection.
#[derive(Clone, Debug)]
pub struct Socket {
    descriptor: Rc<Descriptor>,
}

impl Socket {
    /// Connects to `address`; how long that may take is the caller's business.
    ///
    /// # Errors
    /// As connect(2) and socket(2).
    pub async fn connect(io: &Io, address: SocketAddr) -> io::Result<Socket> {
        let raw = io.with_kernel(|kernel| kernel.open(&address))?;
        let descriptor = Descriptor::new(io, raw);
        let operation = Operation::Connect { socket: descriptor.clone(), address: Box::new(address.into()) };
        io.submit(operation).await.result?;
        Ok(Socket { descriptor })
    }

    /// Starts to receive.
    pub fn receive(&self, manner: Manner) -> Receiving {
        let socket = self.descriptor.clone();
        let operation = Operation::Receive { socket, manner, received: Backlog::default() };
        Receiving { submitted: self.descriptor.io.submit(operation) }
    }

    /// Receives once; `None` at the end of the stream.
    ///
    /// # Errors
    /// As recv(2).
    pub async fn receive_once(&self) -> io::Result<Option<Chunk>> {
        match self.receive(Manner::Now).next().await? {
            Arrival::Chunk(chunk) => Ok(Some(chunk)),
            Arrival::End => Ok(None),
            Arrival::Over => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Receives at once, and not by the ring, as much as is there, up to `most` and to 64 KiB; `take` gets it to
    /// look at. For bulk: fewer and larger receives than buffers allow. No other receive is in flight.
    ///
    /// # Errors
    /// As recv(2).
    pub fn receive_now(&self, most: u64, take: impl FnOnce(&[u8])) -> io::Result<Moved> {
        let io = &self.descriptor.io;
        let block = &mut *io.block().borrow_mut();
        let most = usize::try_from(most).unwrap_or(BLOCK).min(BLOCK);
        let into = block.bytes().get_mut(..most).unwrap_or_default();
        let moved = Moved::of(io.with_kernel(|kernel| kernel.receive_now(self.descriptor.raw, into)))?;
        if let Moved::Bytes(count) = moved {
            take(into.get(..count).unwrap_or_default());
        }
        Ok(moved)
    }

    /// Sends all of `bytes`. The send has begun when this returns.
    pub fn send(&self, bytes: impl Into<Outgoing>) -> Sending {
        self.start_send(bytes.into(), false)
    }

    /// As [`Socket::send`], for the last bytes of a stream: whoever calls this closes or shuts down as soon as they are
    /// sent, and until then the kernel may hold a part of them back.
    pub fn send_last(&self, bytes: impl Into<Outgoing>) -> Sending {
        self.start_send(bytes.into(), true)
    }

    fn start_send(&self, bytes: Outgoing, ends: bool) -> Sending {
        let operation = Operation::Send { socket: self.descriptor.clone(), bytes, ends };
        let io = &self.descriptor.io;
        Sending { since: io.now(), submitted: io.submit(operation) }
    }

    /// Waits until the socket is ready.
    ///
    /// # Errors
    /// When the wait was cancelled by the kernel.
    pub async fn ready(&self, interest: Interest) -> io::Result<()> {
        let operation = Operation::Poll { descriptor: self.descriptor.clone(), interest };
        self.descriptor.io.submit(operation).await.result.map(|_| ())
    }

    /// Shuts the connection down in one or both directions.
    pub fn shutdown(&self, direction: Direction) {
        self.descriptor.io.with_kernel(|kernel| kernel.shutdown(self.descriptor.raw, direction));
    }

    /// Makes the close of this connection a reset.
    pub fn reset_on_close(&self) {
        self.descriptor.io.with_kernel(|kernel| kernel.reset_on_close(self.descriptor.raw));
    }

    /// The other end's address.
    ///
    /// # Errors
    /// When the peer is already gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.descriptor.io.with_kernel(|kernel| kernel.peer_address(self.descriptor.raw))
    }

    /// This end's address.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.descriptor.io.with_kernel(|kernel| kernel.local_address(self.descriptor.raw))
    }

    /// The executor this socket belongs to.
    pub fn io(&self) -> &Io {
        &self.descriptor.io
    }

    pub(in crate::runtime) fn raw(&self) -> RawFd {
        self.descriptor.raw
    }
}

/// A receive on its way. It may be kept over many polls and tasks; dropping it cancels.
pub struct Receiving {
    submitted: Submitted,
}

impl Receiving {
    /// What arrives next. Nothing is lost when a wait is given up: the next one goes on with the same receive.
    ///
    /// # Errors
    /// As recv(2).
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        self.submitted.poll_arrival(context)
    }

    /// As [`Receiving::poll_next`].
    ///
    /// # Errors
    /// As recv(2).
    pub async fn next(&mut self) -> io::Result<Arrival> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Whether something can be said without waiting.
    pub fn has_news(&self) -> bool {
        self.submitted.has_arrival()
    }

    /// Whether the receive has ended, and nothing that it received is left: not by the end of the stream, but by being
    /// cancelled or by the kernel's choice.
    pub fn is_over(&self) -> bool {
        self.submitted.is_over()
    }

    /// Asks that a repeating receive end. What arrived before still comes, then [`Arrival::Over`].
    pub fn cancel(&self) {
        self.submitted.cancel();
    }
}

/// A send on its way; dropping it cancels. Await it until the kernel has taken the last byte: it gives the memory back
/// for reuse where that was written memory, or fails as send(2), and then it is unknown how much arrived. It also fails
/// when it takes long while receive buffers are scarce ([`Io::poll_shortage`]).
pub struct Sending {
    submitted: Submitted,
    since: Instant,
}

impl Sending {
    /// When it began.
    pub fn since(&self) -> Instant {
        self.since
    }
}

impl Future for Sending {
    type Output = io::Result<Option<Vec<u8>>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(outcome) = Pin::new(&mut self.submitted).poll(context) else {
            return self.submitted.io().poll_shortage(self.since).map(Err);
        };
        Poll::Ready(outcome.result.map(|_| match outcome.operation {
            Operation::Send { bytes, .. } => bytes.recycle(),
            _ => None,
        }))
    }
}

/// Why there was no connection to accept.
#[derive(Debug)]
pub enum AcceptError {
    /// This one is gone; accept again at once.
    Again(io::Error),
    /// No descriptor or memory is left, or the socket is unusable: accepting again at once would fail at once.
    Exhausted(io::Error),
}

impl AcceptError {
    /// As accept(2) tells them apart.
    fn of(error: io::Error) -> AcceptError {
        match error.raw_os_error() {
            Some(libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::ECANCELED | libc::EPROTO) => {
                AcceptError::Again(error)
            }
            _ => AcceptError::Exhausted(error),
        }
    }
}

/// A listening TCP socket.
pub struct Listener {
    descriptor: Rc<Descriptor>,
    accepting: Option<Submitted>,
}

impl Listener {
    /// Listens; several executors may listen on one address, and the kernel spreads connections over them.
    ///
    /// # Errors
    /// As socket(2), bind(2) and listen(2).
    pub fn open(io: &Io, options: &ListenOptions) -> io::Result<Listener> {
        let raw = io.with_kernel(|kernel| kernel.listen(options))?;
        Ok(Listener { descriptor: Descriptor::new(io, raw), accepting: None })
    }

    /// Takes over a socket that listens already.
    pub fn adopt(io: &Io, socket: OwnedFd) -> Listener {
        Listener { descriptor: Descriptor::new(io, socket.into_raw_fd()), accepting: None }
    }

    /// The next connection. Cancel-safe.
    ///
    /// # Errors
    /// When accepting failed, with what to do about it.
    pub async fn accept(&mut self) -> Result<Socket, AcceptError> {
        let io = &self.descriptor.io;
        let listener = &self.descriptor;
        let accepting = self.accepting.get_or_insert_with(|| {
            io.submit(Operation::Accept { listener: listener.clone(), accepted: Default::default() })
        });
        if let Some(raw) = poll_fn(|context| accepting.poll_accepted(context)).await {
            return Ok(Socket { descriptor: Descriptor::new(io, raw) });
        }
        let ended = match self.accepting.take() {
            Some(ended) => ended.await.result,
            None => Ok(0),
        };
        Err(match ended {
            Ok(_) => AcceptError::Again(io::ErrorKind::Interrupted.into()),
            Err(error) => AcceptError::of(error),
        })
    }

    /// Takes no further handshake. Connections that have begun one still arrive by [`Listener::accept`].
    pub fn refuse_new(&self) {
        self.descriptor.io.with_kernel(|kernel| kernel.refuse_new(self.descriptor.raw));
    }

    /// Stops accepting and returns the connections that the kernel had accepted on our behalf, so that none is lost.
    pub async fn stop(mut self) -> Vec<Socket> {
        let mut sockets = self.stop_accepting().await;
        let io = &self.descriptor.io;
        while let Ok(raw) = io.with_kernel(|kernel| kernel.accept_now(self.descriptor.raw)) {
            sockets.push(Socket { descriptor: Descriptor::new(io, raw) });
        }
        sockets
    }

    /// As [`Listener::stop`], but leaves whoever waits in the queue to others who have the same socket.
    pub async fn leave(mut self) -> Vec<Socket> {
        self.stop_accepting().await
    }

    async fn stop_accepting(&mut self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        if let Some(mut accepting) = self.accepting.take() {
            accepting.cancel();
            while let Some(raw) = poll_fn(|context| accepting.poll_accepted(context)).await {
                sockets.push(Socket { descriptor: Descriptor::new(&self.descriptor.io, raw) });
            }
        }
        sockets
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.descriptor.io.with_kernel(|kernel| kernel.local_address(self.descriptor.raw))
    }
}
