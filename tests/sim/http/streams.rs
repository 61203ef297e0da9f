//! Bodies on the streams of an HTTP/2 connection, and many tasks of one connection in one future.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use elbow::base::random::Random;
use elbow::runtime::Io;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use http::header::HeaderValue;

use crate::http::plan::Content;
use crate::message::{Body, Head, Pace};
use crate::pattern::Pattern;

/// The trailers that some messages have.
pub const TRAILER: (&str, &str) = ("x-sum", "1");

/// Most bytes given to a stream at once.
const PIECE: u64 = 16 * 1024;

/// Futures that are polled together; they end one by one.
#[derive(Default)]
pub struct Crowd {
    going: Vec<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Crowd {
    /// Lets one more take part.
    pub fn join(&mut self, work: impl Future<Output = ()> + 'static) {
        self.going.push(Box::pin(work));
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.going.len()
    }

    /// Polls all.
    pub fn poll_all(&mut self, context: &mut Context<'_>) {
        self.going.retain_mut(|work| work.as_mut().poll(context).is_pending());
    }
}

/// Sends `body`, as the other side's windows let it; `before_last` is called when nothing but its end is left to send.
///
/// # Errors
/// When the stream has ended.
pub async fn say_body(
    io: &Io,
    stream: &mut SendStream<Bytes>,
    (body, pattern, trailer): (Content, Pattern, bool),
    (pace, random): (&Pace, &mut Random),
    before_last: impl FnOnce(),
) -> Result<(), h2::Error> {
    let length = body.length();
    let mut offset = 0;
    while offset < length {
        let wanted = (length - offset).min(1 + random.below(pace.piece.min(PIECE)).max(length / 200));
        stream.reserve_capacity(wanted as usize);
        let room = match poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => room? as u64,
            None => return Err(h2::Reason::CANCEL.into()),
        };
        let end = offset + room.min(wanted);
        if end < length {
            stream.send_data(pattern.bytes(offset, end).into(), false)?;
            pace.pause(io, random).await;
            offset = end;
            continue;
        }
        before_last();
        stream.send_data(pattern.bytes(offset, end).into(), !trailer)?;
        return if trailer { stream.send_trailers(trailers()) } else { Ok(()) };
    }
    before_last();
    match trailer {
        true => stream.send_trailers(trailers()),
        false => stream.send_data(Bytes::new(), true),
    }
}

/// Hears at most `most` bytes of a body, compared with `pattern`, at its own pace. True when it has ended. What had come
/// by then is in `body` even when it could not be heard to its end.
///
/// # Errors
/// When the stream was reset or its connection broke.
pub async fn hear_body(
    io: &Io,
    stream: &mut RecvStream,
    (pattern, most): (Pattern, u64),
    (pace, random): (&Pace, &mut Random),
    body: &mut Body,
) -> Result<bool, h2::Error> {
    while body.length < most {
        let Some(data) = stream.data().await else {
            let fields = stream.trailers().await?.unwrap_or_default();
            body.trailers = fields.iter().map(|(name, value)| field(name.as_str(), value)).collect();
            return Ok(true);
        };
        let data = data?;
        body.wrong |= !pattern.matches(body.length, &data);
        body.length += data.len() as u64;
        pace.pause(io, random).await;
        stream.flow_control().release_capacity(data.len())?;
    }
    Ok(false)
}

/// A head as HTTP/1 messages have them, to be compared with what a plan says.
pub fn head(line: String, fields: &HeaderMap) -> Head {
    Head::new(line, fields.iter().map(|(name, value)| field(name.as_str(), value)).collect())
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(TRAILER.0.parse().expect("a name"), HeaderValue::from_static(TRAILER.1))])
}

fn field(name: &str, value: &HeaderValue) -> (String, String) {
    (name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Waits for what `poll` says first, polling `crowd` beside it.
pub async fn beside<T>(crowd: &mut Crowd, mut poll: impl FnMut(&mut Crowd, &mut Context<'_>) -> Poll<T>) -> T {
    poll_fn(|context| {
        crowd.poll_all(context);
        poll(crowd, context)
    })
    .await
}
