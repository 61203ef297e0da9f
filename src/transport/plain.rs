//! Receiving from a socket, byte for byte as they come.

use std::io;
use std::task::{Context, Poll, ready};

use crate::runtime::{Arrival, BUFFER_SIZE, Chunk, LITTLE, Manner, Receiving, Socket};

/// Receives that are made one by one after a full buffer, before a connection counts as one of small messages again.
const BULK_RECEIVES: u8 = 64;

/// Owns the receive in flight: waits may be dropped and repeated without losing bytes.
///
/// A connection of small messages is received from repeatedly by one operation. One full buffer shows bulk: then every
/// receive is asked for, so that nothing arrives ahead of its reader and splicing may take over between two.
pub struct PlainReceiver {
    socket: Socket,
    /// Received, and given back to be received again. Boxed, as hardly any connection has it.
    put_back: Option<Box<Chunk>>,
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
}

impl PlainReceiver {
    /// For `socket`, on which nothing has been received yet.
    pub fn new(socket: Socket) -> PlainReceiver {
        PlainReceiver {
            socket,
            put_back: None,
            receiving: None,
            repeating: false,
            little: false,
            more_expected: false,
            bulk: 0,
            ended: false,
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

    /// Makes `rest`, the end of what was received last, what comes next.
    pub fn put_back(&mut self, rest: Chunk) {
        self.put_back = (!rest.is_empty()).then(|| Box::new(rest));
    }

    /// What comes next; `None` at the end of the stream, and from then on.
    ///
    /// # Errors
    /// As recv(2).
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        if let Some(rest) = self.put_back.take() {
            return Poll::Ready(Ok(Some(*rest)));
        }
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

    /// Whether an answer of the kernel waits to be fetched. A receive that merely came to its end is begun anew.
    pub fn has_news(&mut self) -> bool {
        if self.receiving.as_ref().is_some_and(Receiving::is_over) {
            self.arm();
        }
        self.ended || self.put_back.is_some() || self.receiving.as_ref().is_some_and(Receiving::has_news)
    }

    /// Whether something comes from here before what is still in the socket: a receive is in flight, or has been put back.
    pub fn is_armed(&self) -> bool {
        self.receiving.is_some() || self.put_back.is_some()
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}
