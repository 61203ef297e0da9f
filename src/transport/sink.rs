//! Where a message goes, whatever its protocol.

use std::io;

use crate::transport::piece::Data;
use crate::transport::{Http1Writer, Http2Writer};
use crate::wire::answer::CONTINUE;
use crate::wire::connection::Persistence;
use crate::wire::forward::{ResponseForward, write_response_head};
use crate::wire::head::{Reply, ResponseHead};
use crate::wire::trailers::Trailers;

/// A connection or stream that takes messages.
pub enum Sink<'a> {
    /// An HTTP/1 connection.
    Http1(&'a mut Http1Writer),
    /// A stream of an HTTP/2 connection.
    Http2(&'a mut Http2Writer),
}

impl Sink<'_> {
    /// Begins an answer; nothing is sent yet. Says whether the client's connection may carry another.
    pub fn begin_answer(&mut self, head: &ResponseHead, reply: Reply, forward: &ResponseForward<'_>) -> Persistence {
        match self {
            Sink::Http1(writer) => {
                let persistence = writer.begin(|out| {
                    let sent = write_response_head(head, reply, forward, out);
                    (sent.framing, sent.persistence)
                });
                if persistence == Persistence::Close {
                    writer.part_after_message();
                }
                persistence
            }
            Sink::Http2(writer) => {
                writer.begin(head, reply, forward);
                forward.persistence
            }
        }
    }

    /// Tells the client to send its body.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_continue(&mut self) -> io::Result<()> {
        match self {
            Sink::Http1(writer) => writer.send_fixed(CONTINUE).await,
            Sink::Http2(writer) => writer.send_continue(),
        }
    }

    /// Sends what is pending; on a stream, waits until its peer has room for more.
    ///
    /// # Errors
    /// As send(2).
    pub async fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Http1(writer) => writer.flush().await,
            Sink::Http2(writer) => writer.flush().await,
        }
    }

    /// Sends a piece of the body, behind the head if that has not been sent. `is_last` says that the body ends with it,
    /// without trailers.
    ///
    /// # Errors
    /// As send(2).
    pub async fn send_piece(&mut self, piece: Data, is_last: bool) -> io::Result<()> {
        match self {
            Sink::Http1(writer) => writer.send_piece(piece, is_last).await,
            Sink::Http2(writer) => writer.send_piece(piece, is_last).await,
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As send(2).
    pub async fn finish(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        match self {
            Sink::Http1(writer) => writer.finish(trailers).await,
            Sink::Http2(writer) => writer.finish(trailers),
        }
    }

    /// Ends a message that will be answered; what becomes of a short one may be left to the answer.
    ///
    /// # Errors
    /// As send(2).
    pub async fn conclude(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        match self {
            Sink::Http1(writer) => writer.conclude(trailers).await,
            Sink::Http2(writer) => writer.finish(trailers),
        }
    }

    /// Takes memory for use elsewhere, where there is some to spare.
    pub fn take_memory(&mut self) -> Vec<u8> {
        match self {
            Sink::Http1(writer) => writer.take_memory(),
            Sink::Http2(_) => Vec::new(),
        }
    }
}
