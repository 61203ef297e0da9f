//! Writes one message to an HTTP/2 stream: the answer to a client, or the body of a request to a server. The head of an
//! answer waits for what follows it, so that one without a body ends the stream itself.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::response::Response;

use crate::base::Instant;
use crate::transport::http2_flood::Credit;
use crate::transport::http2_heads::{add, answer, empty_answer, trailer_fields};
use crate::transport::http2_link::{Http2Link, Outbound};
use crate::transport::http2_reader::broken;
use crate::transport::piece::Data;
use crate::wire::forward::ResponseForward;
use crate::wire::head::{Reply, ResponseHead};
use crate::wire::trailers::Trailers;

/// Pieces below this are gathered while more is at hand. As frames of their own they would cost their receivers more than
/// they carry, and some count that as a flood: `h2`, and all that is made with it, counts 256 bytes for each.
const SMALL: usize = 1024;

/// What is gathered at most: a frame of the size that every peer takes (RFC 9113 section 4.2).
const GATHERED: usize = 16 * 1024;

/// The sending half of a stream.
pub struct Http2Writer {
    link: Rc<Http2Link>,
    stage: Rc<RefCell<Stage>>,
    pending: Option<Response<()>>,
    /// Small pieces of the body, to be sent as one.
    gathered: BytesMut,
    is_ended: bool,
}

/// How far the message is.
enum Stage {
    /// No final head has been sent.
    Head(SendResponse<Outbound>),
    /// The body is being sent.
    Body(SendStream<Outbound>),
}

/// Tells when the peer gives up the stream.
pub struct Http2Cancellation {
    stage: Rc<RefCell<Stage>>,
}

impl Http2Writer {
    /// For the answer that `respond` sends through `link`.
    pub(in crate::transport) fn new(link: Rc<Http2Link>, respond: SendResponse<Outbound>) -> Http2Writer {
        Http2Writer::at(Stage::Head(respond), link, false)
    }

    /// For the body of a request whose head was sent through `link`; it is whole already if it has no body.
    pub(in crate::transport) fn of_request(
        link: Rc<Http2Link>,
        stream: SendStream<Outbound>,
        is_whole: bool,
    ) -> Http2Writer {
        Http2Writer::at(Stage::Body(stream), link, is_whole)
    }

    fn at(stage: Stage, link: Rc<Http2Link>, is_ended: bool) -> Http2Writer {
        let stage = Rc::new(RefCell::new(stage));
        Http2Writer { link, stage, pending: None, gathered: BytesMut::new(), is_ended }
    }

    /// What tells when the peer gives up.
    pub fn cancellation(&self) -> Http2Cancellation {
        Http2Cancellation { stage: self.stage.clone() }
    }

    /// Begins the answer, or one before it. Nothing is sent yet.
    pub fn begin(&mut self, head: &ResponseHead, reply: Reply, forward: &ResponseForward<'_>) {
        self.pending = Some(answer(head, reply, forward));
    }

    /// Tells the client to send its body (RFC 9110 section 10.1.1).
    ///
    /// # Errors
    /// When the stream has ended.
    pub fn send_continue(&mut self) -> io::Result<()> {
        self.pending = Some(empty_answer(100));
        self.send_pending(false)
    }

    /// Sends a whole answer without a body, with these fields, which must be good ones.
    ///
    /// # Errors
    /// When the stream has ended.
    pub fn send_empty<'a>(
        &mut self,
        status: u16,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> io::Result<()> {
        let mut answer = empty_answer(status);
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        fields.into_iter().for_each(|(name, value)| add(answer.headers_mut(), name, value));
        self.pending = Some(answer);
        self.send_pending(true)
    }

    /// Sends what is pending and gathered, and waits until the peer has room for more of a body.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.send_gathered(false).await?;
        self.send_pending(false)?;
        let since = self.link.io().now();
        poll_fn(|context| self.poll_room(1, since, context).map_ok(drop)).await
    }

    /// Sends a piece of the body as the peer's windows let it; a small one goes with the next, or when flushed. `is_last`
    /// says that the body ends with it, without trailers.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn send_piece(&mut self, piece: Data, is_last: bool) -> io::Result<()> {
        let is_small = piece.len() < SMALL;
        if is_small && !(is_last && self.gathered.is_empty()) {
            self.gathered.extend_from_slice(&piece);
            return match is_last || self.gathered.len() >= GATHERED {
                true => self.send_gathered(is_last).await,
                false => Ok(()),
            };
        }
        self.send_gathered(false).await?;
        self.send_at_once(piece, is_last).await
    }

    async fn send_gathered(&mut self, is_last: bool) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let gathered = self.gathered.split().freeze();
        self.send_at_once(Data::Frame(gathered), is_last).await
    }

    /// As [`Http2Writer::send_piece`], of a piece that waits for no other.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn send_at_once(&mut self, mut piece: Data, is_last: bool) -> io::Result<()> {
        self.send_pending(false)?;
        while !piece.is_empty() {
            let since = self.link.io().now();
            let room = poll_fn(|context| self.poll_room(piece.len(), since, context)).await?;
            let front = piece.split_to(room);
            self.send_data(front, is_last && piece.is_empty())?;
        }
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn finish(&mut self, trailers: Option<&Trailers>) -> io::Result<()> {
        let trailers = trailers.filter(|trailers| !trailers.is_empty());
        self.send_gathered(trailers.is_none()).await?;
        self.send_pending(trailers.is_none())?;
        if self.is_ended {
            return Ok(());
        }
        match (trailers, &mut *self.stage.borrow_mut()) {
            (Some(trailers), Stage::Body(stream)) => {
                self.is_ended = true;
                return stream.send_trailers(trailer_fields(trailers)).map_err(broken);
            }
            (Some(_), Stage::Head(_)) => return Ok(()),
            (None, _) => {}
        }
        self.send_data(Data::Frame(Bytes::new()), true)
    }

    /// Gives the stream up: what was sent of its message is not whole.
    pub fn reset(&mut self) {
        match &mut *self.stage.borrow_mut() {
            Stage::Head(respond) => respond.send_reset(Reason::INTERNAL_ERROR),
            Stage::Body(stream) => stream.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    fn send_pending(&mut self, is_last: bool) -> io::Result<()> {
        let Some(head) = self.pending.take() else { return Ok(()) };
        let mut stage = self.stage.borrow_mut();
        let Stage::Head(respond) = &mut *stage else { return Ok(()) };
        if head.status().is_informational() {
            return respond.send_informational(head).map_err(broken);
        }
        let stream = respond.send_response(head, is_last).map_err(broken)?;
        *stage = Stage::Body(stream);
        self.is_ended = is_last;
        Ok(())
    }

    fn send_data(&mut self, data: Data, is_last: bool) -> io::Result<()> {
        let Stage::Body(stream) = &mut *self.stage.borrow_mut() else { return Ok(()) };
        self.link.with_credit(Credit::note_data);
        self.is_ended = is_last;
        stream.send_data(Outbound::new(data, &self.link), is_last).map_err(broken)
    }

    /// How many of `wanted` bytes, at least one, may be sent now; waited for since then, and not for long while buffers
    /// are scarce, as the piece may be in one. Nothing is waited for between heads.
    fn poll_room(&mut self, wanted: usize, since: Instant, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.poll_window(wanted, context) {
            Poll::Pending => self.link.io().poll_shortage(since).map(Err),
            ready => ready,
        }
    }

    fn poll_window(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Stage::Body(stream) = &mut *self.stage.borrow_mut() else { return Poll::Ready(Ok(wanted)) };
        if self.is_ended {
            return Poll::Ready(Ok(wanted));
        }
        ready!(self.link.poll_uncrowded(context));
        stream.reserve_capacity(wanted);
        loop {
            let capacity = stream.capacity();
            if capacity > 0 {
                return Poll::Ready(Ok(capacity.min(wanted)));
            }
            match ready!(stream.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
    }
}

impl Http2Cancellation {
    /// Waits until the peer has reset the stream, or its connection has ended.
    pub async fn wait(&self) {
        poll_fn(|context| {
            let polled = match &mut *self.stage.borrow_mut() {
                Stage::Head(respond) => respond.poll_reset(context),
                Stage::Body(stream) => stream.poll_reset(context),
            };
            polled.map(drop)
        })
        .await;
    }
}
