//! Bytes on their way out of a connection that are written at any time: one send at a time, each with all that waited.

use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::base::Instant;
use crate::runtime::{Sending, Socket};

/// What one connection has to send.
#[derive(Default)]
pub(in crate::transport) struct Outbox {
    /// Not yet given to the kernel.
    pub waiting: Vec<u8>,
    /// What the kernel is taking.
    sending: Option<Sending>,
}

impl Outbox {
    /// With `waiting` to send first.
    pub fn new(waiting: Vec<u8>) -> Outbox {
        Outbox { waiting, sending: None }
    }

    /// Sends what waits; ready when the kernel has taken it all. Dropping the wait cancels nothing.
    ///
    /// # Errors
    /// As send(2).
    pub fn poll_sent(&mut self, socket: &Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(sending) = &mut self.sending {
                let sent = ready!(Pin::new(sending).poll(context));
                self.sending = None;
                sent?;
            }
            if self.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.sending = Some(socket.send(mem::take(&mut self.waiting)));
        }
    }

    /// Since when the kernel has been taking what it was given last.
    pub fn sending_since(&self) -> Option<Instant> {
        self.sending.as_ref().map(Sending::since)
    }
}
