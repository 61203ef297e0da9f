//! An HTTP/1 client's connection: request after request until one side wants no more (RFC 9112 section 9).

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::base::Instant;
use crate::model::Reason;
use crate::proxy::account::Account;
use crate::proxy::carrier::Switched;
use crate::proxy::core::Heads;
use crate::proxy::exchange::{Client, Ended, Exchange, Tunnel};
use crate::proxy::failure::{self, OwnFields};
use crate::proxy::session::Session;
use crate::proxy::{http2, naming, tunnel};
use crate::telemetry::AnswerSource;
use crate::transport::{Http1Reader, Http1Writer, ReadError, Receiver, Sender, Sink, Source, close, linger};
use crate::wire::answer::Answer;
use crate::wire::connection::Persistence;
use crate::wire::desync::{self, Action};
use crate::wire::fault::RequestFault;
use crate::wire::forward::Scheme;
use crate::wire::framing::BodyFraming;
use crate::wire::head::RequestHead;

/// How long an idle connection is left open for one more request when the node drains: the client may just be sending it.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// The first line that an HTTP/2 client says (RFC 9113 section 3.4).
const PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Serves one connection to its end: alternates between waiting and serving. What a request needs lives in a box that
/// goes with it, so that an idle connection stays small.
pub fn serve(session: Session, (receiver, sender): (Receiver, Sender)) -> impl Future<Output = ()> {
    let reader = Http1Reader::new(receiver);
    let writer = Http1Writer::new(sender);
    let mut front = Front { session, reader, writer, carried: 0 };
    // A block and not an `async fn`, which would keep its arguments twice.
    async move {
        let mut idle_since = front.session.now();
        let parting = loop {
            match front.wait(idle_since).await {
                Wake::Request => match Box::pin(front.serve_requests()).await {
                    Next::Wait => idle_since = front.session.now(),
                    Next::Part(parting) => break parting,
                },
                Wake::Part => break Parting::Close,
            }
        };
        Box::pin(front.part(parting)).await;
    }
}

/// Why there is no request head.
enum Unread {
    Refused(Reason),
    /// The client begins as HTTP/2 clients do that know the server to speak it; this is what it has said.
    Http2(Bytes),
}

/// The connection and how many requests it has carried.
struct Front {
    session: Session,
    reader: Http1Reader,
    writer: Http1Writer,
    carried: u32,
}

/// Why an idle connection woke.
enum Wake {
    Request,
    Part,
}

/// What follows after the requests at hand.
enum Next {
    Wait,
    Part(Parting),
}

/// How a connection ends.
enum Parting {
    /// Both sides know: nothing is lost by a plain close.
    Close,
    /// The client may still be sending.
    Linger,
    /// An answer was cut: the client shall not take it for a whole one.
    Reset,
    /// Both connections carry another protocol.
    Tunnel(Box<Tunnel>),
    /// The client speaks HTTP/2; this is what it has said.
    Http2(Bytes),
}

impl Front {
    async fn part(mut self, parting: Parting) {
        self.count_bytes();
        match parting {
            Parting::Close => close(self.writer.into_sender()).await,
            Parting::Linger => linger(self.reader.into_receiver(), self.writer.into_sender()).await,
            Parting::Reset => self.writer.socket().reset_on_close(),
            Parting::Tunnel(tunnel) => self.tunnel(*tunnel).await,
            Parting::Http2(said) => {
                let halves = (self.reader.into_receiver(), self.writer.into_sender());
                http2::start(self.session, halves, said);
            }
        }
    }

    /// Waits for the first byte of a request. When the node stops, or the listener has gone, it waits but for one that
    /// the client may just be sending.
    ///
    /// Not an `async fn`, whose state would hold twice what an idle connection waits with.
    fn wait(&mut self, idle_since: Instant) -> impl Future<Output = Wake> {
        let Front { session, reader, .. } = self;
        let idle_until = idle_since + session.idle_timeout();
        let mut deadline = session.core.io.sleep_until(idle_until);
        let mut is_leaving = false;
        poll_fn(move |context| {
            if let Poll::Ready(arrived) = reader.poll_wait(context) {
                return Poll::Ready(if matches!(arrived, Ok(true)) { Wake::Request } else { Wake::Part });
            }
            if !is_leaving && session.is_leaving() {
                is_leaving = true;
                let since = session.core.draining_since().unwrap_or_else(|| session.now());
                deadline.reset((since + DRAIN_GRACE).min(idle_until));
            }
            Pin::new(&mut deadline).poll(context).map(|()| Wake::Part)
        })
    }

    /// Serves requests for as long as the next one is at hand.
    async fn serve_requests(&mut self) -> Next {
        let mut heads = self.session.core.take_heads();
        self.writer.lend_memory(std::mem::take(&mut heads.memory));
        let next = loop {
            let next = self.serve_request(&mut heads).await;
            self.count_bytes();
            match next {
                Next::Wait if self.reader.has_unread() => self.session.core.io.give_way().await,
                next => break next,
            }
        };
        heads.memory = self.writer.take_memory();
        self.session.core.give_back_heads(heads);
        next
    }

    async fn serve_request(&mut self, heads: &mut Heads) -> Next {
        heads.account = Account::new(self.session.now());
        self.session.refresh();
        let next = self.carry_request(heads).await;
        // The preface of another protocol is no request.
        if !matches!(next, Next::Part(Parting::Http2(_))) {
            heads.account.received_bytes = self.reader.body_bytes();
            heads.account.close_request(&self.session, &heads.request);
        }
        next
    }

    async fn carry_request(&mut self, heads: &mut Heads) -> Next {
        let began = heads.account.began;
        if let Err(unread) = self.read_head(heads, began).await {
            // The memory goes to another client: it must not go on where this head stopped.
            heads.request.clear();
            self.reader.begin_body(BodyFraming::None);
            return match unread {
                Unread::Refused(reason) => {
                    heads.account.id = self.session.core.own_id();
                    self.refuse(reason, Persistence::Close, &mut heads.account).await
                }
                Unread::Http2(said) => Next::Part(Parting::Http2(said)),
            };
        }
        let (id, traces) = naming::name(&heads.request, &self.session.core);
        heads.account.id = id;
        self.carried = self.carried.saturating_add(1);
        let action = self.session.judge(&heads.request);
        if action == Action::Block {
            return self.refuse(Reason::DesyncBlocked, Persistence::Close, &mut heads.account).await;
        }
        let wanted = heads.request.persistence();
        let goes_on = self.may_carry_more() && action == Action::Allow;
        let persistence = if goes_on { wanted } else { Persistence::Close };
        self.reader.begin_body(heads.request.framing());
        if let Err(reason) = self.session.may_request() {
            return self.refuse(reason, persistence, &mut heads.account).await;
        }
        let mut exchange = Exchange {
            session: &self.session,
            request: &heads.request,
            response: &mut heads.response,
            persistence,
            node: self.node(&heads.request),
            has_waited: false,
            is_doubtful: action == Action::AllowAndClose,
            expects_continue: heads.request.expects_continue(),
            traces,
            account: &mut heads.account,
        };
        let (source, sink) = (Source::Http1(&mut self.reader), Sink::Http1(&mut self.writer));
        let mut client = Client { source, sink };
        let ended = exchange.run(&mut client).await;
        self.session.cells().request_duration.record(self.session.now().since(began));
        match ended {
            Ended::Answered(Persistence::KeepAlive) if self.reader.is_body_ended() => Next::Wait,
            // The client has said that this was its last request, and all of it has been read: nothing can be lost.
            Ended::Answered(_)
                if wanted == Persistence::Close && self.reader.is_body_ended() && !self.reader.has_unread() =>
            {
                Next::Part(Parting::Close)
            }
            Ended::Answered(_) => Next::Part(Parting::Linger),
            Ended::Switched(tunnel) => Next::Part(Parting::Tunnel(tunnel)),
            Ended::Refused(reason) => self.refuse(reason, persistence, &mut heads.account).await,
            Ended::Cut(reason) => {
                heads.account.failed = Some(reason);
                self.session.count_failure(reason);
                Next::Part(Parting::Reset)
            }
        }
    }

    async fn read_head(&mut self, heads: &mut Heads, began: Instant) -> Result<(), Unread> {
        let limits = self.session.request_limits();
        // Inside TLS the protocol has been agreed on (RFC 9113 section 3.3).
        let may_be_http2 = self.carried == 0 && self.session.scheme() == Scheme::Http;
        let mut said = None;
        let session = &self.session;
        let reading = self.reader.read_head(|bytes| {
            heads.request.parse(bytes, &limits).map_err(|fault| {
                match may_be_http2 && fault == RequestFault::Version && bytes.starts_with(PREFACE_LINE) {
                    true => said = Some(Bytes::copy_from_slice(bytes)),
                    false => session.count_class(desync::of_bytes(bytes).class()),
                }
                failure::of_request(bytes, &fault)
            })
        });
        let deadline = began + self.session.client_header_timeout();
        let read = self.session.core.io.within(deadline, pin!(reading)).await;
        match (read, said) {
            (Ok(Ok(())), _) => Ok(()),
            (Ok(Err(ReadError::Fault(_))), Some(said)) => Err(Unread::Http2(said)),
            (Ok(Err(ReadError::Fault(reason))), None) => Err(Unread::Refused(reason)),
            (Ok(Err(ReadError::Closed { .. } | ReadError::Broken(_))), _) => {
                Err(Unread::Refused(Reason::ClientClosedInHead))
            }
            (Err(_elapsed), _) => Err(Unread::Refused(Reason::ClientHeaderTimeout)),
        }
    }

    /// The address that the client connected to; asked of the kernel only for a request that names no host.
    fn node(&self, request: &RequestHead) -> IpAddr {
        let unnamed = request.host().is_none();
        let local = unnamed.then(|| self.writer.socket().local_address().ok()).flatten();
        local.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
    }

    fn may_carry_more(&self) -> bool {
        !self.session.is_leaving() && u64::from(self.carried) < self.session.requests_per_connection()
    }

    /// Answers for Elbow itself. The connection goes on only when the whole request has been read.
    async fn refuse(&mut self, reason: Reason, persistence: Persistence, account: &mut Account) -> Next {
        account.failed = Some(reason);
        self.session.count_failure(reason);
        let Some(answer) = failure::answer(reason) else { return Next::Part(Parting::Reset) };
        let persistence = match self.reader.is_body_ended() {
            true => persistence,
            false => Persistence::Close,
        };
        let fields = OwnFields::new(&self.session, account.id, reason);
        if self.send_answer(answer, persistence, &fields).await.is_err() {
            return Next::Part(Parting::Reset);
        }
        match persistence {
            Persistence::KeepAlive => Next::Wait,
            Persistence::Close => Next::Part(Parting::Linger),
        }
    }

    async fn send_answer(
        &mut self,
        answer: Answer,
        persistence: Persistence,
        fields: &OwnFields,
    ) -> Result<(), Reason> {
        self.session.count_answer(answer.status(), AnswerSource::Elbow);
        let bytes = answer.bytes_with(persistence, fields.iter());
        self.session.client_takes(pin!(self.writer.send_message(bytes))).await
    }

    fn count_bytes(&mut self) {
        let cells = self.session.cells();
        cells.received_bytes.add(self.reader.receiver().take_received());
        cells.sent_bytes.add(self.writer.sender().take_sent());
    }

    /// Carries the switched protocol until both sides have ended it.
    async fn tunnel(mut self, tunnel: Tunnel) {
        let Tunnel { instance, choice } = tunnel;
        let early = self.reader.take_unread();
        let mut client = tunnel::End::of((self.reader.into_receiver(), self.writer.into_sender()), early);
        let silence = tunnel::Silence { limit: self.session.tunnel_timeout(), reason: Reason::TunnelTimeout };
        let mut account = Account::new(self.session.now());
        account.id = self.session.core.own_id();
        account.note_choice(choice.address(), self.session.now());
        let carried = match instance {
            Switched::Connection(instance) => tunnel::run(&self.session, client, instance, &choice, silence).await,
            mut stream => {
                let client = tunnel::Side::Connection(&mut client);
                Box::pin(tunnel::run_streams(&self.session, client, stream.side(), &choice, silence)).await
            }
        };
        // Its request has had its line; there is more to say only of an end that nobody wanted.
        if carried.failed.is_some() {
            account.note_carried(&carried);
            account.close_connection(&self.session.party());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_size<A, B, F: Future>(_flow: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // Allocators give memory in steps; this is one, and the next is a fifth more for everybody who is idle.
        let size = future_size(serve);
        assert!(size <= 320, "{size} bytes");
    }
}
