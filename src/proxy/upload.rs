//! A request on its way to the instance, while its answer may already be coming.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use crate::base::Instant;
use crate::model::Reason;
use crate::proxy::failure;
use crate::proxy::session::Session;
use crate::runtime::is_shortage;
use crate::transport::{BodyBroken, Broken, Data, Pace, Piece, RateFloor, ReadError, Sink, Source, move_body};
use crate::wire::fault::BodyFault;
use crate::wire::framing::BodyFraming;

/// How far an upload is; read by the other half of the exchange while the upload runs.
#[derive(Default)]
pub struct Progress {
    body_taken: Cell<bool>,
    whole: Cell<bool>,
    ended_at: Cell<Option<Instant>>,
    /// Of an exchange that became a dialogue: when bytes last came from either side.
    spoken_at: Cell<Option<Instant>>,
}

impl Progress {
    /// Whether bytes of the body have been taken from the client: the request cannot be sent a second time.
    pub fn is_body_taken(&self) -> bool {
        self.body_taken.get()
    }

    /// Whether the whole request has been sent.
    pub fn is_whole(&self) -> bool {
        self.whole.get()
    }

    /// Takes note that the answer has begun. If the request goes on and nobody has said how long it will be, the exchange
    /// is a dialogue from here on: who is silent may be waiting for the other, as calls of gRPC do that stream both ways.
    /// The silence of one side then counts for nothing, and that of both ends it as it ends a tunnel.
    pub fn note_answer(&self, framing: BodyFraming, now: Instant) {
        if framing == BodyFraming::Chunked && self.ended_at.get().is_none() {
            self.spoken_at.set(Some(now));
        }
    }

    /// Takes note that bytes of a body have come.
    pub fn note_piece(&self, now: Instant) {
        if self.spoken_at.get().is_some() {
            self.spoken_at.set(Some(now));
        }
    }

    /// Since when both sides of a dialogue have been silent. `None` before it has become one, and when its request ends.
    pub fn silent_since(&self) -> Option<Instant> {
        self.spoken_at.get().filter(|_| self.ended_at.get().is_none())
    }

    /// When the last byte was sent that the instance took.
    pub fn ended_at(&self) -> Option<Instant> {
        self.ended_at.get()
    }
}

/// Sends one request; its head is pending in the sink.
pub struct Upload<'a> {
    session: &'a Session,
    progress: &'a Progress,
    is_length_known: bool,
    /// How long the client was waited for in all.
    waited: Cell<Duration>,
}

/// Why a request was not sent whole.
enum Interrupted {
    /// The exchange is over.
    Failed(Reason),
    /// The instance takes no more. Its answer may be there all the same.
    NotTaken,
}

impl<'a> Upload<'a> {
    /// An upload that has not begun, of a body whose client has said how long it is or has not.
    pub fn new(session: &'a Session, progress: &'a Progress, is_length_known: bool) -> Upload<'a> {
        Upload { session, progress, is_length_known, waited: Cell::default() }
    }

    /// Sends head and body, then watches the client's connection for as long as it is polled. Ends only when the
    /// exchange cannot go on.
    pub async fn run(self, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Reason {
        let sent = self.send(source, sink).await;
        self.progress.whole.set(sent.is_ok());
        self.progress.ended_at.set(Some(self.session.now()));
        match sent {
            Ok(()) => match source.broken().await {
                error if is_shortage(&error) => Reason::BufferShortage,
                _ => Reason::ClientClosed,
            },
            Err(Interrupted::Failed(reason)) => reason,
            Err(Interrupted::NotTaken) => pending().await,
        }
    }

    async fn send(&self, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<(), Interrupted> {
        loop {
            let at_hand = source.piece_at_hand().map_err(|error| of_body(&error))?;
            let piece = match at_hand {
                Some(piece) => piece,
                None => {
                    // The instance gets the head, or what came before, while the client is waited for.
                    self.taken(pin!(sink.flush())).await?;
                    match self.move_rest(source, sink).await? {
                        true => Piece::End,
                        false => self.next_piece(source).await?,
                    }
                }
            };
            match piece {
                Piece::Data(piece) => self.send_piece(source, sink, piece).await?,
                Piece::End => return self.taken(pin!(sink.conclude(source.trailers()))).await,
            }
        }
    }

    async fn send_piece(&self, source: &Source<'_>, sink: &mut Sink<'_>, piece: Data) -> Result<(), Interrupted> {
        self.progress.body_taken.set(true);
        self.taken(pin!(sink.send_piece(piece, source.is_finished()))).await
    }

    async fn move_rest(&self, source: &mut Source<'_>, sink: &mut Sink<'_>) -> Result<bool, Interrupted> {
        // What has moved is gone, also when it is given up half-way because the instance has gone.
        let taken = self.progress.body_taken.replace(true);
        let may_splice = self.session.core.may_splice;
        let pace = Pace { silence: self.session.client_body_timeout(), floor: self.rate_floor(source) };
        match move_body(source, sink, may_splice, pace).await {
            Ok(moved) => {
                self.progress.body_taken.set(taken || moved);
                Ok(moved)
            }
            Err(BodyBroken::Side(Broken::Source(_))) => Err(Interrupted::Failed(Reason::RequestTruncated)),
            Err(BodyBroken::Side(Broken::Sink(_))) => Err(Interrupted::NotTaken),
            Err(BodyBroken::SourceIdle) => Err(Interrupted::Failed(Reason::ClientBodyTimeout)),
            Err(BodyBroken::SourceSlow) => Err(Interrupted::Failed(Reason::ClientBodySlow)),
            Err(BodyBroken::SinkIdle) => Err(Interrupted::Failed(Reason::BackendSendTimeout)),
        }
    }

    async fn next_piece(&self, source: &mut Source<'_>) -> Result<Piece, Interrupted> {
        let (session, waiting_since) = (self.session, self.session.now());
        let silence = session.client_body_timeout();
        let left = self.rate_floor(source).map_or(Duration::MAX, |floor| floor.grace);
        loop {
            let began = session.now();
            // The answer may begin, or go on, while the client is waited for.
            let (until, reason) = match self.progress.silent_since() {
                Some(since) => (since + session.tunnel_timeout(), Reason::TunnelTimeout),
                None if left < silence => (waiting_since + left, Reason::ClientBodySlow),
                None => (waiting_since + silence, Reason::ClientBodyTimeout),
            };
            if until <= began {
                return Err(Interrupted::Failed(reason));
            }
            let read = session.core.io.within(until, pin!(source.next_piece())).await;
            self.waited.set(self.waited.get() + session.now().since(began));
            if let Ok(read) = read {
                self.progress.note_piece(session.now());
                return read.map_err(|error| of_body(&error));
            }
        }
    }

    /// What of the body has to come from here on: its grace is how long the client may be waited for, which is as long as
    /// it may be silent and as what it has sent may take, less what it was waited for before. `None`: silence alone counts.
    fn rate_floor(&self, source: &Source<'_>) -> Option<RateFloor> {
        // A stream without a length may be a conversation, in which the client speaks when it has something to say.
        let may_be_conversation = matches!(source, Source::Http2(_)) && !self.is_length_known;
        let rate = self.session.client_body_minimum_rate().filter(|_| !may_be_conversation)?;
        let whole = RateFloor { grace: self.session.client_body_timeout(), bytes_per_second: rate };
        let grace = whole.time_for(source.body_bytes()).saturating_sub(self.waited.get());
        Some(RateFloor { grace, bytes_per_second: rate })
    }

    async fn taken(&self, sending: Pin<&mut impl Future<Output = io::Result<()>>>) -> Result<(), Interrupted> {
        let deadline = self.session.now() + self.session.idle_timeout();
        match self.session.core.io.within(deadline, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_shortage(&error) => Err(Interrupted::Failed(Reason::BufferShortage)),
            Ok(Err(_)) => Err(Interrupted::NotTaken),
            Err(_elapsed) => Err(Interrupted::Failed(Reason::BackendSendTimeout)),
        }
    }
}

fn of_body(error: &ReadError<BodyFault>) -> Interrupted {
    Interrupted::Failed(match error {
        ReadError::Fault(fault) => failure::of_request_body(fault),
        ReadError::Closed { .. } | ReadError::Broken(_) => Reason::RequestTruncated,
    })
}
