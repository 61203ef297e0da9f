//! The two halves of a connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use crate::runtime::{BUFFER_SIZE, Chunk, Outgoing, Receiving, Socket};

/// The receiving half. It owns the receive in flight: waits may be dropped and repeated without losing bytes.
pub struct Receiver {
    socket: Socket,
    receiving: Option<Receiving>,
    /// The last receive filled its buffer, so more is probably there already.
    more_expected: bool,
    ended: bool,
    received: u64,
}

impl Receiver {
    /// The receiving half of `socket`, on which nothing has been received yet.
    pub fn new(socket: Socket) -> Receiver {
        Receiver { socket, receiving: None, more_expected: false, ended: false, received: 0 }
    }

    /// Starts to receive without waiting. Idempotent.
    pub fn arm(&mut self) {
        if self.receiving.is_none() && !self.ended {
            self.receiving = Some(self.socket.receive(!self.more_expected));
        }
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
        self.arm();
        let Some(receiving) = &mut self.receiving else { return Poll::Ready(Ok(None)) };
        let Poll::Ready(received) = pin!(receiving.wait()).poll(context) else { return Poll::Pending };
        self.receiving = None;
        if let Ok(chunk) = &received {
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len());
            self.ended = length == 0;
            self.more_expected = length == BUFFER_SIZE;
            self.received += length as u64;
        } else {
            self.ended = true;
        }
        Poll::Ready(received)
    }

    /// Whether an answer of the kernel waits to be fetched: on an idle connection, that the peer closed it or broke
    /// the protocol.
    pub fn has_news(&self) -> bool {
        self.ended || self.receiving.as_ref().is_some_and(Receiving::is_finished)
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
