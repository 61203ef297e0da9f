//! One probe: a connection, on secure checks a handshake, and on HTTP checks one question over it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::stream::ProbeStream;
use crate::health::{Failure, judge_status};
use crate::model::{HealthCheck, HealthPath, HealthTarget};
use crate::wire::head::{Asked, HeadLimits, HeadStatus, Method, Reply, ResponseHead};

/// What an instance still sends after its verdict is read for so long and so much, because closing on unread bytes
/// would reset the connection and fill its log with errors.
const LINGER: Duration = Duration::from_millis(100);
const LINGER_BYTES_MAX: u64 = 65_536;

/// What a probe has shown.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The instance is well, or not.
    Judged(Result<(), Failure>),
    /// This node could not even ask, which says nothing of the instance.
    NotAsked(io::Error),
}

/// Probes the instance at `address` as `check` wants. Takes no longer than its timeout, connecting included.
pub(super) async fn probe(address: SocketAddr, check: &HealthCheck) -> Outcome {
    let (is_secure, path) = match check.target() {
        HealthTarget::Tcp { .. } => (false, None),
        HealthTarget::Http { path, .. } => (false, Some(path)),
        HealthTarget::Ssl { .. } => (true, None),
        HealthTarget::Https { path, .. } => (true, Some(path)),
    };
    let deadline = Instant::now() + check.timeout().get();
    let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
        Err(_) => return Outcome::Judged(Err(Failure::ConnectTimeout)),
        Ok(Err(error)) => return connect_error(error),
        Ok(Ok(stream)) => stream,
    };
    let stream = match is_secure {
        false => ProbeStream::plain(stream),
        true => match timeout_at(deadline, ProbeStream::secure(stream)).await {
            Err(_) => return Outcome::Judged(Err(Failure::HandshakeTimeout)),
            Ok(Err(_)) => return Outcome::Judged(Err(Failure::HandshakeFailed)),
            Ok(Ok(stream)) => stream,
        },
    };
    let Some(path) = path else {
        drop(timeout_at(deadline, stream.into_tcp()).await);
        return Outcome::Judged(Ok(()));
    };
    let answer = timeout_at(deadline, ask(stream, address, path)).await;
    Outcome::Judged(answer.unwrap_or(Err(Failure::AnswerTimeout)).and_then(judge_status))
}

/// Sends the request that ELB sends, except that the connection is not kept: every probe shows whether the instance
/// still accepts. Answers the status code.
async fn ask(mut stream: ProbeStream, address: SocketAddr, path: &HealthPath) -> Result<u16, Failure> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        path.as_str()
    );
    stream.send(request.as_bytes()).await.map_err(|_| Failure::Closed)?;
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
            HeadStatus::Partial => stream.receive(&mut received).await.map_err(|_| Failure::Closed)?,
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
