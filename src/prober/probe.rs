//! One probe: a connection, on secure checks a handshake, and on HTTP checks one question over it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::http2;
use super::stream::ProbeStream;
use crate::health::{Failure, judge_status};
use crate::model::{HealthPath, Host, InstanceHttp, Reason};
use crate::registry::Probing;
use crate::tls::{ApplicationProtocol, TlsFault};
use crate::wire::head::{Asked, HeadLimits, HeadStatus, Method, Reply, ResponseHead};

/// What an instance still sends after its verdict is read for so long and so much, because closing on unread bytes
/// would reset the connection and fill its log with errors.
pub(super) const LINGER: Duration = Duration::from_millis(100);
const LINGER_BYTES_MAX: u64 = 65_536;

/// What ELB's probes call themselves.
pub(super) const USER_AGENT: &str = "ELB-HealthChecker/1.0";

/// The alert of a server that knows none of the protocols offered (RFC 7301 section 3.2).
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// What a probe has shown.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The instance is well, or not.
    Judged(Result<(), Failure>),
    /// This node could not even ask, which says nothing of the instance.
    NotAsked(io::Error),
}

/// Probes the instance at `address`, which is `host` by its configuration, as `probing` wants. Takes no longer than its
/// timeout, connecting included.
pub(super) async fn probe(address: SocketAddr, host: &Host, probing: &Probing) -> Outcome {
    let target = probing.check.target();
    let deadline = Instant::now() + probing.check.timeout().get();
    let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Err(_) => return Outcome::Judged(Err(Failure::ConnectTimeout)),
        Ok(Err(error)) => return connect_error(error),
        Ok(Ok(stream)) => stream,
    };
    let stream = match target.is_secure() {
        false => ProbeStream::plain(stream),
        true => {
            // Made anew each time: every probe makes a whole handshake, so that it shows whether the instance still can.
            let client = match probing.client(host) {
                Err(error) => return Outcome::NotAsked(io::Error::other(error.to_string())),
                Ok(client) => client,
            };
            match timeout_at(deadline, ProbeStream::secure(stream, &client)).await {
                Err(_) => return Outcome::Judged(Err(Failure::HandshakeTimeout)),
                Ok(Err(error)) => return Outcome::Judged(Err(handshake_failure(&error))),
                Ok(Ok(stream)) => stream,
            }
        }
    };
    let Some(path) = target.path() else {
        drop(timeout_at(deadline, stream.into_tcp()).await);
        return Outcome::Judged(Ok(()));
    };
    let asked = async {
        match probing.http {
            InstanceHttp::Http1 => ask(stream, address, path).await.and_then(judge_status),
            InstanceHttp::Http2 if !speaks_http2(&stream) => Err(Failure::Http2Refused),
            InstanceHttp::Http2 => http2::ask(stream, address, path).await,
        }
    };
    let answer = timeout_at(deadline, asked).await;
    Outcome::Judged(answer.unwrap_or(Err(Failure::AnswerTimeout)))
}

/// Whether it was agreed on by ALPN. In the clear nothing is agreed on: it is prior knowledge (RFC 9113 section 3.3).
fn speaks_http2(stream: &ProbeStream) -> bool {
    !stream.is_secure() || stream.application_protocol() == Some(ApplicationProtocol::Http2)
}

fn handshake_failure(error: &io::Error) -> Failure {
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsFault>());
    match fault {
        Some(fault) if fault.backend_reason() == Reason::BackendKeyUntrusted => {
            Failure::CertificateRefused(fault.word())
        }
        Some(TlsFault::PeerAlert(NO_APPLICATION_PROTOCOL)) => Failure::Http2Refused,
        _ => Failure::HandshakeFailed,
    }
}

/// Sends the request that ELB sends, except that the connection is not kept: every probe shows whether the instance
/// still accepts. Answers the status code.
async fn ask(mut stream: ProbeStream, address: SocketAddr, path: &HealthPath) -> Result<u16, Failure> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        path.as_str()
    );
    stream.write_all(request.as_bytes()).await.map_err(|_| Failure::Closed)?;
    stream.flush().await.map_err(|_| Failure::Closed)?;
    let status = read_status(&mut stream).await?;
    tokio::spawn(async { linger(stream.into_tcp().await).await });
    Ok(status)
}

/// Reads the head of the final answer. What is held is bounded by the limits of a head, how often by the caller's
/// deadline.
async fn read_status(stream: &mut ProbeStream) -> Result<u16, Failure> {
    let asked = Asked { method: Method::Get, upgrade: false };
    let (limits, mut head, mut received) = (HeadLimits::default(), ResponseHead::default(), Vec::new());
    loop {
        match head.parse(&received, &limits).map_err(|_| Failure::Malformed)? {
            HeadStatus::Partial => match stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return Err(Failure::Closed),
                Ok(_) => {}
            },
            HeadStatus::Complete { length } => match head.reply(asked) {
                Ok(Reply::Final(_)) => return Ok(head.status()),
                Ok(Reply::Interim) => drop(received.drain(..length)),
                Ok(Reply::SwitchingProtocols) | Err(_) => return Err(Failure::Malformed),
            },
        }
    }
}

async fn linger(stream: TcpStream) {
    let mut rest = stream.take(LINGER_BYTES_MAX);
    // Whatever comes of it, the verdict stands.
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// What an error of connect(2) says of the instance. What is not known to concern the way to it, such as a lack of
/// descriptors, memory or local ports, is this node's own trouble.
fn connect_error(error: io::Error) -> Outcome {
    let failure = match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::ConnectRefused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Failure::ConnectUnreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::NetworkDown | io::ErrorKind::PermissionDenied => {
            Failure::ConnectFailed
        }
        _ => return Outcome::NotAsked(error),
    };
    Outcome::Judged(Err(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_node_lacks_is_not_held_against_the_instance() {
        for (errno, expected) in [
            (libc::ECONNREFUSED, Some(Failure::ConnectRefused)),
            (libc::ETIMEDOUT, Some(Failure::ConnectTimeout)),
            (libc::EHOSTUNREACH, Some(Failure::ConnectUnreachable)),
            (libc::ENETUNREACH, Some(Failure::ConnectUnreachable)),
            (libc::EACCES, Some(Failure::ConnectFailed)),
            (libc::EMFILE, None),
            (libc::ENFILE, None),
            (libc::ENOBUFS, None),
            (libc::EADDRNOTAVAIL, None),
        ] {
            let failure = match connect_error(io::Error::from_raw_os_error(errno)) {
                Outcome::Judged(result) => result.err(),
                Outcome::NotAsked(_) => None,
            };
            assert_eq!(failure, expected, "{errno}");
        }
    }
}
