//! Reads the body of one message from an HTTP/2 stream.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use h2::RecvStream;

use crate::transport::ReadError;
use crate::transport::http2_heads::read_trailers;
use crate::transport::http2_link::Http2Link;
use crate::transport::piece::{Data, Piece};
use crate::wire::fault::BodyFault;
use crate::wire::trailers::Trailers;

/// The receiving half of a stream, behind the head.
pub struct Http2Reader {
    stream: RecvStream,
    link: Rc<Http2Link>,
    /// Bytes given out whose place in the windows has not been given back.
    lent: usize,
    /// Bytes of the body so far.
    bytes: u64,
    trailers: Option<Box<Trailers>>,
    is_ended: bool,
}

impl Http2Reader {
    /// For `stream` of `link`, whose head has been read.
    pub(in crate::transport) fn new(stream: RecvStream, link: Rc<Http2Link>) -> Http2Reader {
        let is_ended = stream.is_end_stream();
        Http2Reader { stream, link, lent: 0, bytes: 0, trailers: None, is_ended }
    }

    /// The next piece of the body. Asking for it says that the piece before has been passed on: only then may the peer
    /// send more in its place. Cancel-safe.
    ///
    /// # Errors
    /// The end of the stream or connection inside the body, or a fault of the trailers.
    pub async fn next_piece(&mut self) -> Result<Piece, ReadError<BodyFault>> {
        poll_fn(|context| self.poll_piece(context)).await
    }

    /// As [`Http2Reader::next_piece`], if it is here already.
    ///
    /// # Errors
    /// As [`Http2Reader::next_piece`].
    pub fn piece_at_hand(&mut self) -> Result<Option<Piece>, ReadError<BodyFault>> {
        match self.poll_piece(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => piece.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Bytes of the body that have come.
    pub fn body_bytes(&self) -> u64 {
        self.bytes
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, ReadError<BodyFault>>> {
        self.give_back();
        while !self.is_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.lent = bytes.len();
                    self.bytes += bytes.len() as u64;
                    self.is_ended = self.stream.is_end_stream();
                    return Poll::Ready(Ok(Piece::Data(Data::Frame(bytes))));
                }
                Some(Err(error)) => return Poll::Ready(Err(ReadError::Broken(broken(error)))),
                None => {
                    let fields = ready!(self.stream.poll_trailers(context));
                    self.is_ended = true;
                    if let Some(fields) = fields.map_err(|error| ReadError::Broken(broken(error)))? {
                        let mut trailers = read_trailers(&fields).map_err(ReadError::Fault)?;
                        if self.is_confidential() {
                            trailers.make_confidential();
                        }
                        self.trailers = Some(Box::new(trailers));
                    }
                }
            }
        }
        Poll::Ready(Ok(Piece::End))
    }

    /// Lets the peer send as much as was passed on.
    fn give_back(&mut self) {
        let lent = std::mem::take(&mut self.lent);
        if lent > 0 {
            // Fails only when more is given back than was lent.
            let _ = self.stream.flow_control().release_capacity(lent);
        }
    }

    /// The connection.
    pub(in crate::transport) fn link(&self) -> &Http2Link {
        &self.link
    }

    /// Whether the fields that came on the stream must never be indexed.
    pub(in crate::transport) fn is_confidential(&self) -> bool {
        self.link.is_confidential(self.stream.stream_id())
    }

    /// Whether the body has ended; trailers may have been read.
    pub fn is_body_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether the piece just read was the last one and no trailers follow.
    pub fn is_finished(&self) -> bool {
        self.is_ended && self.trailers.is_none()
    }

    /// The trailers of a body that has ended, where there are any.
    pub fn trailers(&self) -> Option<&Trailers> {
        self.trailers.as_deref()
    }
}

impl Drop for Http2Reader {
    fn drop(&mut self) {
        self.link.forget(self.stream.stream_id());
    }
}

/// An error of a stream in the words of sockets: a reset is one, and so is the end of its connection.
pub(in crate::transport) fn broken(error: h2::Error) -> io::Error {
    match error.is_io() {
        true => error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()),
        false => io::Error::new(io::ErrorKind::ConnectionReset, error),
    }
}
