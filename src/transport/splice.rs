//! Moving bytes from socket to socket inside the kernel, by way of a pipe.
//!
//! The ring says when a socket is ready; splice(2) itself never waits. (The ring's own splice operation always runs on
//! a kernel worker thread and is not used.)

use std::io;
use std::time::Duration;

use crate::runtime::{Either, Interest, Io, Moved, Pipe, Socket, race};
use crate::transport::relay::Broken;
use crate::transport::{Activity, RateFloor, Sink, Source};

/// A message of a known length with at least this much to come moves by splice. Below, a copy is cheaper:
/// `bench/run --case http_64k` and its neighbours give the figures.
const BULK_LENGTH: u64 = 32 * 1024;

/// One turn moves at the most this much before other connections get theirs.
const FAIR_SHARE: u64 = 4 * 1024 * 1024;

/// A wake that moves less than this does not look like bulk.
const SMALL_MOVE: u64 = 16 * 1024;

/// Small wakes in a row after which a stream without a known length goes back to copying.
const SMALL_MOVES: u32 = 4;

/// How a splice ended without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Spliced {
    /// The limit was reached.
    All,
    /// The source has ended.
    SourceEnded,
    /// Little moves per wake: copying is cheaper from here on.
    Slow,
}

/// Moves the rest of the body that `source` is inside of, where its length is known and worth it and both sides speak
/// HTTP/1; the sink has nothing pending. False when the body has to be read piece by piece.
///
/// # Errors
/// Which side broke, the source also by ending early; that nothing moved for `timeout`, or less than `floor` asks for.
pub async fn splice_body(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    timeout: Duration,
    floor: Option<RateFloor>,
) -> Result<bool, BodyBroken> {
    let (Source::Http1(reader), Sink::Http1(writer)) = (source, sink) else { return Ok(false) };
    let Some(length) = reader.remaining_in_socket().filter(|length| *length >= BULK_LENGTH) else {
        return Ok(false);
    };
    if !writer.sender().is_spliceable() {
        return Ok(false);
    }
    let (source, sink) = (reader.receiver().socket().clone(), writer.sender().socket().clone());
    let io = source.io();
    let Some(mut pipe) = io.pipes().take(io) else { return Ok(false) };
    let activity = Activity::new(io);
    let mut moved = 0;
    let spliced = {
        let splicing = splice(io, &mut pipe, &source, &sink, Some(length), &activity, &mut moved);
        let began = io.now();
        race(splicing, race(activity.until_idle(timeout), activity.until_slow(began, floor))).await
    };
    let held = pipe.held();
    io.pipes().give_back(pipe);
    reader.skip(moved);
    writer.sender().count_sent(moved);
    match spliced {
        Either::First(Ok(Spliced::All)) => Ok(true),
        Either::First(Ok(Spliced::SourceEnded | Spliced::Slow)) => {
            Err(BodyBroken::Side(Broken::Source(io::ErrorKind::UnexpectedEof.into())))
        }
        Either::First(Err(broken)) => Err(BodyBroken::Side(broken)),
        Either::Second(_) if held > 0 => Err(BodyBroken::SinkIdle),
        Either::Second(Either::First(())) => Err(BodyBroken::SourceIdle),
        Either::Second(Either::Second(())) => Err(BodyBroken::SourceSlow),
    }
}

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

/// Moves bytes until `limit`, the end of the source, or (without a limit) until it is no longer worth it.
pub(in crate::transport) async fn splice(
    io: &Io,
    pipe: &mut Pipe,
    source: &Socket,
    sink: &Socket,
    limit: Option<u64>,
    activity: &Activity,
    moved: &mut u64,
) -> Result<Spliced, Broken> {
    let (mut since_waking, mut share, mut small) = (0, 0, 0);
    let mut wanted = limit.unwrap_or(u64::MAX);
    while wanted > 0 {
        let length = wanted.min(pipe.capacity() as u64) as usize;
        match pipe.fill(source, length).map_err(Broken::Source)? {
            Moved::End => return Ok(Spliced::SourceEnded),
            Moved::NotReady => {
                small = if since_waking < SMALL_MOVE { small + 1 } else { 0 };
                if limit.is_none() && small > SMALL_MOVES {
                    return Ok(Spliced::Slow);
                }
                since_waking = 0;
                source.ready(Interest::Readable).await.map_err(Broken::Source)?;
            }
            Moved::Bytes(count) => {
                wanted -= count as u64;
                // The pipe is emptied before it is filled again: "not ready" is then never about its slots.
                empty(pipe, sink).await?;
                activity.note_bytes(count as u64);
                *moved += count as u64;
                since_waking += count as u64;
                share += count as u64;
            }
        }
        if share >= FAIR_SHARE {
            share = 0;
            io.give_way().await;
        }
    }
    Ok(Spliced::All)
}

async fn empty(pipe: &mut Pipe, sink: &Socket) -> Result<(), Broken> {
    while pipe.held() > 0 {
        if pipe.empty(sink).map_err(Broken::Sink)? == Moved::NotReady {
            sink.ready(Interest::Writable).await.map_err(Broken::Sink)?;
        }
    }
    Ok(())
}
