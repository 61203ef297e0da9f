//! The two halves of a connection.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::runtime::{Arrival, BUFFER_SIZE, Chunk, LITTLE, Manner, Outgoing, Receiving, Socket};

/// Receives that are made one by one after a full buffer, before a connection counts as one of small messages again.
const BULK_RECEIVES: u8 = 64;

/// The receiving half. It owns the receive in flight: waits may be dropped and repeated without losing bytes.
///
/// A connection of small messages is received from repeatedly by one operation. One full buffer shows bulk: then every
/// receive is asked for, so that nothing arrives ahead of its reader and splicing may take over between two.
pub struct Receiver {
    socket: Socket,
    receiving: Option<Receiving>,
    /// The receive in flight goes on after it has delivered something.
    repeating: bool,
    /// It takes little, because only the head of what comes should be copied.
    little: bool,
    /// Bytes are probably there already.
    more_expected: bool,
    /// Receives left that are made one by one.
    bulk: u8,
    ended: bool,
    received: u64,
}

impl Receiver {
    /// The receiving half of `socket`, on which nothing has been received yet.
    pub fn new(socket: Socket) -> Receiver {
        Receiver {
            socket,
            receiving: None,
            repeating: false,
            little: false,
            more_expected: false,
            bulk: 0,
            ended: false,
            received: 0,
        }
    }

    /// Starts to receive without waiting. Idempotent.
    pub fn arm(&mut self) {
        // One that was to repeat may have ended by itself.
        self.receiving.take_if(|receiving| receiving.is_over());
        if self.receiving.is_some() || self.ended {
            return;
        }
        let manner = match (self.more_expected, self.bulk) {
            (true, _) => Manner::Now,
            (false, 0) => Manner::Repeatedly,
            (false, _) => Manner::Little,
        };
        self.repeating = manner == Manner::Repeatedly;
        self.little = manner == Manner::Little;
        self.bulk = self.bulk.saturating_sub(1);
        self.receiving = Some(self.socket.receive(manner));
    }

    /// Says that bytes are probably there already, as on a connection just accepted that the client speaks first on.
    pub fn expect_more(&mut self) {
        self.more_expected = true;
    }

    /// What comes next; `None` at the end of the stream, and from then on.
    ///
    /// # Errors
    /// As recv(2).
    pub async fn receive(&mut self) -> io::Result<Option<Chunk>> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// As [`Receiver::receive`].
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        loop {
            self.arm();
            let Some(receiving) = &mut self.receiving else { return Poll::Ready(Ok(None)) };
            match ready!(receiving.poll_next(context)) {
                Ok(Arrival::Chunk(chunk)) => {
                    self.take_note_of(&chunk);
                    return Poll::Ready(Ok(Some(chunk)));
                }
                Ok(Arrival::Over) => self.receiving = None,
                Ok(Arrival::End) => self.end(),
                Err(error) => {
                    self.end();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn take_note_of(&mut self, chunk: &Chunk) {
        // As much as was asked for: more is there.
        let full = chunk.len() == if self.little { LITTLE } else { BUFFER_SIZE };
        self.more_expected = full;
        self.received += chunk.len() as u64;
        if full {
            self.bulk = BULK_RECEIVES;
        }
        match (self.repeating, full) {
            (true, false) => {}
            (true, true) => self.receiving.iter().for_each(Receiving::cancel),
            (false, _) => self.receiving = None,
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.receiving = None;
    }

    /// Whether an answer of the kernel waits to be fetched: on an idle connection, that the peer closed it or broke
    /// the protocol. A receive that merely came to its end is begun anew.
    pub fn has_news(&mut self) -> bool {
        if self.receiving.as_ref().is_some_and(Receiving::is_over) {
            self.arm();
        }
        self.ended || self.receiving.as_ref().is_some_and(Receiving::has_news)
    }

    /// Whether a receive is in flight; while one is, nobody else may take bytes from the socket.
    pub fn is_armed(&self) -> bool {
        self.receiving.is_some()
    }

    /// Bytes received since the last call.
    pub fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.received)
    }

    /// Adds bytes that were taken from the socket by other means.
    pub fn count_received(&mut self, count: u64) {
        self.received += count;
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

/// The sending half.
pub struct Sender {
    socket: Socket,
    sent: u64,
}

impl Sender {
    /// The sending half of `socket`.
    pub fn new(socket: Socket) -> Sender {
        Sender { socket, sent: 0 }
    }

    /// Sends all of `bytes`; gives written memory back for reuse.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send(&mut self, bytes: impl Into<Outgoing>) -> io::Result<Option<Vec<u8>>> {
        let bytes = bytes.into();
        self.sent += bytes.len() as u64;
        self.socket.send(bytes).await
    }

    /// Bytes given to the kernel since the last call.
    pub fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Adds bytes that went to the socket by other means.
    pub fn count_sent(&mut self, count: u64) {
        self.sent += count;
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}
