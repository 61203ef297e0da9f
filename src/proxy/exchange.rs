//! One request and its answer, between any client and an instance.
//!
//! Choose an instance, send the request, wait for the head of the answer, relay its body. What fails before the answer
//! has begun is tried again where that is safe, on another instance or a fresh connection to the same; what fails later
//! is cut.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use crate::balance::{Lost, Retry};
use crate::model::Reason;
use crate::proxy::account::{Account, Attempt};
use crate::proxy::affinity::Affinity;
use crate::proxy::backend::Backend;
use crate::proxy::carrier::{Answers, Carrier, Switched, Way};
use crate::proxy::download::{Download, Downloaded};
use crate::proxy::failure;
use crate::proxy::naming::Traces;
use crate::proxy::session::Session;
use crate::proxy::upload::{Progress, Upload};
use crate::proxy::upstream::{Choice, Search};
use crate::runtime::{Either, is_shortage, race};
use crate::telemetry::AnswerSource;
use crate::tls::ApplicationProtocol;
use crate::transport::{Http2Client, Http2Place, Sink, Source};
use crate::wire::connection::Persistence;
use crate::wire::forward::{Additions, Expectation, RequestForward};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Reply, RequestHead, ResponseHead};
use crate::wire::websocket;

/// The field that tells client and instance what the request is called.
pub const REQUEST_ID: &[u8] = b"X-Request-Id";

/// Interim answers (RFC 9110 section 15.2) before the one that answers. A server that works for long says 102 every
/// twenty seconds (RFC 2518 section 10.1), and 103 comes a few times; without a limit an instance could keep a client
/// busy for ever.
const INTERIM_ANSWERS_MAX: usize = 32;

/// How an exchange ended.
pub enum Ended {
    /// The answer was sent whole; the client's connection may go on or not.
    Answered(Persistence),
    /// Both connections carry another protocol from here on.
    Switched(Box<Tunnel>),
    /// Nothing of an answer was sent.
    Refused(Reason),
    /// The answer was cut.
    Cut(Reason),
}

/// What is left when the protocol was switched.
pub struct Tunnel {
    /// The way to the instance.
    pub instance: Switched,
    /// The instance, counted as busy until this is dropped.
    pub choice: Choice,
}

/// The client's side of an exchange.
pub struct Client<'a> {
    /// Where its request comes from; the head has been read.
    pub source: Source<'a>,
    /// Where its answer goes.
    pub sink: Sink<'a>,
}

/// The request that an exchange carries.
pub struct Exchange<'a> {
    /// The client's connection.
    pub session: &'a Session,
    /// What it asks.
    pub request: &'a RequestHead,
    /// Memory for what it is answered.
    pub response: &'a mut ResponseHead,
    /// The node stops or the connection has carried all it may: tell the client to close.
    pub persistence: Persistence,
    /// The address that the client connected to, for requests that name no host.
    pub node: IpAddr,
    /// An instance has had its whole time for the answer already.
    pub has_waited: bool,
    /// The instance may read another request out of it than we do: its connection carries no other afterwards.
    pub is_doubtful: bool,
    /// The client waits to be told to send its body.
    pub expects_continue: bool,
    /// The traces that it is part of.
    pub traces: Traces,
    /// What becomes of it.
    pub account: &'a mut Account,
}

impl Exchange<'_> {
    /// Carries the request until it is answered or cannot be.
    pub async fn run(&mut self, client: &mut Client<'_>) -> Ended {
        let mut search = Search::new(self.session);
        let mut fresh_only = false;
        let affinity = self.session.entry.stickiness.as_ref().map(|sticky| Affinity::of(sticky, self.request));
        let mut bound_to = affinity.as_ref().and_then(Affinity::bound_to);
        loop {
            let choice = match search.choose(bound_to.take(), left_in_queue(&mut client.source)).await {
                Ok(choice) => choice,
                Err(reason) => return Ended::Refused(reason),
            };
            self.account.note_choice(choice.address(), self.session.now());
            let (way, kept) = match self.connect(&choice, fresh_only).await {
                Ok(connected) => connected,
                Err(reason) => {
                    self.account.note_failure(reason, self.session.now());
                    match search.lost(choice, reason, failure::lost_in_connecting(reason)) {
                        Some(_) => {
                            self.session.count_failure(reason);
                            continue;
                        }
                        None => return Ended::Refused(reason),
                    }
                }
            };
            self.account.note_connection(kept, self.session.now());
            let progress = Progress::default();
            let reason = match self.attempt(way, &choice, &progress, client, affinity.as_ref()).await {
                Ok(Attempted::Answered(persistence)) => return Ended::Answered(persistence),
                Ok(Attempted::Switched(instance)) => return Ended::Switched(Box::new(Tunnel { instance, choice })),
                Ok(Attempted::Cut(reason)) => return Ended::Cut(reason),
                Err(reason) => reason,
            };
            self.account.note_failure(reason, self.session.now());
            let lost = self.lost(reason, kept, &progress);
            self.has_waited |= reason == Reason::FirstByteTimeout;
            choice.note_no_answer(self.session, reason, lost);
            match search.lost(choice, reason, lost) {
                Some(Retry::Same | Retry::Any) => fresh_only = true,
                Some(Retry::Elsewhere) => {}
                None => return Ended::Refused(reason),
            }
            self.session.count_failure(reason);
        }
    }

    /// A kept connection to the chosen instance, or a new one. The flag says which.
    async fn connect(&self, choice: &Choice, fresh_only: bool) -> Result<(Way, bool), Reason> {
        if self.session.asks_in_http2() {
            // Boxed: those who ask in HTTP/1.1 do not carry its room.
            return Box::pin(self.join(choice, fresh_only)).await;
        }
        let kept = if fresh_only { None } else { self.session.core.idle.take(choice.target()) };
        if let Some(backend) = kept {
            choice.cells().connections_reused.increment();
            return Ok((Way::Connection(backend), true));
        }
        let halves = choice.dial(self.session).await?;
        Ok((Way::Connection(Box::new(Backend::new(halves))), false))
    }

    /// As [`Exchange::connect`], for a connection that carries other requests too.
    async fn join(&self, choice: &Choice, fresh_only: bool) -> Result<(Way, bool), Reason> {
        let (place, kept) = self.take_place(choice, fresh_only).await?;
        if websocket::is_opening(self.request) {
            let deadline = self.session.now() + self.session.connect_timeout();
            match self.session.core.io.within(deadline, pin!(place.allows_opening())).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return Err(Reason::WebsocketUnsupported),
                Ok(Err(_)) => return Err(Reason::BackendClosedEarly),
                Err(_elapsed) => return Err(Reason::ConnectTimeout),
            }
        }
        Ok((Way::Shared(place), kept))
    }

    async fn take_place(&self, choice: &Choice, fresh_only: bool) -> Result<(Http2Place, bool), Reason> {
        let (session, core) = (self.session, &self.session.core);
        let shared = if fresh_only { None } else { core.shared.join(choice.target(), session.now()) };
        if let Some(place) = shared {
            choice.cells().connections_reused.increment();
            return Ok((place, true));
        }
        let halves = choice.dial(session).await?;
        if halves.1.is_secure() && halves.1.application_protocol() != Some(ApplicationProtocol::Http2) {
            return Err(Reason::BackendTlsFailed);
        }
        let begun = Http2Client::begin(halves, &session.response_limits()).await;
        let (client, place, driver) = begun.map_err(|_| Reason::BackendClosedEarly)?;
        core.io.spawn(driver);
        core.shared.put(choice.target(), client, session.now());
        Ok((place, false))
    }

    async fn attempt(
        &mut self,
        way: Way,
        choice: &Choice,
        progress: &Progress,
        client: &mut Client<'_>,
        affinity: Option<&Affinity<'_>>,
    ) -> Result<Attempted, Reason> {
        self.invite_body(client).await?;
        let id = self.account.id;
        let (named, traced) = ([(REQUEST_ID, id.as_bytes())], self.traces.fields(&id));
        let forward = self.forward(traced.as_deref().unwrap_or(&named));
        let mut carrier = way.begin(self.request, &forward, client.sink.take_memory()).await?;
        match self.converse(&mut carrier, choice, progress, client, affinity).await {
            Ok(Conversed::Answered { persistence, reusable }) => {
                if let Some(backend) = carrier.finish().filter(|_| reusable && !self.is_doubtful) {
                    self.session.core.keep(choice.target(), backend);
                }
                Ok(Attempted::Answered(persistence))
            }
            Ok(Conversed::Switched) => {
                Ok(carrier.switch().map_or(Attempted::Cut(Reason::Internal), Attempted::Switched))
            }
            Ok(Conversed::Cut(reason)) => Ok(Attempted::Cut(reason)),
            Err(reason) => {
                if matches!(reason, Reason::FirstByteTimeout | Reason::BackendSendTimeout) {
                    carrier.retire_connection();
                }
                // The next answer must not go on where this one's head stopped.
                self.response.clear();
                Err(reason)
            }
        }
    }

    /// Sends the request and waits for the answer while the rest of it goes out; then relays the answer.
    async fn converse(
        &mut self,
        carrier: &mut Carrier,
        choice: &Choice,
        progress: &Progress,
        client: &mut Client<'_>,
        affinity: Option<&Affinity<'_>>,
    ) -> Result<Conversed, Reason> {
        let session = self.session;
        let id = self.account.id;
        let own = [(REQUEST_ID, id.as_bytes())];
        let Client { source, sink } = client;
        let (mut to_instance, mut answers) = carrier.halves();
        let mut uploading = pin!(Upload::new(session, progress, self.has_known_length()).run(source, &mut to_instance));
        let reply = {
            let answering = pin!(self.read_answer(&mut answers, sink));
            first_byte(session, choice, progress, answering, uploading.as_mut()).await?
        };
        let sent_at = progress.ended_at().unwrap_or_else(|| session.now());
        choice.cells().backend_latency.record(session.now().since(sent_at));
        progress.note_answer(self.request.framing(), session.now());
        self.account.attempt = Some(Attempt { instance: choice.address(), sent_at, answered_at: session.now() });
        self.account.backend_status = self.response.status();
        choice.note_answer(session, self.response.status());
        let bond = affinity.map(|affinity| affinity.bond(choice.live(), self.response)).unwrap_or_default();
        let cookies = bond.fields();
        let additions = Additions { replace: &own, append: &cookies };
        let download = Download::new(session, self.request, self.response).with(additions);
        if self.request.is_opening() && self.is_misleading(reply) {
            return Err(Reason::ResponseMalformed);
        }
        let (framing, body) = match reply {
            Reply::Final(framing) => (framing, answers.into_body(framing)),
            Reply::SwitchingProtocols | Reply::Interim => {
                return Ok(match download.send_head(reply, sink).await {
                    Ok(()) => Conversed::Switched,
                    Err(reason) => Conversed::Cut(reason),
                });
            }
        };
        let Some(mut from_instance) = body else { return Err(Reason::ResponseMalformed) };
        // When the instance answers before it has read all, the rest of the request is not waited for. The node may have
        // begun to drain since the request came.
        let goes_on = progress.is_whole() && !session.is_leaving();
        let persistence = if goes_on { self.persistence } else { Persistence::Close };
        let ended = {
            let downloading = pin!(download.run(framing, persistence, progress, &mut from_instance, sink));
            race(race(downloading, uploading.as_mut()), choice.cut()).await
        };
        self.account.sent_bytes = from_instance.body_bytes();
        match ended {
            Either::First(Either::First(Ok(Downloaded { persistence, reusable }))) => {
                session.count_answer(self.response.status(), AnswerSource::Backend);
                Ok(Conversed::Answered { persistence, reusable: reusable && progress.is_whole() })
            }
            Either::First(Either::First(Err(reason)) | Either::Second(reason)) => {
                Ok(Conversed::Cut(failure::while_answering(reason)))
            }
            Either::Second(()) => Ok(Conversed::Cut(Reason::DrainTimeout)),
        }
    }

    /// Whether the answer would have a client on a stream believe that the protocol it asked for has been opened, which is
    /// what any success says there.
    fn is_misleading(&self, reply: Reply) -> bool {
        match reply {
            Reply::SwitchingProtocols => !websocket::is_accepted(self.request, self.response),
            Reply::Interim | Reply::Final(_) => (200..300).contains(&self.response.status()),
        }
    }

    /// Answers `Expect: 100-continue` itself, as ELB does, unless the body is coming already or has been asked for.
    async fn invite_body(&mut self, client: &mut Client<'_>) -> Result<(), Reason> {
        let expected = std::mem::take(&mut self.expects_continue);
        if !expected || client.source.has_unread() {
            return Ok(());
        }
        self.session.client_takes(pin!(client.sink.send_continue())).await
    }

    /// Reads heads until the one that answers; interim ones are passed on.
    async fn read_answer(&mut self, answers: &mut Answers<'_>, sink: &mut Sink<'_>) -> Result<Reply, Reason> {
        let limits = self.session.response_limits();
        let mut interim = 0;
        loop {
            match answers.read_head(self.request.asked(), &limits, self.response).await? {
                Reply::Interim if interim < INTERIM_ANSWERS_MAX => {
                    interim += 1;
                    // Boxed: most answers have none.
                    Box::pin(self.pass_on_interim(sink)).await?;
                }
                Reply::Interim => return Err(Reason::InterimFlood),
                reply => return Ok(reply),
            }
        }
    }

    /// A 100 that the instance sends although the client has had Elbow's is dropped; other interim answers go on.
    async fn pass_on_interim(&self, sink: &mut Sink<'_>) -> Result<(), Reason> {
        if self.response.status() == 100 {
            return Ok(());
        }
        Download::new(self.session, self.request, self.response).send_head(Reply::Interim, sink).await
    }

    /// Whether its client said beforehand how much it sends.
    fn has_known_length(&self) -> bool {
        matches!(self.request.framing(), BodyFraming::Length(_))
    }

    /// How the request goes on, with our `own` fields in place of the client's.
    fn forward<'a>(&'a self, own: &'a [(&'a [u8], &'a [u8])]) -> RequestForward<'a> {
        RequestForward {
            client: self.session.client().ip(),
            scheme: self.session.scheme(),
            listener_port: self.session.listener_port(),
            node: self.node,
            expectation: Expectation::Answered,
            persistence: Persistence::KeepAlive,
            client_certificate: self.session.client_certificate(),
            additions: Additions { replace: own, append: &[] },
        }
    }

    /// What an attempt lost that ended for `reason` before its answer began.
    fn lost(&self, reason: Reason, kept: bool, progress: &Progress) -> Lost {
        let sent = |kept| Lost::Sent {
            kept,
            idempotent: self.request.method_kind().is_idempotent(),
            repeatable: !progress.is_body_taken(),
        };
        match reason {
            // Safe whatever the method, as long as all of it is still at hand.
            Reason::BackendUnprocessed if !progress.is_body_taken() => Lost::Unsent { kept },
            Reason::BackendClosedEarly | Reason::BackendClosedInHead | Reason::BackendReset => sent(kept),
            // An instance that is frozen or cut off looks like one that is slow. As nginx does, another is asked once
            // when doing it twice is as good as doing it once.
            Reason::FirstByteTimeout if !self.has_waited => sent(false),
            // One that was cut gets no other chance.
            Reason::DrainTimeout => sent(false),
            _ => Lost::Underway,
        }
    }
}

/// How an attempt ended once its answer had begun.
enum Attempted {
    Answered(Persistence),
    Switched(Switched),
    Cut(Reason),
}

/// How a conversation ended once its answer had begun.
enum Conversed {
    Answered { persistence: Persistence, reusable: bool },
    Switched,
    Cut(Reason),
}

/// Waits for the client to break its connection.
async fn left_in_queue(source: &mut Source<'_>) -> Reason {
    match source.broken().await {
        error if is_shortage(&error) => Reason::BufferShortage,
        _ => Reason::ClientClosedInQueue,
    }
}

/// Waits for the head of the answer. The time allowed runs from the end of the request; `uploading` ends only
/// when the client fails.
async fn first_byte(
    session: &Session,
    choice: &Choice,
    progress: &Progress,
    mut answering: Pin<&mut impl Future<Output = Result<Reply, Reason>>>,
    mut uploading: Pin<&mut impl Future<Output = Reason>>,
) -> Result<Reply, Reason> {
    let mut deadline = None;
    poll_fn(|context| {
        if let Poll::Ready(reason) = uploading.as_mut().poll(context) {
            return Poll::Ready(Err(reason));
        }
        if let Poll::Ready(answered) = answering.as_mut().poll(context) {
            return Poll::Ready(answered);
        }
        if choice.is_cut() {
            return Poll::Ready(Err(Reason::DrainTimeout));
        }
        let Some(ended_at) = progress.ended_at() else { return Poll::Pending };
        let until = ended_at + session.first_byte_timeout();
        let sleep = deadline.get_or_insert_with(|| session.core.io.sleep_until(until));
        Pin::new(sleep).poll(context).map(|()| Err(Reason::FirstByteTimeout))
    })
    .await
}
