//! Where a message comes from, whatever its protocol.

use crate::transport::piece::Piece;
use crate::transport::{Http1Reader, Http2Reader, ReadError};
use crate::wire::fault::BodyFault;
use crate::wire::trailers::Trailers;

/// A message whose head has been read.
pub enum Source<'a> {
    /// On an HTTP/1 connection.
    Http1(&'a mut Http1Reader),
    /// On a stream of an HTTP/2 connection.
    Http2(&'a mut Http2Reader),
    /// On a stream, whose data is no body: another protocol's, once that is agreed on.
    Opening,
}

impl Source<'_> {
    /// The next piece of the body if it is here already.
    ///
    /// # Errors
    /// A fault of the framing; on a stream also its end.
    pub fn piece_at_hand(&mut self) -> Result<Option<Piece>, ReadError<BodyFault>> {
        match self {
            Source::Http1(reader) => reader.piece_at_hand().map_err(ReadError::Fault),
            Source::Http2(reader) => reader.piece_at_hand(),
            Source::Opening => Ok(Some(Piece::End)),
        }
    }

    /// The next piece of the body. Cancel-safe.
    ///
    /// # Errors
    /// The end of the connection inside the body, its failure, or a fault of the framing.
    pub async fn next_piece(&mut self) -> Result<Piece, ReadError<BodyFault>> {
        match self {
            Source::Http1(reader) => reader.next_piece().await,
            Source::Http2(reader) => reader.next_piece().await,
            Source::Opening => Ok(Piece::End),
        }
    }

    /// Whether the piece just read was the last one and no trailers follow.
    pub fn is_finished(&self) -> bool {
        match self {
            Source::Http1(reader) => reader.is_finished(),
            Source::Http2(reader) => reader.is_finished(),
            Source::Opening => true,
        }
    }

    /// The trailers of a body that has ended, where there was one.
    pub fn trailers(&self) -> Option<&Trailers> {
        match self {
            Source::Http1(reader) => reader.trailers(),
            Source::Http2(reader) => reader.trailers(),
            Source::Opening => None,
        }
    }

    /// Bytes of the body so far.
    pub fn body_bytes(&self) -> u64 {
        match self {
            Source::Http1(reader) => reader.body_bytes(),
            Source::Http2(reader) => reader.body_bytes(),
            Source::Opening => 0,
        }
    }

    /// Whether bytes behind what was read are known to be here.
    pub fn has_unread(&self) -> bool {
        match self {
            Source::Http1(reader) => reader.has_unread(),
            Source::Http2(_) | Source::Opening => false,
        }
    }

    /// Waits for the connection to break, or the stream to be given up, while something else is awaited.
    pub async fn broken(&mut self) {
        match self {
            Source::Http1(reader) => drop(reader.broken().await),
            // Its cancellation is watched by whoever serves it.
            Source::Http2(_) | Source::Opening => std::future::pending().await,
        }
    }
}
