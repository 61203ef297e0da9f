//! Asks a running balancer over its admin address: what `elbow status` and its like are made of.

use super::PRODUCT;
use super::command::COMMAND_FIELD;
use super::listener::{AdminStream, connect};
use crate::model::AdminAddress;
use bytes::Bytes;
use http::header::{HOST, SERVER};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::io;
use std::time::Duration;

/// For the whole exchange; a running balancer answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For a command, which may look names up.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer taken: several times the largest page of a node at its limits.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What the balancer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The body, whole.
    pub body: Bytes,
}

/// `GET path` (path and query) from the balancer at `address`. Blocks the calling thread for up to ten seconds; not
/// for use inside a runtime.
///
/// # Errors
///
/// Nobody listens there, no answer in time, or what came is not of a balancer. The message names address and path. A
/// balancer's answer with an error status is a reply, not an error.
pub fn get(address: &AdminAddress, path: &str) -> io::Result<Reply> {
    converse(address, Method::GET, path, Bytes::new(), TIMEOUT)
}

/// Commands the balancer at `address`: `POST path` with a body. Blocks for up to a minute, as names may have to be
/// looked up.
///
/// # Errors
///
/// As [`get`].
pub fn post(address: &AdminAddress, path: &str, body: impl Into<Bytes>) -> io::Result<Reply> {
    converse(address, Method::POST, path, body.into(), COMMAND_TIMEOUT)
}

fn converse(address: &AdminAddress, method: Method, path: &str, body: Bytes, timeout: Duration) -> io::Result<Reply> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(async { tokio::time::timeout(timeout, exchange(address, method, path, body)).await });
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} seconds", timeout.as_secs()));
    let reply = reply.unwrap_or_else(|_| Err(late()));
    reply.map_err(|error| io::Error::new(error.kind(), format!("admin address {address}, {path}: {error}")))
}

async fn exchange(address: &AdminAddress, method: Method, path: &str, body: Bytes) -> io::Result<Reply> {
    let host = match address {
        AdminAddress::Tcp(address) => address.to_string(),
        AdminAddress::Unix(_) => "localhost".to_owned(),
    };
    let request =
        Request::builder().method(method).uri(path).header(HOST, host).header(COMMAND_FIELD, "1").body(Full::new(body));
    let request = request.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    ask(connect(address).await.map_err(not_there)?, request).await
}

async fn ask(stream: AdminStream, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(not_http)?.into_parts();
        if head.headers.get(SERVER).is_none_or(|product| product != PRODUCT) {
            return Err(not_ours(head.status));
        }
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(not_http)?.to_bytes();
        Ok(Reply { status: head.status, body })
    };
    // The connection moves the bytes; its own failure also fails the answer, which says so better.
    let drive = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        reply = answer => reply,
        never = drive => never,
    }
}

fn not_there(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("{error}: no balancer listens there"))
        }
        _ => error,
    }
}

fn not_ours(status: StatusCode) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("what answers there is no balancer's admin address ({status})"))
}

fn not_http(error: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
