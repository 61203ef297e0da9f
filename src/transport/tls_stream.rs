//! TLS over a connection: one session that both halves share, the bytes it has to send, and the plaintext it yields.
//!
//! What arrives is decrypted in the buffer it arrived in. Only a record that is spread over two buffers is copied:
//! together, and its plaintext into a buffer of its own. What is sealed leaves in the order of its sealing, one send at
//! a time, whoever asked for it; both halves belong to one task, which either of them keeps going.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::base::Instant;
use crate::runtime::{BUFFER_SIZE, Chunk, Socket};
use crate::tls::{Agreed, ApplicationProtocol, ClientIdentity, Progress, Session, TlsFault};
use crate::transport::PlainReceiver;
use crate::transport::outbox::Outbox;

/// What the two halves of a connection share.
pub(in crate::transport) struct TlsLink {
    socket: Socket,
    session: RefCell<Session>,
    /// Sealed bytes.
    outbox: RefCell<Outbox>,
    /// The peer may be waiting for them. Others (tickets that came up together with a request) go with the next send.
    is_urgent: Cell<bool>,
}

impl TlsLink {
    /// A session on `socket` that has `greeting` to send.
    pub fn new(socket: Socket, session: Session, greeting: Vec<u8>) -> Rc<TlsLink> {
        let is_urgent = Cell::new(!greeting.is_empty());
        let outbox = RefCell::new(Outbox::new(greeting));
        Rc::new(TlsLink { socket, session: RefCell::new(session), outbox, is_urgent })
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether the handshake is still going on.
    pub fn is_handshaking(&self) -> bool {
        self.session.borrow().is_handshaking()
    }

    /// What protects the connection, once that is agreed.
    pub fn agreed(&self) -> Option<Agreed> {
        self.session.borrow().agreed()
    }

    /// Who the client proved to be.
    pub fn client_identity(&self) -> Option<ClientIdentity> {
        self.session.borrow().client_identity()
    }

    /// Whether an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.session.borrow().is_resumed()
    }

    /// The protocol that was agreed on by ALPN.
    pub fn application_protocol(&self) -> Option<ApplicationProtocol> {
        self.session.borrow().alpn()
    }

    /// Encrypts `pieces` for the next send.
    pub fn seal(&self, pieces: &[&[u8]]) -> io::Result<()> {
        let outbox = &mut *self.outbox.borrow_mut();
        self.session.borrow_mut().seal(pieces, self.socket.io().now(), &mut outbox.waiting).map_err(broken)
    }

    /// Encrypts a goodbye for the next send.
    pub fn close_notify(&self) {
        self.session.borrow_mut().close_notify(&mut self.outbox.borrow_mut().waiting);
    }

    /// Waits until everything sealed has been sent. Dropping the wait cancels nothing.
    pub async fn flushed(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_flushed(context)).await
    }

    /// As [`TlsLink::flushed`].
    pub fn poll_flushed(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_urgent.set(false);
        self.outbox.borrow_mut().poll_sent(&self.socket, context)
    }

    /// Sealed bytes that wait for the send before them.
    pub fn waiting(&self) -> usize {
        self.outbox.borrow().waiting.len()
    }

    /// Since when the kernel has been taking what it was given last.
    pub fn sending_since(&self) -> Option<Instant> {
        self.outbox.borrow().sending_since()
    }

    /// Keeps going what must not wait for the next send. Failures show where bytes are sent or received.
    fn poll_urgent(&self, context: &mut Context<'_>) {
        if self.is_urgent.get() || self.sending_since().is_some() {
            let _ = self.poll_flushed(context);
        }
    }

    /// Gives the session what was received.
    fn feed(&self, input: &mut [u8], mut sink: impl FnMut(&[u8])) -> Result<Progress, TlsFault> {
        let outbox = &mut *self.outbox.borrow_mut();
        let mut is_answered = false;
        let progress = self.session.borrow_mut().feed(input, &mut outbox.waiting, |piece| {
            if !piece.is_empty() {
                is_answered = true;
                sink(piece);
            }
        });
        let may_wait = outbox.waiting.is_empty() || (is_answered && progress.is_ok());
        self.is_urgent.set(self.is_urgent.get() || !may_wait);
        progress
    }
}

/// The receiving half.
pub(in crate::transport) struct TlsReceiver {
    plain: PlainReceiver,
    link: Rc<TlsLink>,
    /// The beginning of a record that is spread over buffers, and how much of it is known to be missing.
    partial: Vec<u8>,
    missing: usize,
    /// Received behind such a record.
    unopened: Option<Chunk>,
    opened: Option<Chunk>,
    /// Plaintext behind `opened`, of records that the session held back. Empty but for peers that fragment handshake
    /// messages; never more than the session holds.
    overflow: Vec<u8>,
}

impl TlsReceiver {
    /// Receives for `link`'s session; `first` is what has been received already.
    pub fn new(plain: PlainReceiver, link: Rc<TlsLink>, first: Option<Chunk>) -> TlsReceiver {
        TlsReceiver {
            plain,
            link,
            partial: Vec::new(),
            missing: 0,
            unopened: first,
            opened: None,
            overflow: Vec::new(),
        }
    }

    /// What is shared with the other half.
    pub fn link(&self) -> &Rc<TlsLink> {
        &self.link
    }

    /// The half underneath.
    pub fn plain(&self) -> &PlainReceiver {
        &self.plain
    }

    /// The half underneath.
    pub fn plain_mut(&mut self) -> &mut PlainReceiver {
        &mut self.plain
    }

    /// The next plaintext; `None` once the peer has said that no more comes.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        loop {
            if let Some(opened) = self.take_opened()? {
                return Poll::Ready(Ok(Some(opened)));
            }
            match self.poll_progress(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes in what comes next, whatever it yields; false at the end that the peer has announced.
    pub fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let chunk = match self.unopened.take() {
            Some(chunk) => chunk,
            None if self.link.session.borrow().is_peer_closed() => return Poll::Ready(Ok(false)),
            None => {
                let Poll::Ready(received) = self.plain.poll_receive(context) else {
                    self.link.poll_urgent(context);
                    return Poll::Pending;
                };
                match received? {
                    Some(chunk) => chunk,
                    None => {
                        return Poll::Ready(self.link.session.borrow().handle_end().map(|()| false).map_err(broken));
                    }
                }
            }
        };
        let opened = if self.partial.is_empty() { self.open(chunk) } else { self.open_partial(chunk) };
        if opened.is_err() {
            // The alert that says why.
            self.link.poll_urgent(context);
        }
        Poll::Ready(opened.map(|()| true).map_err(broken))
    }

    fn take_opened(&mut self) -> io::Result<Option<Chunk>> {
        if self.opened.is_none() && !self.overflow.is_empty() {
            let length = self.overflow.len().min(BUFFER_SIZE);
            let front = self.overflow.get(..length).unwrap_or_default();
            let copy = self.link.socket.io().buffers().copy(front);
            let no_buffer = || io::Error::new(io::ErrorKind::OutOfMemory, "every receive buffer is in use");
            self.opened = Some(copy.ok_or_else(no_buffer)?);
            self.overflow.drain(..length);
            if self.overflow.is_empty() {
                self.overflow = Vec::new();
            }
        }
        Ok(self.opened.take())
    }

    /// Decrypts `chunk` in its place.
    fn open(&mut self, mut chunk: Chunk) -> Result<(), TlsFault> {
        let mut places: Vec<Range<usize>> = Vec::new();
        let link = self.link.clone();
        let bytes = chunk.bytes_mut().ok_or(TlsFault::Internal)?;
        let (start, length) = (bytes.as_ptr().addr(), bytes.len());
        let overflow = &mut self.overflow;
        let progress = link.feed(bytes, |piece| {
            let at = piece.as_ptr().addr().wrapping_sub(start);
            match at < length {
                true => places.push(at..at + piece.len()),
                false => overflow.extend_from_slice(piece),
            }
        })?;
        self.partial.extend_from_slice(bytes.get(progress.consumed..).unwrap_or_default());
        self.missing = progress.missing;
        let Some(first) = places.first().map(|place| place.start) else { return Ok(()) };
        let mut end = first;
        for place in places {
            let next = end + place.len();
            bytes.copy_within(place, end);
            end = next;
        }
        chunk.truncate(end);
        chunk.advance(first);
        self.opened = Some(chunk);
        Ok(())
    }

    /// Completes the record that has begun and decrypts it; the rest of `chunk` waits.
    fn open_partial(&mut self, mut chunk: Chunk) -> Result<(), TlsFault> {
        let more = chunk.split_to(self.missing);
        self.partial.extend_from_slice(&more);
        self.missing -= more.len();
        drop(more);
        self.unopened = (!chunk.is_empty()).then_some(chunk);
        if self.missing > 0 {
            return Ok(());
        }
        let (pool, opened, overflow) = (self.link.socket.io().buffers(), &mut self.opened, &mut self.overflow);
        let progress = self.link.feed(&mut self.partial, |piece| match opened {
            // A record's plaintext fits one buffer.
            None if overflow.is_empty() => match pool.copy(piece) {
                Some(copy) => *opened = Some(copy),
                None => overflow.extend_from_slice(piece),
            },
            _ => overflow.extend_from_slice(piece),
        })?;
        self.missing = progress.missing;
        self.partial.drain(..progress.consumed);
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
        Ok(())
    }
}

/// A session's fault as an error of its stream.
fn broken(fault: TlsFault) -> io::Error {
    let kind = match fault {
        TlsFault::Truncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, fault)
}
