//! What the tasks of one HTTP/2 connection share, and the connection as the byte stream that `h2` drives.
//!
//! One task drives the connection, one serves each stream. What `h2` writes is gathered and sent once per turn of the
//! driving task, however many streams had something to say.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use h2::StreamId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtime::{Chunk, Io};
use crate::transport::http2_flood::{Credit, PREFACE_LENGTH};
use crate::transport::http2_secrets::Secrets;
use crate::transport::outlet::Outlet;
use crate::transport::piece::Data;
use crate::transport::{Receiver, Sender};

/// Bytes of bodies that wait in `h2` to be written, over all streams of a connection: what its peer costs by granting
/// large windows and reading nothing. Enough to keep a fast connection busy between two turns.
const BODIES_AHEAD: usize = 256 * 1024;

/// One connection.
pub(in crate::transport) struct Http2Link {
    io: Io,
    receiver: RefCell<Receiver>,
    outlet: RefCell<Outlet>,
    /// `h2` found no room to write.
    is_refused: Cell<bool>,
    /// What a client may still waste; none is kept of servers that were dialled.
    credit: RefCell<Option<Credit>>,
    is_flooded: Cell<bool>,
    secrets: RefCell<Secrets>,
    bodies_ahead: Cell<usize>,
    /// Streams that wait for bodies to be written.
    crowd: RefCell<Vec<Waker>>,
}

impl Http2Link {
    /// Takes over a connection.
    pub fn new((receiver, sender): (Receiver, Sender), credit: Option<Credit>) -> Rc<Http2Link> {
        // Servers say no preface.
        let preface = if credit.is_some() { PREFACE_LENGTH } else { 0 };
        Rc::new(Http2Link {
            io: receiver.socket().io().clone(),
            receiver: RefCell::new(receiver),
            outlet: RefCell::new(Outlet::new(sender)),
            is_refused: Cell::new(false),
            credit: RefCell::new(credit),
            is_flooded: Cell::new(false),
            secrets: RefCell::new(Secrets::behind(preface)),
            bodies_ahead: Cell::new(0),
            crowd: RefCell::default(),
        })
    }

    /// The sending half.
    pub fn outlet(&self) -> &RefCell<Outlet> {
        &self.outlet
    }

    /// The executor.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Sends what was written. True if `h2` found no room before and there is some now: then it must be driven again.
    ///
    /// # Errors
    /// As send(2).
    pub fn send(&self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut outlet = self.outlet.borrow_mut();
        if let Poll::Ready(Err(error)) = outlet.poll_sent(context) {
            return Err(error);
        }
        Ok(outlet.has_room() && self.is_refused.take())
    }

    /// What the client may still waste.
    pub fn with_credit<T>(&self, look: impl FnOnce(&mut Credit) -> T) -> Option<T> {
        self.credit.borrow_mut().as_mut().map(look)
    }

    /// Whether the client's credit is used up.
    pub fn is_flooded(&self) -> bool {
        self.is_flooded.get()
    }

    /// Whether fields that came on `stream` must never be indexed.
    pub fn is_confidential(&self, stream: StreamId) -> bool {
        self.secrets.borrow().has(stream.as_u32())
    }

    /// Takes note that nothing more is read from `stream`.
    pub fn forget(&self, stream: StreamId) {
        self.secrets.borrow_mut().forget(stream.as_u32());
    }

    /// Bytes received and sent since the last call, without TLS's own.
    pub fn take_counts(&self) -> (u64, u64) {
        (self.receiver.borrow_mut().take_received(), self.outlet.borrow_mut().sender().take_sent())
    }

    /// Gives both halves back, once nobody drives the connection any more.
    pub fn into_halves(self) -> (Receiver, Sender) {
        (self.receiver.into_inner(), self.outlet.into_inner().into_sender())
    }

    /// Waits until another piece of a body may be given to `h2`.
    pub fn poll_uncrowded(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.bodies_ahead.get() < BODIES_AHEAD {
            return Poll::Ready(());
        }
        let mut crowd = self.crowd.borrow_mut();
        if !crowd.iter().any(|waiting| waiting.will_wake(context.waker())) {
            crowd.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn take_in(&self, bytes: &[u8]) -> bool {
        self.secrets.borrow_mut().take(bytes);
        let taken = self.with_credit(|credit| credit.take(bytes, self.io.now()));
        if matches!(taken, Some(Err(_))) {
            self.is_flooded.set(true);
        }
        !self.is_flooded.get()
    }
}

/// A piece of a body in the hands of `h2`, counted until it has been written.
pub(in crate::transport) struct Outbound {
    data: Data,
    length: usize,
    link: Rc<Http2Link>,
}

impl Outbound {
    /// `data` on its way through `link`.
    pub fn new(data: Data, link: &Rc<Http2Link>) -> Outbound {
        let length = data.len();
        link.bodies_ahead.set(link.bodies_ahead.get() + length);
        Outbound { data, length, link: link.clone() }
    }
}

impl Buf for Outbound {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        let ahead = self.link.bodies_ahead.get();
        self.link.bodies_ahead.set(ahead - self.length);
        if ahead >= BODIES_AHEAD {
            self.link.crowd.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// The connection as a byte stream. To be polled by the driving task only, which sends what was written afterwards.
pub(in crate::transport) struct Duplex {
    link: Rc<Http2Link>,
    /// Received before the connection turned out to be HTTP/2.
    early: Bytes,
    unread: Option<Chunk>,
}

impl Duplex {
    /// The stream of `link`'s bytes, with `early` in front.
    pub fn new(link: Rc<Http2Link>, early: Bytes) -> Duplex {
        Duplex { link, early, unread: None }
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if !self.early.is_empty() {
            let length = self.early.len().min(buffer.remaining());
            let taken = self.early.split_to(length);
            buffer.put_slice(&taken);
        } else {
            let mut chunk = match self.unread.take() {
                Some(chunk) => chunk,
                None => match ready!(self.link.receiver.borrow_mut().poll_receive(context))? {
                    Some(chunk) => chunk,
                    None => return Poll::Ready(Ok(())),
                },
            };
            let taken = chunk.split_to(buffer.remaining());
            buffer.put_slice(&taken);
            self.unread = (!chunk.is_empty()).then_some(chunk);
        }
        let is_good = self.link.take_in(buffer.filled().get(before..).unwrap_or_default());
        // A flooded connection is read no more: the driving task ends it.
        if is_good { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut outlet = self.link.outlet.borrow_mut();
        if !outlet.has_room() {
            self.link.is_refused.set(true);
            return Poll::Pending;
        }
        let mut written = 0;
        // A frame is a header and a payload: two pieces are the usual case.
        for pair in pieces.chunks(2) {
            let pair: [&[u8]; 2] = std::array::from_fn(|index| pair.get(index).map_or(&[][..], |piece| piece));
            outlet.write(&pair)?;
            written += pair[0].len() + pair[1].len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing to do: the driving task sends, once it has let `h2` write all it had.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Everything written must have gone before the connection is given up.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.outlet.borrow_mut().poll_sent(context)
    }
}
