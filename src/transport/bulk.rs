//! A long body on its way without being read piece by piece: from socket to socket through a pipe, or from a socket block
//! by block into a TLS session.

use std::io;

use crate::runtime::{Either, Interest, Moved, Socket, race};
use crate::transport::activity::Stalled;
use crate::transport::relay::Broken;
use crate::transport::splice::{Spliced, splice};
use crate::transport::tls_stream::TlsLink;
use crate::transport::{Activity, Http1Reader, Http1Writer, Pace, Sink, Source};

/// A message of a known length with at least this much to come is bulk. Below, a copy by way of receive buffers is
/// cheaper: `bench/run --case http_64k` and its neighbours give the figures.
const BULK_LENGTH: u64 = 32 * 1024;

/// Why a body did not move whole.
#[derive(Debug)]
pub enum BodyBroken {
    /// One of the connections.
    Side(Broken),
    /// Nothing came for the time allowed.
    SourceIdle,
    /// Too little came for the time that it took.
    SourceSlow,
    /// Nothing was taken for the time allowed.
    SinkIdle,
}

/// Moves the rest of the body that `source` is inside of, where its length is known and worth it, both sides speak
/// HTTP/1, and what comes is in the clear; the sink has nothing pending. False when the body has to be read piece by
/// piece, as where `may_splice` forbids the pipe and nothing else is left.
///
/// # Errors
/// Which side broke, the source also by ending early; or that `pace` was not kept.
pub async fn move_body(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    may_splice: bool,
    pace: Pace,
) -> Result<bool, BodyBroken> {
    let (Source::Http1(reader), Sink::Http1(writer)) = (source, sink) else { return Ok(false) };
    let Some(length) = reader.remaining_in_socket().filter(|length| *length >= BULK_LENGTH) else {
        return Ok(false);
    };
    if !may_splice && !writer.sender().is_secure() {
        return Ok(false);
    }
    // Boxed: those whose body is short do not carry its room.
    Box::pin(move_bulk(reader, writer, length, pace)).await
}

async fn move_bulk(
    reader: &mut Http1Reader,
    writer: &mut Http1Writer,
    length: u64,
    pace: Pace,
) -> Result<bool, BodyBroken> {
    let from = reader.receiver().socket().clone();
    let activity = Activity::new(from.io());
    let mut body = Bulk { from: &from, length, moved: 0, activity: &activity, pace };
    let ended = match writer.sender().tls().cloned() {
        Some(link) => body.seal(&link).await,
        None => match body.splice(&writer.sender().socket().clone()).await {
            Some(ended) => ended,
            None => return Ok(false),
        },
    };
    let moved = body.moved;
    reader.skip(moved);
    writer.sender().count_sent(moved);
    ended.map(|()| true)
}

/// The rest of a body.
struct Bulk<'a> {
    from: &'a Socket,
    length: u64,
    moved: u64,
    activity: &'a Activity,
    pace: Pace,
}

impl Bulk<'_> {
    /// Through a pipe; `None` when there is none to be had.
    async fn splice(&mut self, to: &Socket) -> Option<Result<(), BodyBroken>> {
        let io = self.from.io();
        let mut pipe = io.pipes().take(io)?;
        let spliced = {
            let splicing = splice(io, &mut pipe, self.from, to, Some(self.length), self.activity, &mut self.moved);
            race(splicing, self.activity.until_stalled(self.pace)).await
        };
        let held = pipe.held();
        io.pipes().give_back(pipe);
        Some(match spliced {
            Either::First(Ok(Spliced::All)) => Ok(()),
            Either::First(Ok(Spliced::SourceEnded | Spliced::Slow)) => Err(truncated()),
            Either::First(Err(broken)) => Err(BodyBroken::Side(broken)),
            Either::Second(_) if held > 0 => Err(BodyBroken::SinkIdle),
            Either::Second(stalled) => Err(broken_by(stalled)),
        })
    }

    /// Into the session of `link`, whose records leave together.
    async fn seal(&mut self, link: &TlsLink) -> Result<(), BodyBroken> {
        let (activity, pace) = (self.activity, self.pace);
        match race(self.seal_all(link), activity.until_stalled(pace)).await {
            Either::First(ended) => ended,
            Either::Second(_) if link.sending_since().is_some() => Err(BodyBroken::SinkIdle),
            Either::Second(stalled) => Err(broken_by(stalled)),
        }
    }

    async fn seal_all(&mut self, link: &TlsLink) -> Result<(), BodyBroken> {
        let of_source = |error| BodyBroken::Side(Broken::Source(error));
        let of_sink = |error| BodyBroken::Side(Broken::Sink(error));
        while self.moved < self.length {
            let mut sealed = Ok(());
            let received = self.from.receive_now(self.length - self.moved, |block| sealed = link.seal(&[block]));
            sealed.map_err(of_sink)?;
            match received.map_err(of_source)? {
                Moved::End => return Err(truncated()),
                Moved::NotReady => self.from.ready(Interest::Readable).await.map_err(of_source)?,
                Moved::Bytes(count) => {
                    link.flushed().await.map_err(of_sink)?;
                    self.activity.note_bytes(count as u64);
                    self.moved += count as u64;
                }
            }
        }
        Ok(())
    }
}

fn broken_by(stalled: Stalled) -> BodyBroken {
    match stalled {
        Stalled::Idle => BodyBroken::SourceIdle,
        Stalled::Slow => BodyBroken::SourceSlow,
    }
}

fn truncated() -> BodyBroken {
    BodyBroken::Side(Broken::Source(io::ErrorKind::UnexpectedEof.into()))
}
