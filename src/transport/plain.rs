//! Receiving from a socket, byte for byte as they come.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use crate::runtime::{BUFFER_SIZE, Chunk, Receiving, Socket};

/// Owns the receive in flight: waits may be dropped and repeated without losing bytes.
pub(in crate::transport) struct PlainReceiver {
    socket: Socket,
    receiving: Option<Receiving>,
    /// The last receive filled its buffer, so more is probably there already.
    more_expected: bool,
    ended: bool,
}

impl PlainReceiver {
    /// For `socket`, on which nothing has been received yet.
    pub fn new(socket: Socket) -> PlainReceiver {
        PlainReceiver { socket, receiving: None, more_expected: false, ended: false }
    }

    /// Starts to receive without waiting. Idempotent.
    pub fn arm(&mut self) {
        if self.receiving.is_none() && !self.ended {
            self.receiving = Some(self.socket.receive(!self.more_expected));
        }
    }

    /// Says that bytes are probably there already.
    pub fn expect_more(&mut self) {
        self.more_expected = true;
    }

    /// What comes next; `None` at the end of the stream, and from then on.
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        self.arm();
        let Some(receiving) = &mut self.receiving else { return Poll::Ready(Ok(None)) };
        let Poll::Ready(received) = pin!(receiving.wait()).poll(context) else { return Poll::Pending };
        self.receiving = None;
        if let Ok(chunk) = &received {
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len());
            self.ended = length == 0;
            self.more_expected = length == BUFFER_SIZE;
        } else {
            self.ended = true;
        }
        Poll::Ready(received)
    }

    /// Whether an answer of the kernel waits to be fetched.
    pub fn has_news(&self) -> bool {
        self.ended || self.receiving.as_ref().is_some_and(Receiving::is_finished)
    }

    /// Whether a receive is in flight.
    pub fn is_armed(&self) -> bool {
        self.receiving.is_some()
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}
