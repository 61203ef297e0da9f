//! The client's end of an HTTP/2 connection: many requests at once to one server (RFC 9113).
//!
//! One task drives the connection; whoever has taken a place on it sends a request. The connection lives while it has a
//! handle, a place taken or a stream.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};

use crate::transport::http2_heads::{opening, read_agreement, read_answer, request};
use crate::transport::http2_link::{Duplex, Http2Link, Outbound};
use crate::transport::http2_reader::broken;
use crate::transport::{Http2Reader, Http2Writer, Receiver, Sender};
use crate::wire::fault::ResponseFault;
use crate::wire::forward::RequestForward;
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Content, HeadLimits, Method, RequestHead, ResponseHead};
use crate::wire::websocket;

/// Requests at once on one connection, whatever the server allows: what one TCP connection carries well.
const STREAMS: usize = 100;

/// The same before the server has said what it allows: the first request need not wait for that, which takes a way there
/// and back, and any further one might be refused with its body taken.
const STREAMS_UNTOLD: usize = 1;

/// The limit that `h2` has of a server that has not said any: more than a server can say.
const UNTOLD: usize = usize::MAX - 1;

/// Bytes of answers that may be on their way on one stream, and on all of them.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// What small frames may cost, of which `h2` keeps each as if it had 256 bytes, before clients have taken them: a server may
/// fill its window with messages of 32 bytes, and one slow client shall not cost the others their connection.
const SMALL_FRAMES: usize = CONNECTION_WINDOW as usize / 32 * 256;

/// Bytes of a request that may wait to be written on one stream.
const REQUEST_AHEAD: usize = 32 * 1024;

/// A handle to a connection.
pub struct Http2Client {
    requests: SendRequest<Outbound>,
    link: Rc<Http2Link>,
    state: Rc<State>,
}

/// A place on a connection, for one request.
pub struct Http2Place {
    requests: SendRequest<Outbound>,
    link: Rc<Http2Link>,
    open: OpenStream,
}

/// What the driver and the handles tell each other.
#[derive(Default)]
struct State {
    open: Cell<usize>,
    /// What the server has said that it allows.
    told: Cell<Option<usize>>,
    /// Those that wait for its word.
    waiting: RefCell<Vec<Waker>>,
    has_ended: Cell<bool>,
}

/// Drives the connection to its end.
pub struct Http2Driver {
    connection: Connection<Duplex, Outbound>,
    link: Rc<Http2Link>,
    state: Rc<State>,
}

/// One request on its way and its answer.
pub struct Http2Call {
    answer: ResponseFuture,
    /// Of a request that opens a WebSocket: what its client expects to hear of a server that agrees.
    acceptance: Option<String>,
    open: OpenStream,
}

/// Why the head of an answer could not be read.
#[derive(Debug)]
pub enum CallError {
    /// The stream or its connection broke.
    Broken(io::Error),
    /// The server says that it has not begun on the request.
    Unprocessed,
    /// The head is refused.
    Fault(ResponseFault),
}

/// What a head that was read is followed by.
pub enum Answered {
    /// Another head: this one was interim.
    Interim,
    /// The body.
    Final(Http2Reader),
}

impl Http2Client {
    /// Begins to speak on a connection just made; whoever calls drives it from here on and has the first place.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn begin(
        halves: (Receiver, Sender),
        limits: &HeadLimits,
    ) -> io::Result<(Http2Client, Http2Place, Http2Driver)> {
        let link = Http2Link::new(halves, None);
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(UNTOLD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(2 * limits.headers_total as u32)
            .max_send_buffer_size(REQUEST_AHEAD)
            .data_frame_budget(SMALL_FRAMES);
        let stream = Duplex::new(link.clone(), Bytes::new());
        let (requests, connection) = builder.handshake(stream).await.map_err(broken)?;
        let state = Rc::new(State::default());
        let driver = Http2Driver { connection, link: link.clone(), state: state.clone() };
        let client = Http2Client { requests, link, state };
        let place = client.place();
        Ok((client, place, driver))
    }

    /// Takes a place if there is one.
    pub fn join(&self) -> Option<Http2Place> {
        let allowed = self.state.told.get().unwrap_or(STREAMS_UNTOLD).min(STREAMS);
        let has_room = !self.state.has_ended.get() && self.state.open.get() < allowed;
        has_room.then(|| self.place())
    }

    fn place(&self) -> Http2Place {
        Http2Place { requests: self.requests.clone(), link: self.link.clone(), open: OpenStream::new(&self.state) }
    }

    /// Whether no request is on its way.
    pub fn is_idle(&self) -> bool {
        self.state.open.get() == 0
    }

    /// Whether the connection has ended, or takes no more requests.
    pub fn has_ended(&self) -> bool {
        self.state.has_ended.get()
    }
}

impl Http2Place {
    /// Whether the server lets WebSockets be opened on its streams (RFC 8441 section 3). Waits until it has said so or not.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn allows_opening(&self) -> io::Result<bool> {
        poll_fn(|context| self.open.state.poll_told(context)).await?;
        Ok(self.requests.is_extended_connect_protocol_enabled())
    }

    /// Sends a request's head; the body goes to the writer. One that opens a WebSocket, which the server has to allow, is
    /// answered as if that had been asked for by an upgrade; what both then say goes to the writer and comes as a body.
    ///
    /// # Errors
    /// When the connection takes no more requests.
    pub async fn send(
        mut self,
        head: &RequestHead,
        forward: &RequestForward<'_>,
    ) -> io::Result<(Http2Writer, Http2Call)> {
        if let Err(error) = poll_fn(|context| self.requests.poll_ready(context)).await {
            self.open.state.has_ended.set(true);
            return Err(broken(error));
        }
        let acceptance = websocket::acceptance(head).filter(|_| websocket::is_opening(head));
        let is_whole = acceptance.is_none() && matches!(head.framing(), BodyFraming::None | BodyFraming::Length(0));
        let request = if acceptance.is_some() { opening(head, forward) } else { request(head, forward) }?;
        let (answer, stream) = self.requests.send_request(request, is_whole).map_err(broken)?;
        let writer = Http2Writer::of_request(self.link.clone(), stream, is_whole);
        Ok((writer, Http2Call { answer, acceptance, open: self.open }))
    }
}

impl Future for Http2Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let polled = Pin::new(&mut this.connection).poll(context);
            let allowed = this.connection.max_concurrent_send_streams();
            if allowed != UNTOLD {
                this.state.note_told(allowed);
            }
            if polled.is_ready() {
                return Poll::Ready(());
            }
            match this.link.send(context) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl Drop for Http2Driver {
    fn drop(&mut self) {
        self.state.has_ended.set(true);
        self.state.wake();
    }
}

impl State {
    fn note_told(&self, allowed: usize) {
        if self.told.replace(Some(allowed)).is_none() {
            self.wake();
        }
    }

    fn wake(&self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    fn poll_told(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ended.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.told.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Http2Call {
    /// Whether it opens a WebSocket.
    pub fn is_opening(&self) -> bool {
        self.acceptance.is_some()
    }

    /// Says that the connection is not good for further requests: this one got no answer in time.
    pub fn retire_connection(&self) {
        self.open.state.has_ended.set(true);
    }

    /// Reads the next head of the answer into `head`; `method` is that of the request.
    ///
    /// # Errors
    /// When the stream ended before, or the head is refused.
    pub async fn read_head(
        &mut self,
        method: Method,
        limits: &HeadLimits,
        head: &mut ResponseHead,
    ) -> Result<Answered, CallError> {
        poll_fn(|context| self.poll_head(method, limits, head, context)).await
    }

    fn poll_head(
        &mut self,
        method: Method,
        limits: &HeadLimits,
        head: &mut ResponseHead,
        context: &mut Context<'_>,
    ) -> Poll<Result<Answered, CallError>> {
        if let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(context) {
            let (parts, ()) = interim.into_parts();
            let read = read_answer(&parts, Content::Follows, method, limits, head).map_err(CallError::Fault);
            return Poll::Ready(read.map(|()| Answered::Interim));
        }
        let answered = ready!(Pin::new(&mut self.answer).poll(context));
        let (parts, stream) = answered.map_err(CallError::of)?.into_parts();
        let reader = Http2Reader::new(stream);
        if let Some(acceptance) = self.acceptance.as_deref().filter(|_| parts.status.is_success()) {
            let read = read_agreement(&parts, acceptance, limits, head).map_err(CallError::Fault);
            return Poll::Ready(read.map(|()| Answered::Final(reader)));
        }
        let content = if reader.is_body_ended() { Content::Empty } else { Content::Follows };
        let read = read_answer(&parts, content, method, limits, head).map_err(CallError::Fault);
        Poll::Ready(read.map(|()| Answered::Final(reader)))
    }
}

impl CallError {
    /// A stream above the last one of a `GOAWAY`, or a refused one, has not been processed (RFC 9113 section 8.7).
    fn of(error: h2::Error) -> CallError {
        let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        let is_left_behind = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
        match error.is_remote() && (is_refused || is_left_behind) {
            true => CallError::Unprocessed,
            false => CallError::Broken(broken(error)),
        }
    }
}

/// A stream that is counted until this is dropped.
struct OpenStream {
    state: Rc<State>,
}

impl OpenStream {
    fn new(state: &Rc<State>) -> OpenStream {
        state.open.set(state.open.get() + 1);
        OpenStream { state: state.clone() }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.state.open.set(self.state.open.get() - 1);
    }
}
