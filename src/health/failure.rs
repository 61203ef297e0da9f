//! What a good answer to a probe is, and what a bad one is called.

use std::fmt;

/// Why a probe was bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The instance refused the connection.
    ConnectRefused,
    /// The instance did not accept in time.
    ConnectTimeout,
    /// There is no way to the instance.
    ConnectUnreachable,
    /// The way to the instance failed for another cause: a reset, a rule of the firewall.
    ConnectFailed,
    /// The answer's head was not there in time.
    AnswerTimeout,
    /// The connection was closed or reset before the answer's head was there.
    Closed,
    /// What came is not an HTTP answer, or its head is too large.
    Malformed,
    /// The answer has another status code than 200.
    Status(u16),
    /// The TLS handshake was not over in time.
    HandshakeTimeout,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The instance's certificate is not one that traffic would believe; the word says what is wrong with it.
    CertificateRefused(&'static str),
    /// The instance did not agree on HTTP/2, which its traffic is.
    Http2Refused,
    /// The instance gave the request up without an answer, over HTTP/2.
    StreamReset,
    /// The call of gRPC's health service ended with this status.
    GrpcStatus(u32),
    /// The call ended well; the instance says that it does not serve, or does not say that it does.
    NotServing,
}

impl Failure {
    /// Whether the instance could not be connected to at all: ELB counts that as a back-end connection error.
    pub const fn is_connection_error(self) -> bool {
        matches!(self, Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectUnreachable | Self::ConnectFailed)
    }
}

/// As it stands in the log.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ConnectRefused => "connection refused",
            Self::ConnectTimeout => "connecting timed out",
            Self::ConnectUnreachable => "unreachable",
            Self::ConnectFailed => "connecting failed",
            Self::AnswerTimeout => "no answer in time",
            Self::Closed => "connection closed before an answer",
            Self::Malformed => "malformed answer",
            Self::Status(status) => return write!(formatter, "status {status}"),
            Self::HandshakeTimeout => "TLS handshake timed out",
            Self::HandshakeFailed => "TLS handshake failed",
            Self::CertificateRefused(word) => return write!(formatter, "certificate refused: {word}"),
            Self::Http2Refused => "HTTP/2 not agreed on",
            Self::StreamReset => "request given up by the instance",
            Self::GrpcStatus(status) => return write!(formatter, "gRPC status {status}"),
            Self::NotServing => "gRPC health is not SERVING",
        })
    }
}

/// Whether an answer with this status code is a good one: Classic ELB takes 200 alone, not the rest of 2xx.
pub const fn judge_status(status: u16) -> Result<(), Failure> {
    match status {
        200 => Ok(()),
        other => Err(Failure::Status(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_good() {
        assert_eq!(judge_status(200), Ok(()));
        for status in [100, 201, 204, 301, 304, 404, 500, 999] {
            assert_eq!(judge_status(status), Err(Failure::Status(status)));
        }
    }
}
