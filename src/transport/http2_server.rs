//! The server's end of an HTTP/2 connection: takes requests, hands out their streams (RFC 9113).
//!
//! `h2` speaks the protocol; its limits are set here, each with its reason. It is driven by one task, which polls for
//! requests; readers and writers of streams may be polled by any task.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::request::{Parts, Request};

use crate::base::Instant;
use crate::runtime::is_shortage;
use crate::transport::http2_flood::Credit;
use crate::transport::http2_heads::read_request;
use crate::transport::http2_link::{Duplex, Http2Link, Outbound};
use crate::transport::{Http2Reader, Http2Writer, Receiver, Sender};
use crate::wire::fault::RequestFault;
use crate::wire::head::limits::MAX_FIELDS;
use crate::wire::head::{Content, HeadLimits, RequestHead};

/// Requests at once on one connection, as other servers allow (RFC 9113 section 6.5.2 recommends at least 100).
const STREAMS: u32 = 128;

/// Bytes that a client may send on one stream, and on all of them, before an instance has taken any: a connection's
/// memory for bodies, and what limits an upload over a long way.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// What small frames may cost, of which `h2` keeps each as if it had 256 bytes, before an instance has taken them: a client
/// may fill its window with messages of 32 bytes.
const SMALL_FRAMES: usize = CONNECTION_WINDOW as usize / 32 * 256;

/// Bytes of an answer that may wait to be written on one stream: two receive buffers keep it moving.
const ANSWER_AHEAD: usize = 32 * 1024;

/// Streams we reset whose late frames are still forgiven, and streams the client reset before we saw them.
const RESET_STREAMS: usize = 32;

/// Streams that the client's own mistakes made us reset, before its connection ends: work for two sides each, as
/// requests given up are (CVE-2025-8671).
const BROKEN_STREAMS: usize = 128;

/// What a field costs in the header list beside its name and value (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// The connection.
pub struct Http2Server {
    stage: Stage,
    link: Rc<Http2Link>,
    /// The client has been told that it asks too much.
    is_calming: bool,
}

enum Stage {
    /// The client's preface is awaited.
    Greeting(Box<Handshake<Duplex, Outbound>>),
    Serving(Box<Connection<Duplex, Outbound>>),
    Over,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Ended {
    /// Both sides know.
    Agreed,
    /// The client has been told that it broke the protocol.
    Malformed,
    /// The client has been told that it asks too much.
    Flooded,
    /// The connection broke.
    Broken,
    /// The client took nothing while receive buffers were scarce.
    Starving,
}

impl Http2Server {
    /// Serves a connection on which `early` has been received. Heads within `limits` are taken; those far beyond are
    /// refused before anybody sees them.
    pub fn new(halves: (Receiver, Sender), early: Bytes, limits: &HeadLimits) -> Http2Server {
        let now = halves.0.socket().io().now();
        let link = Http2Link::new(halves, Some(Credit::new(now)));
        let header_list = limits.request_line + limits.headers_total + FIELD_OVERHEAD * MAX_FIELDS;
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(header_list as u32)
            .max_send_buffer_size(ANSWER_AHEAD)
            .data_frame_budget(SMALL_FRAMES)
            .max_concurrent_reset_streams(RESET_STREAMS)
            .max_pending_accept_reset_streams(RESET_STREAMS)
            .max_local_error_reset_streams(Some(BROKEN_STREAMS))
            .enable_connect_protocol();
        let stage = Stage::Greeting(Box::new(builder.handshake(Duplex::new(link.clone(), early))));
        Http2Server { stage, link, is_calming: false }
    }

    /// Drives the connection to its next request; ready with how it ended when there are no more. Everything that the
    /// streams had to say is sent when this waits.
    pub fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<Result<Http2Request, Http2Ended>> {
        loop {
            let polled = self.poll_once(context);
            if polled.is_ready() {
                return polled;
            }
            if self.link.is_flooded()
                && let Stage::Serving(connection) = &mut self.stage
                && !std::mem::replace(&mut self.is_calming, true)
            {
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            match self.link.send(context) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(error) if is_shortage(&error) => {
                    self.abort();
                    return Poll::Ready(Err(Http2Ended::Starving));
                }
                Err(_) => return Poll::Ready(Err(self.end(Http2Ended::Broken))),
            }
        }
    }

    fn poll_once(&mut self, context: &mut Context<'_>) -> Poll<Result<Http2Request, Http2Ended>> {
        if let Stage::Greeting(handshake) = &mut self.stage {
            match ready!(Pin::new(handshake).poll(context)) {
                Ok(connection) => self.stage = Stage::Serving(Box::new(connection)),
                Err(error) => return Poll::Ready(Err(self.end(ended(&error)))),
            }
        }
        let Stage::Serving(connection) = &mut self.stage else { return Poll::Ready(Err(Http2Ended::Agreed)) };
        let end = match ready!(connection.poll_accept(context)) {
            Some(Ok((request, respond))) => return Poll::Ready(Ok(Http2Request::new(request, respond, &self.link))),
            Some(Err(error)) => ended(&error),
            None => Http2Ended::Agreed,
        };
        Poll::Ready(Err(self.end(end)))
    }

    fn end(&mut self, how: Http2Ended) -> Http2Ended {
        self.stage = Stage::Over;
        if self.link.is_flooded() { Http2Ended::Flooded } else { how }
    }

    /// Tells the client to ask nothing more here; what it has asked is answered (RFC 9113 section 6.8).
    pub fn finish(&mut self) {
        if let Stage::Serving(connection) = &mut self.stage {
            connection.graceful_shutdown();
        }
    }

    /// Tells the client that the connection ends now; requests not taken yet can be made elsewhere.
    pub fn close(&mut self) {
        match &mut self.stage {
            Stage::Serving(connection) => connection.abrupt_shutdown(Reason::NO_ERROR),
            stage => *stage = Stage::Over,
        }
    }

    /// Ends the connection without a word; its close is a reset.
    pub fn abort(&mut self) {
        self.stage = Stage::Over;
        self.link.outlet().borrow_mut().sender().socket().reset_on_close();
    }

    /// Since when the client has taken nothing of what is being sent.
    pub fn sending_since(&self) -> Option<Instant> {
        self.link.outlet().borrow().sending_since()
    }

    /// Since when a request's head has been under way.
    pub fn head_since(&self) -> Option<Instant> {
        self.link.with_credit(|credit| credit.head_since()).flatten()
    }

    /// Whether the client has not said yet that it speaks HTTP/2.
    pub fn is_greeting(&self) -> bool {
        matches!(self.stage, Stage::Greeting(_))
    }

    /// Bytes received and sent since the last call, without TLS's own.
    pub fn take_counts(&self) -> (u64, u64) {
        self.link.take_counts()
    }

    /// Gives the connection back, once it has ended and no stream is left.
    pub fn into_halves(self) -> Option<(Receiver, Sender)> {
        let Http2Server { stage, link, .. } = self;
        drop(stage);
        Rc::into_inner(link).map(Http2Link::into_halves)
    }
}

fn ended(error: &h2::Error) -> Http2Ended {
    match (error.is_io(), error.is_library(), error.reason()) {
        (true, ..) => Http2Ended::Broken,
        (false, true, Some(Reason::ENHANCE_YOUR_CALM)) => Http2Ended::Flooded,
        (false, true, _) => Http2Ended::Malformed,
        (false, false, _) => Http2Ended::Agreed,
    }
}

/// One request: its head and its stream.
pub struct Http2Request {
    parts: Parts,
    stream: Http2Stream,
}

/// What a request has a body and gets an answer on.
pub struct Http2Stream {
    /// The body, and what is behind it.
    pub reader: Http2Reader,
    /// The answer.
    pub writer: Http2Writer,
}

impl Http2Request {
    fn new(request: Request<RecvStream>, respond: SendResponse<Outbound>, link: &Rc<Http2Link>) -> Http2Request {
        let (parts, body) = request.into_parts();
        let reader = Http2Reader::new(body, link.clone());
        let writer = Http2Writer::new(link.clone(), respond);
        Http2Request { parts, stream: Http2Stream { reader, writer } }
    }

    /// Takes the head over into `head`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn read_head(&self, limits: &HeadLimits, head: &mut RequestHead) -> Result<(), RequestFault> {
        let reader = &self.stream.reader;
        let content = if reader.is_body_ended() { Content::Empty } else { Content::Follows };
        read_request(&self.parts, content, limits, head)?;
        if reader.is_confidential() {
            head.make_confidential();
        }
        Ok(())
    }

    /// What is left when the head has been read.
    pub fn into_stream(self) -> Http2Stream {
        self.stream
    }
}

impl Http2Stream {
    /// Says that the request was answered to its end.
    pub fn note_answer(&self) {
        self.reader.link().with_credit(Credit::note_answer);
    }
}
