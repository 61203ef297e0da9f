//! What carries one request to an instance and its answer back: a connection of its own, or a stream of a shared one.

use crate::model::Reason;
use crate::proxy::backend::{Backend, Unfinished};
use crate::proxy::failure;
use crate::transport::{
    Answered, CallError, Http1Reader, Http2Call, Http2Client, Http2Reader, Http2Writer, ReadError, Sink, Source,
};
use crate::wire::forward::{RequestForward, write_request_head};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Asked, HeadLimits, Reply, RequestHead, ResponseHead};

/// A way to an instance, before the request.
pub enum Way {
    /// An HTTP/1.1 connection that carries nothing else meanwhile.
    Connection(Box<Backend>),
    /// An HTTP/2 connection that carries others too.
    Shared(Http2Client),
}

/// A request under way. Dropped before it is finished, it is given up: its connection is reset, or its stream.
pub enum Carrier {
    /// On a connection of its own.
    Connection(Box<Backend>, Unfinished),
    /// On a stream.
    Stream(Box<Stream>),
}

/// A stream of a shared connection.
pub struct Stream {
    writer: Http2Writer,
    call: Http2Call,
    body: Option<Http2Reader>,
}

/// Where the answer comes from.
pub enum Answers<'a> {
    /// A connection.
    Connection(&'a mut Http1Reader),
    /// A stream; its body is there once its head is.
    Stream(&'a mut Http2Call, &'a mut Option<Http2Reader>),
}

impl Way {
    /// Begins the request. On a connection its head waits for what follows; `memory` is for that.
    ///
    /// # Errors
    /// When the instance takes no more requests on a shared connection, or HTTP/2 cannot say this one.
    pub async fn begin(
        self,
        request: &RequestHead,
        forward: &RequestForward<'_>,
        memory: Vec<u8>,
    ) -> Result<Carrier, Reason> {
        match self {
            Way::Connection(mut backend) => {
                backend.writer.lend_memory(memory);
                backend.writer.begin(|out| {
                    write_request_head(request, forward, out);
                    (request.framing(), ())
                });
                let unfinished = Unfinished::new(&backend);
                Ok(Carrier::Connection(backend, unfinished))
            }
            Way::Shared(mut client) => {
                let sent = Box::pin(client.send(request, forward)).await;
                let (writer, call) = sent.map_err(|error| failure::of_call(&error))?;
                Ok(Carrier::Stream(Box::new(Stream { writer, call, body: None })))
            }
        }
    }
}

impl Carrier {
    /// Where the request goes, and where its answer comes from.
    pub fn halves(&mut self) -> (Sink<'_>, Answers<'_>) {
        match self {
            Carrier::Connection(backend, _) => {
                (Sink::Http1(&mut backend.writer), Answers::Connection(&mut backend.reader))
            }
            Carrier::Stream(stream) => {
                let Stream { writer, call, body } = &mut **stream;
                (Sink::Http2(writer), Answers::Stream(call, body))
            }
        }
    }

    /// Says that the instance was silent: its connection may be dead, and shall take no other request.
    pub fn retire_connection(&self) {
        if let Carrier::Stream(stream) = self {
            stream.call.retire_connection();
        }
    }

    /// Says that the request has been answered; gives back the connection that it had to itself, unless the answer came
    /// before all of the request had gone.
    pub fn finish(self) -> Option<Box<Backend>> {
        match self {
            Carrier::Connection(mut backend, unfinished) => backend.writer.has_sent_all().then(|| {
                unfinished.finish();
                backend
            }),
            Carrier::Stream(_) => None,
        }
    }
}

impl<'a> Answers<'a> {
    /// Reads the next head.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn read_head(
        &mut self,
        asked: Asked,
        limits: &HeadLimits,
        head: &mut ResponseHead,
    ) -> Result<Reply, Reason> {
        match self {
            Answers::Connection(reader) => {
                let read = reader.read_head(|bytes| head.parse(bytes, limits)).await;
                read.map_err(|error| match error {
                    ReadError::Fault(fault) => failure::of_response_head(&fault),
                    ReadError::Closed { clean: true } => Reason::BackendClosedEarly,
                    ReadError::Closed { clean: false } => Reason::BackendClosedInHead,
                    ReadError::Broken(error) => failure::of_backend_before_answer(&error),
                })?;
            }
            Answers::Stream(call, body) => match call.read_head(asked.method, limits, head).await {
                Ok(Answered::Interim) => {}
                Ok(Answered::Final(reader)) => **body = Some(reader),
                Err(CallError::Fault(fault)) => return Err(failure::of_response_head(&fault)),
                Err(CallError::Unprocessed) => return Err(Reason::BackendUnprocessed),
                Err(CallError::Broken(error)) => return Err(failure::of_backend_before_answer(&error)),
            },
        }
        head.reply(asked).map_err(|fault| failure::of_response_head(&fault))
    }

    /// The body behind the final head, framed like `framing`; `None` before there was one.
    pub fn into_body(self, framing: BodyFraming) -> Option<Source<'a>> {
        match self {
            Answers::Connection(reader) => {
                reader.begin_body(framing);
                Some(Source::Http1(reader))
            }
            Answers::Stream(_, body) => body.as_mut().map(Source::Http2),
        }
    }
}
