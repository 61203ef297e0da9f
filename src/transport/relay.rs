//! Moving bytes one way between connections, without looking into them.
//!
//! A stream starts by copying through provided buffers, which is cheapest for small messages. Two full buffers in a row
//! show bulk: then it moves by splice, until little moves per wake.

use std::io;

use crate::runtime::{BUFFER_SIZE, Io};
use crate::transport::splice::{Spliced, splice};
use crate::transport::{Activity, Receiver, Sender};

/// Which side ended a relay before its end, and how.
#[derive(Debug)]
pub enum Broken {
    /// Receiving failed.
    Source(io::Error),
    /// Sending failed.
    Sink(io::Error),
}

/// Full buffers in a row that show a bulk stream.
const FULL_BUFFERS: u32 = 2;

/// Moves everything that `source` receives to `sink`, then passes the end of the stream on. A slow sink holds at most
/// one buffer or one pipe back; nothing else is read meanwhile.
///
/// # Errors
/// Which side broke and how.
pub async fn relay(
    io: &Io,
    source: &mut Receiver,
    sink: &mut Sender,
    activity: &Activity,
    may_splice: bool,
) -> Result<(), Broken> {
    let mut full = 0;
    loop {
        if full >= FULL_BUFFERS && may_splice && source.is_spliceable() && sink.is_spliceable() {
            full = 0;
            if relay_bulk(io, source, sink, activity).await? == Spliced::SourceEnded {
                break;
            }
        }
        match source.receive().await.map_err(Broken::Source)? {
            None => break,
            Some(chunk) => {
                activity.note();
                full = if chunk.len() == BUFFER_SIZE { full + 1 } else { 0 };
                sink.send(chunk).await.map_err(Broken::Sink)?;
                activity.note();
            }
        }
    }
    sink.end().await.map_err(Broken::Sink)
}

async fn relay_bulk(io: &Io, source: &mut Receiver, sink: &mut Sender, activity: &Activity) -> Result<Spliced, Broken> {
    let Some(mut pipe) = io.pipes().take(io) else { return Ok(Spliced::Slow) };
    let mut moved = 0;
    let spliced = splice(io, &mut pipe, source.socket(), sink.socket(), None, activity, &mut moved).await;
    source.count_received(moved);
    sink.count_sent(moved);
    io.pipes().give_back(pipe);
    spliced
}
