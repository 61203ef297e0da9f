//! An answer on its way to the client, once its head has been read from the instance.

use std::io;
use std::pin::{Pin, pin};

use crate::model::Reason;
use crate::proxy::session::Session;
use crate::proxy::upload::Progress;
use crate::transport::{BodyBroken, Broken, Pace, Piece, ReadError, Sink, Source, move_body};
use crate::wire::connection::Persistence;
use crate::wire::fault::BodyFault;
use crate::wire::forward::{Additions, ResponseForward};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Reply, RequestHead, ResponseHead};

/// Relays one answer.
pub struct Download<'a> {
    session: &'a Session,
    request: &'a RequestHead,
    response: &'a ResponseHead,
    additions: Additions<'a>,
}

/// An answer that was relayed whole.
#[derive(Clone, Copy, Debug)]
pub struct Downloaded {
    /// Whether the client's connection may carry another.
    pub persistence: Persistence,
    /// Whether the instance's connection may carry another.
    pub reusable: bool,
}

impl<'a> Download<'a> {
    /// The answer whose head is `response`, to `request`.
    pub fn new(session: &'a Session, request: &'a RequestHead, response: &'a ResponseHead) -> Download<'a> {
        Download { session, request, response, additions: Additions::default() }
    }

    /// The same, with fields beside those of the instance.
    pub fn with(self, additions: Additions<'a>) -> Download<'a> {
        Download { additions, ..self }
    }

    /// Sends a head without a body: an interim answer, or one that switches protocols.
    ///
    /// # Errors
    /// When the client does not take it.
    pub async fn send_head(&self, reply: Reply, sink: &mut Sink<'_>) -> Result<(), Reason> {
        self.begin(reply, Persistence::KeepAlive, sink);
        self.taken(pin!(sink.flush())).await
    }

    /// Sends a final answer whose body is framed like `framing` and comes from `source`. The head leaves together with
    /// the first piece of the body. `progress` is that of the request.
    ///
    /// # Errors
    /// Why the answer was cut.
    pub async fn run(
        &self,
        framing: BodyFraming,
        persistence: Persistence,
        progress: &Progress,
        source: &mut Source<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Downloaded, Reason> {
        let persistence = self.begin(Reply::Final(framing), persistence, sink);
        loop {
            let at_hand = source.piece_at_hand().map_err(|error| of_body(&error))?;
            let piece = match at_hand {
                Some(piece) => piece,
                None => {
                    // The head, or what came before, does not wait for more.
                    self.taken(pin!(sink.flush())).await?;
                    match self.move_rest(source, sink).await? {
                        true => Piece::End,
                        false => self.next_piece(source, progress).await?,
                    }
                }
            };
            match piece {
                Piece::Data(piece) => self.taken(pin!(sink.send_piece(piece, source.is_finished()))).await?,
                Piece::End => break,
            }
        }
        self.taken(pin!(sink.finish(source.trailers()))).await?;
        let kept = self.response.persistence(framing) == Persistence::KeepAlive;
        Ok(Downloaded { persistence, reusable: kept && !source.has_unread() })
    }

    fn begin(&self, reply: Reply, persistence: Persistence, sink: &mut Sink<'_>) -> Persistence {
        let forward = ResponseForward { client: self.request.version(), persistence, additions: self.additions };
        sink.begin_answer(self.response, reply, &forward)
    }

    async fn move_rest(&self, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<bool, Reason> {
        let may_splice = self.session.core.may_splice;
        move_body(source, sink, may_splice, Pace::of_silence(self.session.idle_timeout())).await.map_err(|broken| {
            match broken {
                BodyBroken::Side(Broken::Source(error)) => of_source(&error),
                BodyBroken::Side(Broken::Sink(_)) => Reason::ClientReset,
                BodyBroken::SourceIdle | BodyBroken::SourceSlow => Reason::ResponseIdleTimeout,
                BodyBroken::SinkIdle => Reason::ClientSendTimeout,
            }
        })
    }

    async fn next_piece(&self, source: &mut Source<'_>, progress: &Progress) -> Result<Piece, Reason> {
        let (session, waiting_since) = (self.session, self.session.now());
        loop {
            let (now, idle_timeout) = (session.now(), session.idle_timeout());
            let (until, reason) = match progress.silent_since() {
                Some(since) => (since + session.tunnel_timeout(), Reason::TunnelTimeout),
                None => {
                    let since = progress.ended_at().map_or(waiting_since, |ended_at| ended_at.max(waiting_since));
                    (since + idle_timeout, Reason::ResponseIdleTimeout)
                }
            };
            if until <= now {
                return Err(reason);
            }
            // A dialogue whose request ends is an answer like any other from then on, so it is looked at again.
            if let Ok(read) = session.core.io.within(until.min(now + idle_timeout), pin!(source.next_piece())).await {
                progress.note_piece(session.now());
                return read.map_err(|error| of_body(&error));
            }
        }
    }

    async fn taken(&self, sending: Pin<&mut impl Future<Output = io::Result<()>>>) -> Result<(), Reason> {
        self.session.client_takes(sending).await
    }
}

fn of_body(error: &ReadError<BodyFault>) -> Reason {
    match error {
        ReadError::Fault(_) => Reason::ResponseBodyMalformed,
        ReadError::Closed { .. } => Reason::ResponseTruncated,
        ReadError::Broken(error) => of_source(error),
    }
}

fn of_source(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Reason::ResponseTruncated,
        _ => Reason::ResponseReset,
    }
}
