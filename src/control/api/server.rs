//! Serves the API over HTTP: accepts, limits, reads bodies, and ends.

use super::answer::RequestId;
use super::error::{ApiError, ErrorCode};
use super::service::{Answer, Received, Service};
use super::tls::TlsStream;
use crate::tls::ServerTls;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// After an accept fails for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much of the process callers may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections served at once; more wait in the kernel's queue.
    connections: usize,
    /// Bytes of a request head. A presigned URL has all parameters in it.
    head: usize,
    /// Bytes of a body. ELB's largest call, the registration of 1,000 instances, is a tenth.
    body: usize,
    /// For a head to arrive, and between two requests of a connection.
    head_time: Duration,
    /// For a body to arrive.
    body_time: Duration,
    /// For a connection. One that is in use then is closed after the answer.
    connection_time: Duration,
    /// For the first request of a connection that was made just before the server is told to stop.
    first_time: Duration,
    /// For the answers that are on their way when a connection is to end, and when the server is told to stop.
    end_time: Duration,
}

const LIMITS: Limits = Limits {
    connections: 128,
    head: 64 << 10,
    body: 1 << 20,
    head_time: Duration::from_secs(30),
    body_time: Duration::from_secs(20),
    connection_time: Duration::from_secs(600),
    first_time: Duration::from_secs(1),
    end_time: Duration::from_secs(5),
};

/// A bound and listening API address.
#[derive(Debug)]
pub struct ApiListener {
    tcp: TcpListener,
    tls: Option<ServerTls>,
}

impl ApiListener {
    /// Binds `address`, inside a tokio runtime; without `tls` calls come in the clear.
    ///
    /// # Errors
    ///
    /// What the kernel refuses. The message names the address.
    pub async fn bind(address: SocketAddr, tls: Option<ServerTls>) -> io::Result<Self> {
        let bound = TcpListener::bind(address).await;
        bound
            .map(|tcp| Self { tcp, tls })
            .map_err(|error| io::Error::new(error.kind(), format!("API address {address}: {error}")))
    }

    /// Takes over a socket that listens already, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket is of another kind.
    pub fn adopt(socket: OwnedFd, tls: Option<ServerTls>) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::from_std(socket.into())?, tls })
    }

    /// A further descriptor of the socket, to go on with later or for another process.
    ///
    /// # Errors
    ///
    /// As dup(2).
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.tcp.as_fd().try_clone_to_owned()
    }

    /// The address in use, with the port the kernel chose where 0 was asked for.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves `service` on `listener` until `stop` is done, then lets requests under way end for up to five seconds.
///
/// Runs on a tokio current-thread runtime inside a `LocalSet`, such as that of `tokio_uring::start`.
pub async fn serve(listener: ApiListener, service: Rc<Service>, stop: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, service, stop).await;
}

async fn serve_within(limits: Limits, listener: ApiListener, service: Rc<Service>, stop: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.tcp.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, source)) => {
                    let caller = Connection { limits, source, service: Rc::clone(&service) };
                    connections.spawn_local(caller.serve(stream, listener.tls.clone(), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "API address cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listener, stopping));
    // What is left at the deadline is cut when the set is dropped.
    let _ = timeout(limits.end_time, async { while connections.join_next().await.is_some() {} }).await;
}

/// One caller's connection.
struct Connection {
    limits: Limits,
    source: SocketAddr,
    service: Rc<Service>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<ServerTls>, stopped: watch::Receiver<()>) {
        let Some(tls) = tls else { return self.converse(stream, stopped).await };
        match TlsStream::new(stream, &tls) {
            Ok(stream) => self.converse(stream, stopped).await,
            Err(error) => tracing::error!(%error, source = %self.source, "API cannot speak TLS"),
        }
    }

    /// Answers requests until the caller goes, time is up, or the server stops. A handshake is a part of the time for
    /// the first head.
    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin, mut stopped: watch::Receiver<()>) {
        let limits = self.limits;
        let asked = Notify::new();
        let service = service_fn(|request| {
            asked.notify_one();
            async { Ok::<_, Infallible>(self.answer(request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.head_time).max_buf_size(limits.head);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = &mut connection => Some(ended),
            // Ends with an error when the other half is dropped: the server stops.
            _ = stopped.changed() => None,
            () = sleep(limits.connection_time) => None,
        };
        // Told to end before its first request, a connection would be closed at once, and that request be lost.
        let ended = match ended {
            Some(ended) => Some(ended),
            None => tokio::select! {
                ended = &mut connection => Some(ended),
                () = asked.notified() => None,
                () = sleep(limits.first_time) => None,
            },
        };
        let ended = match ended {
            Some(ended) => Ok(ended),
            None => {
                connection.as_mut().graceful_shutdown();
                timeout(limits.end_time, connection).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, source = %self.source, "API connection failed"),
            Err(_) => tracing::debug!(source = %self.source, "API client took its answer too slowly"),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let answer = match self.read(body).await {
            Ok(body) => {
                let (method, uri, headers) = (head.method, head.uri, head.headers);
                self.service.answer(Received { method, uri, headers, body, source: self.source }).await
            }
            Err(error) => Answer::failure(&error, RequestId::random()),
        };
        response(answer)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, ApiError> {
        let Limits { body: most, body_time, .. } = self.limits;
        let too_large = || {
            let message = format!("The body of a request cannot be larger than {most} bytes");
            ApiError::new(ErrorCode::RequestEntityTooLarge, message)
        };
        if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > most) {
            return Err(too_large());
        }
        match timeout(body_time, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(ApiError::new(ErrorCode::MalformedQueryString, "The body of the request is incomplete")),
            Err(_) => Err(ApiError::new(ErrorCode::RequestTimeout, "The body of the request did not arrive in time")),
        }
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let Answer { status, request_id, body } = answer;
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests;
