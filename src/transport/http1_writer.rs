//! Writes HTTP/1 messages to a connection. A head waits for the first piece of its body, so that both leave in one send.

use std::io;

use crate::runtime::{Chunk, Outgoing};
use crate::transport::Sender;
use crate::wire::chunk::{CRLF, LAST_CHUNK, chunk_header};
use crate::wire::framing::BodyFraming;
use crate::wire::trailers::Trailers;

/// The writing half of an HTTP/1 connection.
pub struct Http1Writer {
    sender: Sender,
    /// Written and not yet sent: a head, or the memory for the next one.
    pending: Vec<u8>,
    framing: BodyFraming,
}

impl Http1Writer {
    /// A writer at the start of a connection.
    pub fn new(sender: Sender) -> Http1Writer {
        Http1Writer { sender, pending: Vec::new(), framing: BodyFraming::None }
    }

    /// Begins a message: `write` appends its head and says how its body is framed. Nothing is sent yet.
    pub fn begin<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> (BodyFraming, T)) -> T {
        let (framing, answer) = write(&mut self.pending);
        self.framing = framing;
        answer
    }

    /// Lends memory for the message to be written; [`Http1Writer::take_memory`] takes it back.
    pub fn lend_memory(&mut self, mut memory: Vec<u8>) {
        if self.pending.capacity() == 0 {
            memory.clear();
            self.pending = memory;
        }
    }

    /// Takes the memory for use elsewhere, so that an idle connection holds none.
    pub fn take_memory(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Whether a head is written and not sent.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Sends a piece of the body, behind the head if that has not been sent.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_piece(&mut self, piece: Chunk) -> io::Result<()> {
        let mut front = std::mem::take(&mut self.pending);
        let outgoing = match self.framing {
            BodyFraming::Chunked => {
                front.extend_from_slice(chunk_header(piece.len() as u64).as_bytes());
                Outgoing::gather(front, piece, CRLF)
            }
            _ if front.is_empty() => {
                self.pending = front;
                Outgoing::from(piece)
            }
            _ => Outgoing::gather(front, piece, b""),
        };
        self.send(outgoing).await
    }

    /// Sends a piece that is the last of a body without trailers.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_last_piece(&mut self, piece: Chunk) -> io::Result<()> {
        if self.framing != BodyFraming::Chunked {
            return self.send_piece(piece).await;
        }
        let mut front = std::mem::take(&mut self.pending);
        front.extend_from_slice(chunk_header(piece.len() as u64).as_bytes());
        self.send(Outgoing::gather(front, piece, b"\r\n0\r\n\r\n")).await
    }

    /// Ends the message: sends what is pending, the last chunk and the trailers.
    ///
    /// # Errors
    /// As send(2).
    pub async fn finish(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        if self.framing == BodyFraming::Chunked {
            self.pending.extend_from_slice(LAST_CHUNK);
            if let Some(trailers) = trailers {
                self.pending.extend_from_slice(trailers.as_bytes());
            }
            self.pending.extend_from_slice(CRLF);
        }
        self.flush().await
    }

    /// Sends what is pending.
    ///
    /// # Errors
    /// As send(2).
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.send(pending.into()).await
    }

    /// Sends fixed bytes, a whole message of their own. Drops what is pending.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_fixed(&mut self, message: &'static [u8]) -> io::Result<()> {
        self.pending.clear();
        self.send(message.into()).await
    }

    /// The sending half underneath.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// How the body of the current message is framed.
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    async fn send(&mut self, outgoing: Outgoing) -> io::Result<()> {
        if let Some(memory) = self.sender.send(outgoing).await? {
            self.lend_memory(memory);
        }
        Ok(())
    }
}
