//! Reads HTTP/1 messages from a connection: heads through a parser, bodies through a decoder.
//!
//! Bytes stay in the buffer they were received in. Only a head that did not arrive in one piece is copied together.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::runtime::Chunk;
use crate::transport::Receiver;
use crate::transport::piece::{Data, Piece};
use crate::wire::body::BodyDecoder;
use crate::wire::fault::BodyFault;
use crate::wire::framing::BodyFraming;
use crate::wire::head::HeadStatus;
use crate::wire::trailers::Trailers;

/// Why a message could not be read.
#[derive(Debug)]
pub enum ReadError<F> {
    /// The peer closed: before the first byte of a message (`clean`), or inside one.
    Closed {
        /// Nothing of the message had arrived.
        clean: bool,
    },
    /// The connection broke.
    Broken(io::Error),
    /// What arrived breaks the protocol.
    Fault(F),
}

/// The reading half of an HTTP/1 connection.
pub struct Http1Reader {
    receiver: Receiver,
    /// Received and not yet consumed.
    unread: Option<Chunk>,
    /// Inside a message with a body, or behind one; a connection that carries none holds no memory for it.
    body: Option<Box<Body>>,
}

/// One body, and how much there has been of it.
#[derive(Default)]
struct Body {
    decoder: BodyDecoder,
    /// Without its framing.
    bytes: u64,
}

impl Body {
    fn restart(&mut self, framing: BodyFraming) {
        self.decoder.restart(framing);
        self.bytes = 0;
    }

    fn advance(&mut self, length: u64) {
        self.decoder.advance(length);
        self.bytes += length;
    }
}

impl Http1Reader {
    /// A reader at the start of a connection.
    pub fn new(receiver: Receiver) -> Http1Reader {
        Http1Reader { receiver, unread: None, body: None }
    }

    /// Waits until at least one byte is there. False at the end of the stream.
    ///
    /// # Errors
    /// As recv(2).
    pub fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while !self.has_unread() {
            match ready!(self.receiver.poll_receive(context))? {
                Some(chunk) => self.unread = Some(chunk),
                None => return Poll::Ready(Ok(false)),
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Reads one head. `parse` is called with everything received of it so far, once more after every arrival.
    ///
    /// # Errors
    /// The end or failure of the connection, or what `parse` says.
    pub async fn read_head<F>(
        &mut self,
        mut parse: impl FnMut(&[u8]) -> Result<HeadStatus, F>,
    ) -> Result<(), ReadError<F>> {
        let mut gathered = Vec::new();
        loop {
            let Some(chunk) = self.unread.take().filter(|chunk| !chunk.is_empty()) else {
                match self.receiver.receive().await.map_err(ReadError::Broken)? {
                    Some(chunk) => self.unread = Some(chunk),
                    None => return Err(ReadError::Closed { clean: gathered.is_empty() }),
                }
                continue;
            };
            let before = gathered.len();
            let status = match before {
                0 => parse(&chunk),
                _ => {
                    gathered.extend_from_slice(&chunk);
                    parse(&gathered)
                }
            };
            match status.map_err(ReadError::Fault)? {
                HeadStatus::Complete { length } => {
                    let mut rest = chunk;
                    rest.advance(length.saturating_sub(before));
                    self.unread = (!rest.is_empty()).then_some(rest);
                    return Ok(());
                }
                HeadStatus::Partial if before == 0 => gathered.extend_from_slice(&chunk),
                HeadStatus::Partial => {}
            }
        }
    }

    /// Begins the body of the message whose head was just read.
    pub fn begin_body(&mut self, framing: BodyFraming) {
        match framing {
            BodyFraming::None | BodyFraming::Length(0) => self.body = None,
            _ => self.body.get_or_insert_default().restart(framing),
        }
    }

    /// The next piece of the body. Cancel-safe.
    ///
    /// # Errors
    /// The end of the connection inside the body, its failure, or a fault of the framing.
    pub async fn next_piece(&mut self) -> Result<Piece, ReadError<BodyFault>> {
        loop {
            if let Some(piece) = self.piece_at_hand().map_err(ReadError::Fault)? {
                return Ok(piece);
            }
            match self.receiver.receive().await.map_err(ReadError::Broken)? {
                Some(chunk) => self.unread = Some(chunk),
                None => {
                    let ended = self.body.as_mut().map_or(Ok(()), |body| body.decoder.handle_close());
                    return ended.map(|()| Piece::End).map_err(|_| ReadError::Closed { clean: false });
                }
            }
        }
    }

    /// The next piece of the body if it is here already.
    ///
    /// # Errors
    /// A fault of the framing.
    pub fn piece_at_hand(&mut self) -> Result<Option<Piece>, BodyFault> {
        let Some(body) = self.body.as_mut().filter(|body| !body.decoder.is_ended()) else {
            return Ok(Some(Piece::End));
        };
        let Some(mut unread) = self.unread.take() else { return Ok(None) };
        let decoded = body.decoder.decode(&unread)?;
        let mut data = unread.split_to(decoded.consumed);
        self.unread = (!unread.is_empty()).then_some(unread);
        if !decoded.data.is_empty() {
            data.truncate(decoded.data.end);
            data.advance(decoded.data.start);
            body.bytes += data.len() as u64;
            return Ok(Some(Piece::Data(Data::Chunk(data))));
        }
        Ok(decoded.ended.then_some(Piece::End))
    }

    /// How many bytes of the body are still to come from the socket, where that is known and nothing is buffered: then
    /// they may be moved without being read, and reported by [`Http1Reader::skip`].
    pub fn remaining_in_socket(&self) -> Option<u64> {
        let unbuffered = !self.has_unread() && self.receiver.is_spliceable();
        self.body.as_ref()?.decoder.remaining_known().filter(|_| unbuffered)
    }

    /// Takes note that `length` bytes of the body were moved by other means.
    pub fn skip(&mut self, length: u64) {
        self.body.iter_mut().for_each(|body| body.advance(length));
        self.receiver.count_received(length);
    }

    /// Bytes of the current body so far, without its framing.
    pub fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.bytes)
    }

    /// Whether the current body has ended.
    pub fn is_body_ended(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.decoder.is_ended())
    }

    /// Whether the piece just read was the last one and no trailers follow.
    pub fn is_finished(&self) -> bool {
        self.is_body_ended() && self.trailers().is_none_or(Trailers::is_empty)
    }

    /// The trailers of a body that has ended, where there was one.
    pub fn trailers(&self) -> Option<&Trailers> {
        self.body.as_ref().map(|body| body.decoder.trailers())
    }

    /// Whether bytes behind the current message are here already.
    pub fn has_unread(&self) -> bool {
        self.unread.as_ref().is_some_and(|unread| !unread.is_empty())
    }

    /// Takes what was received behind the current message: the first bytes of an upgraded protocol.
    pub fn take_unread(&mut self) -> Option<Chunk> {
        self.unread.take().filter(|unread| !unread.is_empty())
    }

    /// Waits for the connection to break while something else is awaited. Bytes that arrive are kept for later (at most
    /// one buffer of them, then nothing more is read, and not for long while buffers are scarce); the end of the stream is
    /// no break: a client may have said all.
    pub async fn broken(&mut self) -> io::Error {
        if !self.has_unread() {
            match self.receiver.receive().await {
                Ok(Some(chunk)) => self.unread = Some(chunk),
                Ok(None) => {}
                Err(error) => return error,
            }
        }
        let io = self.receiver.socket().io();
        let since = io.now();
        let holds_buffer = self.has_unread();
        poll_fn(|_| if holds_buffer { io.poll_shortage(since) } else { Poll::Pending }).await
    }

    /// The receiving half underneath.
    pub fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// Gives the receiving half back.
    pub fn into_receiver(self) -> Receiver {
        self.receiver
    }
}
