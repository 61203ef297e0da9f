//! Moving bytes from socket to socket inside the kernel, by way of a pipe.
//!
//! The ring says when a socket is ready; splice(2) itself never waits. (The ring's own splice operation always runs on
//! a kernel worker thread and is not used.)

use crate::runtime::{Interest, Io, Moved, Pipe, Socket};
use crate::transport::Activity;
use crate::transport::relay::Broken;

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
