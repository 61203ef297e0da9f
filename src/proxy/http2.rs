//! An HTTP/2 client's connection: one task drives it, and one serves each of its streams (RFC 9113).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::base::Instant;
use crate::model::Reason;
use crate::proxy::account::{self, Account};
use crate::proxy::core::Heads;
use crate::proxy::exchange::{Client, Ended, Exchange, Tunnel};
use crate::proxy::failure::{self, OwnFields};
use crate::proxy::naming;
use crate::proxy::session::Session;
use crate::proxy::tunnel;
use crate::runtime::{Either, Io, Sleep, race};
use crate::telemetry::{AnswerSource, RequestId};
use crate::transport::{
    Http2Ended, Http2Request, Http2Server, Http2Stream, Http2Writer, Receiver, Sender, Sink, Source, linger,
};
use crate::wire::connection::Persistence;
use crate::wire::desync::Action;

/// How long a connection without streams is left open when the node drains, because requests may be on their way; and how
/// long a client may take to hear the last word.
const PARTING_GRACE: Duration = Duration::from_secs(1);

/// Starts to serve a connection on which `early` has been received.
pub fn start(session: Session, halves: (Receiver, Sender), early: Bytes) {
    let io = session.core.io.clone();
    let now = io.now();
    let server = Http2Server::new(halves, early, &session.request_limits());
    let streams = Rc::new(Streams { open: Cell::new(0), changed_at: Cell::new(now), driver: RefCell::default() });
    let deadline = io.sleep_until(now);
    io.spawn(Front { session: Rc::new(session), server, streams, deadline, carried: 0, parting: Parting::No }.serve());
}

/// The connection.
struct Front {
    session: Rc<Session>,
    server: Http2Server,
    streams: Rc<Streams>,
    deadline: Sleep,
    carried: u64,
    parting: Parting,
}

/// How far the connection is on its way out.
#[derive(Clone, Copy)]
enum Parting {
    No,
    /// The client has been asked to make its next requests elsewhere.
    Asked {
        since: Instant,
    },
    /// The client has been told that this is the end.
    Told {
        since: Instant,
    },
}

/// What has not happened in its time.
#[derive(Clone, Copy)]
enum Overdue {
    /// A request, with none being served.
    Request,
    /// The rest of a request's head, or of the client's preface.
    Head,
    /// That the client takes what is sent.
    Taking,
    /// That the client takes the last word.
    Parting,
}

impl Front {
    async fn serve(mut self) {
        let ended = poll_fn(|context| self.poll_ended(context)).await;
        self.count_bytes();
        match ended {
            Http2Ended::Flooded => account::close_failed(&self.session.party(), Reason::FrameFlood),
            Http2Ended::Malformed => account::close_failed(&self.session.party(), Reason::FramesMalformed),
            Http2Ended::Starving => account::close_failed(&self.session.party(), Reason::BufferShortage),
            Http2Ended::Agreed | Http2Ended::Broken => {}
        }
        // They see that their connection is gone.
        poll_fn(|context| self.streams.poll_empty(context)).await;
        let may_linger = !matches!(ended, Http2Ended::Broken | Http2Ended::Starving);
        let halves = self.server.into_halves().filter(|_| may_linger);
        if let Some((receiver, sender)) = halves {
            linger(receiver, sender).await;
        }
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Http2Ended> {
        loop {
            while let Poll::Ready(polled) = self.server.poll_request(context) {
                match polled {
                    Ok(request) => self.begin_stream(request),
                    Err(ended) => return Poll::Ready(ended),
                }
            }
            self.count_bytes();
            if self.begin_parting() {
                continue;
            }
            let is_empty = self.streams.poll_empty(context).is_ready();
            let Some((until, overdue)) = self.next_deadline(is_empty) else { return Poll::Pending };
            self.deadline.reset(until);
            if Pin::new(&mut self.deadline).poll(context).is_pending() {
                return Poll::Pending;
            }
            if let Some(ended) = self.give_up(overdue) {
                return Poll::Ready(ended);
            }
        }
    }

    /// Reads the head of a request here, where it is at hand, so that its stream's task carries none of it but the result.
    fn begin_stream(&mut self, request: Http2Request) {
        self.carried += 1;
        let session = self.session.for_stream();
        let mut heads = session.core.take_heads();
        heads.account = Account::new(session.now());
        let read = request.read_head(&session.request_limits(), &mut heads.request);
        let refused = read.err().map(|fault| failure::of_request_head(&fault));
        let stream = request.into_stream();
        let open = OpenStream::new(&self.streams, &self.session.core.io);
        self.session.core.io.spawn_in_place(|| serve_stream(session, heads, refused, stream, open));
    }

    /// Asks the client to go elsewhere once the node drains or the connection has carried all it may.
    fn begin_parting(&mut self) -> bool {
        let is_due = self.session.is_leaving() || self.carried >= self.session.requests_per_connection();
        let begins = is_due && matches!(self.parting, Parting::No) && !self.server.is_greeting();
        if begins {
            self.server.finish();
            self.parting = Parting::Asked { since: self.session.now() };
        }
        begins
    }

    /// What has to happen next, and until when. An answer's deadlines are its stream's business.
    fn next_deadline(&self, is_empty: bool) -> Option<(Instant, Overdue)> {
        let session = &self.session;
        if let Parting::Told { since } = self.parting {
            return Some((since + PARTING_GRACE, Overdue::Parting));
        }
        let quiet_since = self.streams.changed_at.get();
        let head_since = match self.server.is_greeting() {
            true => Some(quiet_since),
            false => self.server.head_since(),
        };
        let head = head_since.map(|since| (since + session.client_header_timeout(), Overdue::Head));
        let taking = self.server.sending_since().map(|since| (since + session.idle_timeout(), Overdue::Taking));
        let request = is_empty.then(|| {
            let until = quiet_since + session.idle_timeout();
            match self.parting {
                Parting::Asked { since } => (until.min(since.max(quiet_since) + self.grace()), Overdue::Request),
                _ => (until, Overdue::Request),
            }
        });
        [head, taking, request].into_iter().flatten().min_by_key(|(until, _)| *until)
    }

    /// How long a connection that takes no more requests is left open without streams. When the node drains, clients who
    /// are not answered may have sent one just now. One that has carried all it may ends with its last answer: clients
    /// that ask one by one then see at once that they need another.
    fn grace(&self) -> Duration {
        if self.session.is_leaving() { PARTING_GRACE } else { Duration::ZERO }
    }

    /// Ends the connection because of something overdue: at once, or by telling the client.
    fn give_up(&mut self, overdue: Overdue) -> Option<Http2Ended> {
        match overdue {
            Overdue::Request => {
                self.server.close();
                self.parting = Parting::Told { since: self.session.now() };
                return None;
            }
            Overdue::Head => account::close_failed(&self.session.party(), Reason::ClientHeaderTimeout),
            Overdue::Taking => account::close_failed(&self.session.party(), Reason::ClientSendTimeout),
            Overdue::Parting => {}
        }
        self.server.abort();
        Some(Http2Ended::Broken)
    }

    fn count_bytes(&mut self) {
        let (received, sent) = self.server.take_counts();
        let cells = self.session.cells();
        cells.received_bytes.add(received);
        cells.sent_bytes.add(sent);
    }
}

/// The streams of one connection, as far as its driver has to know of them.
struct Streams {
    open: Cell<usize>,
    /// When the last one ended, at first when the connection began.
    changed_at: Cell<Instant>,
    driver: RefCell<Option<Waker>>,
}

impl Streams {
    /// Waits until there is none.
    fn poll_empty(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.open.get() == 0 {
            return Poll::Ready(());
        }
        self.driver.borrow_mut().get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
        Poll::Pending
    }
}

/// A stream that is being served.
struct OpenStream {
    streams: Rc<Streams>,
    io: Io,
}

impl OpenStream {
    fn new(streams: &Rc<Streams>, io: &Io) -> OpenStream {
        streams.open.set(streams.open.get() + 1);
        OpenStream { streams: streams.clone(), io: io.clone() }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let left = self.streams.open.get() - 1;
        self.streams.open.set(left);
        if left == 0 {
            self.streams.changed_at.set(self.io.now());
            self.streams.driver.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Serves one request. When the client gives it up, what was done for it is dropped at once.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its arguments twice")]
fn serve_stream(
    session: Session,
    mut heads: Box<Heads>,
    refused: Option<Reason>,
    mut stream: Http2Stream,
    open: OpenStream,
) -> impl Future<Output = ()> {
    async move {
        let ended = match refused {
            None => carry(&session, &mut stream, &mut heads).await,
            Some(reason) => {
                heads.account.id = naming::name(&heads.request, &session.core).0;
                Ended::Refused(reason)
            }
        };
        let ended = match ended {
            Ended::Cut(reason) if heads.account.backend_status != 0 => Ended::Cut(failure::while_answering(reason)),
            ended => ended,
        };
        session.cells().request_duration.record(session.now().since(heads.account.began));
        heads.account.received_bytes = stream.reader.body_bytes();
        if let Ended::Refused(reason) | Ended::Cut(reason) = &ended {
            heads.account.failed = Some(*reason);
        }
        heads.account.close_request(&session, &heads.request);
        let id = heads.account.id;
        heads.request.clear();
        heads.response.clear();
        session.core.give_back_heads(heads);
        match ended {
            Ended::Answered(_) => stream.note_answer(),
            Ended::Refused(reason) => refuse(&session, &mut stream.writer, reason, id),
            Ended::Cut(reason) => {
                session.count_failure(reason);
                stream.writer.reset();
            }
            Ended::Switched(tunnel) => {
                let Tunnel { mut instance, choice } = *tunnel;
                let silence = tunnel::Silence { limit: session.tunnel_timeout(), reason: Reason::TunnelTimeout };
                let client = tunnel::Side::Stream(&mut stream.reader, &mut stream.writer);
                Box::pin(tunnel::run_streams(&session, client, instance.side(), &choice, silence)).await;
            }
        }
        drop(open);
    }
}

async fn carry(session: &Session, stream: &mut Http2Stream, heads: &mut Heads) -> Ended {
    let (id, traces) = naming::name(&heads.request, &session.core);
    heads.account.id = id;
    let action = session.judge(&heads.request);
    if action == Action::Block {
        return Ended::Refused(Reason::DesyncBlocked);
    }
    if let Err(reason) = session.may_request() {
        return Ended::Refused(reason);
    }
    let Http2Stream { reader, writer } = stream;
    let cancellation = writer.cancellation();
    let mut exchange = Exchange {
        session,
        request: &heads.request,
        response: &mut heads.response,
        persistence: Persistence::KeepAlive,
        // Every request names its host.
        node: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        has_waited: false,
        is_doubtful: action == Action::AllowAndClose,
        expects_continue: heads.request.expects_continue(),
        traces,
        account: &mut heads.account,
    };
    let source = if heads.request.is_opening() { Source::Opening } else { Source::Http2(reader) };
    let mut client = Client { source, sink: Sink::Http2(writer) };
    // Pinned where they are: an exchange is too large to be moved about.
    match race(pin!(cancellation.wait()), pin!(exchange.run(&mut client))).await {
        Either::First(()) => Ended::Cut(Reason::ClientClosed),
        Either::Second(ended) => ended,
    }
}

/// Answers for Elbow itself. What is left of the request is not waited for: the client is told to stop sending.
fn refuse(session: &Session, writer: &mut Http2Writer, reason: Reason, id: RequestId) {
    session.count_failure(reason);
    match failure::answer(reason) {
        Some(answer) => {
            session.count_answer(answer.status(), AnswerSource::Elbow);
            // It fails when the client has gone.
            let _ = writer.send_empty(answer.status(), OwnFields::new(session, id, reason).iter());
        }
        None => writer.reset(),
    }
}
