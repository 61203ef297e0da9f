//! Writes HTTP/1 messages to a connection. A head waits for the first piece of its body, so that both leave in one send.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::runtime::{Chunk, Outgoing, Sending, Socket};
use crate::transport::Sender;
use crate::transport::piece::Data;
use crate::wire::chunk::{CRLF, LAST_CHUNK, chunk_header};
use crate::wire::framing::BodyFraming;
use crate::wire::trailers::Trailers;

/// The end of the last piece's chunk, the last chunk, and no trailers.
const END_OF_LAST: &[u8] = b"\r\n0\r\n\r\n";

/// The longest message that is not waited for: the smallest send buffer that Linux gives a socket has room for it
/// (tcp(7), `tcp_wmem`).
const SHORT_MESSAGE: usize = 4096;

/// The writing half of an HTTP/1 connection.
pub struct Http1Writer {
    sender: Sender,
    /// Written and not yet sent: a head, or the memory for the next one.
    pending: Vec<u8>,
    /// The body of the present message goes in chunks.
    in_chunks: bool,
    /// No message follows the present one.
    is_parting: bool,
    /// A message that was concluded and not waited for. Boxed: idle connections have writers too.
    concluded: Option<Box<Sending>>,
}

impl Http1Writer {
    /// A writer at the start of a connection.
    pub fn new(sender: Sender) -> Http1Writer {
        Http1Writer { sender, pending: Vec::new(), in_chunks: false, is_parting: false, concluded: None }
    }

    /// Begins a message: `write` appends its head and says how its body is framed. Nothing is sent yet.
    pub fn begin<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> (BodyFraming, T)) -> T {
        let (framing, answer) = write(&mut self.pending);
        self.in_chunks = framing == BodyFraming::Chunked;
        answer
    }

    /// Says that the connection ends right behind the present message, so that its last bytes and the end of the stream
    /// can leave as one segment.
    pub fn part_after_message(&mut self) {
        self.is_parting = true;
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

    /// Sends a piece of the body, behind the head if that has not been sent. `is_last` says that the body ends with it,
    /// without trailers; the message is then finished.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_piece(&mut self, piece: Data, is_last: bool) -> io::Result<()> {
        let outgoing = match piece {
            Data::Chunk(chunk) => self.frame_chunk(chunk, is_last),
            Data::Frame(bytes) => self.frame_bytes(&bytes, is_last),
        };
        self.in_chunks &= !is_last;
        self.send(outgoing, is_last).await
    }

    fn frame_chunk(&mut self, piece: Chunk, is_last: bool) -> Outgoing {
        let mut front = std::mem::take(&mut self.pending);
        match self.in_chunks {
            true => {
                front.extend_from_slice(chunk_header(piece.len() as u64).as_bytes());
                Outgoing::gather(front, piece, if is_last { END_OF_LAST } else { CRLF })
            }
            false if front.is_empty() => {
                self.pending = front;
                Outgoing::from(piece)
            }
            false => Outgoing::gather(front, piece, b""),
        }
    }

    /// What came in other memory than receive buffers is copied behind the head.
    fn frame_bytes(&mut self, piece: &[u8], is_last: bool) -> Outgoing {
        let mut front = std::mem::take(&mut self.pending);
        if self.in_chunks {
            front.extend_from_slice(chunk_header(piece.len() as u64).as_bytes());
        }
        front.extend_from_slice(piece);
        if self.in_chunks {
            front.extend_from_slice(if is_last { END_OF_LAST } else { CRLF });
        }
        front.into()
    }

    /// Ends the message: sends what is pending, the last chunk and the trailers.
    ///
    /// # Errors
    /// As send(2).
    pub async fn finish(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        if std::mem::take(&mut self.in_chunks) {
            self.pending.extend_from_slice(LAST_CHUNK);
            self.pending.extend_from_slice(trailers.map_or(&[], Trailers::as_bytes));
            self.pending.extend_from_slice(CRLF);
        }
        self.send_pending(true).await
    }

    /// Ends a message that will be answered. As [`Http1Writer::finish`], but a short one in the clear is only started:
    /// its peer has answered all that went before it, so the kernel has room for it, and what becomes of it the answer
    /// tells.
    ///
    /// # Errors
    /// As send(2).
    pub async fn conclude(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        let is_short = !self.in_chunks && (1..=SHORT_MESSAGE).contains(&self.pending.len());
        if is_short && self.concluded.is_none() {
            match self.sender.start(std::mem::take(&mut self.pending)) {
                Ok(sending) => {
                    self.concluded = Some(Box::new(sending));
                    return Ok(());
                }
                Err(pending) => self.pending = pending,
            }
        }
        self.finish(trailers).await
    }

    /// Whether the kernel has taken all that was concluded; asked once, behind the answer.
    pub fn has_sent_all(&mut self) -> bool {
        let Some(mut concluded) = self.concluded.take() else { return true };
        match Pin::new(&mut *concluded).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(memory)) => {
                memory.into_iter().for_each(|memory| self.lend_memory(memory));
                true
            }
            Poll::Ready(Err(_)) | Poll::Pending => false,
        }
    }

    /// Sends what is pending.
    ///
    /// # Errors
    /// As send(2).
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send_pending(false).await
    }

    /// Sends fixed bytes, a whole message of their own. Drops what is pending.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_fixed(&mut self, message: &'static [u8]) -> io::Result<()> {
        self.pending.clear();
        self.send(message.into(), false).await
    }

    /// Sends a message that was written elsewhere. Drops what is pending.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_message(&mut self, message: Vec<u8>) -> io::Result<()> {
        self.pending.clear();
        self.send(message.into(), false).await
    }

    /// The sending half underneath.
    pub fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }

    /// Gives the sending half back; what is pending is dropped.
    pub fn into_sender(self) -> Sender {
        self.sender
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        self.sender.socket()
    }

    async fn send_pending(&mut self, ends_message: bool) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.send(pending.into(), ends_message).await
    }

    async fn send(&mut self, outgoing: Outgoing, ends_message: bool) -> io::Result<()> {
        if let Some(concluded) = self.concluded.take() {
            concluded.await?;
        }
        let sent = match ends_message && self.is_parting {
            true => self.sender.send_last(outgoing).await?,
            false => self.sender.send(outgoing).await?,
        };
        if let Some(memory) = sent {
            self.lend_memory(memory);
        }
        Ok(())
    }
}
