//! The answers Elbow gives itself, as ready bytes, with ELB's reason phrases and no body.

use crate::wire::connection::Persistence;

/// Sent to a client that expects it before its body (RFC 9110 section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// An answer of Elbow's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 400: the request is malformed or refused.
    BadRequest,
    /// 405: a method of more than 127 characters.
    MethodNotAllowed,
    /// 408: head or body did not come in time.
    RequestTimeout,
    /// 413: a body longer than can be counted.
    ContentTooLarge,
    /// 414: the request line is over its limit.
    UriTooLong,
    /// 417: an expectation that nobody meets.
    ExpectationFailed,
    /// 429: the client sends more requests than it may.
    TooManyRequests,
    /// 431: the fields are over a limit.
    HeaderFieldsTooLarge,
    /// 500: a fault of the machine or of Elbow.
    InternalServerError,
    /// 501: a transfer coding Elbow does not do.
    NotImplemented,
    /// 502: the back end's answer could not be read.
    BadGateway,
    /// 503: no back end can take the request.
    ServiceUnavailable,
    /// 504: the back end did not answer in time, or closed before it answered.
    GatewayTimeout,
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    VersionNotSupported,
}

/// Both forms of an answer, told apart by `Connection`.
macro_rules! answer_bytes {
    ($persistence:expr, $status_and_reason:literal) => {
        match $persistence {
            Persistence::Close => {
                concat!("HTTP/1.1 ", $status_and_reason, "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }
            Persistence::KeepAlive => {
                concat!("HTTP/1.1 ", $status_and_reason, "\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
            }
        }
        .as_bytes()
    };
}

impl Answer {
    /// The status code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::TooManyRequests => 429,
            Self::HeaderFieldsTooLarge => 431,
            Self::InternalServerError => 500,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::ServiceUnavailable => 503,
            Self::GatewayTimeout => 504,
            Self::VersionNotSupported => 505,
        }
    }

    /// As [`Answer::bytes`], with further fields, which must be good ones.
    pub fn bytes_with<'a>(
        self,
        persistence: Persistence,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Vec<u8> {
        const END: &[u8] = b"\r\n";
        let bytes = self.bytes(persistence);
        // The empty line comes behind the fields.
        let mut longer = bytes.strip_suffix(END).unwrap_or(bytes).to_vec();
        for (name, value) in fields {
            [name, b": ", value, END].iter().for_each(|part| longer.extend_from_slice(part));
        }
        longer.extend_from_slice(END);
        longer
    }

    /// The whole answer as HTTP/1.1 bytes. Where ELB sends no such status the phrase follows its habit.
    pub fn bytes(self, persistence: Persistence) -> &'static [u8] {
        match self {
            Self::BadRequest => answer_bytes!(persistence, "400 BAD_REQUEST"),
            Self::MethodNotAllowed => answer_bytes!(persistence, "405 METHOD_NOT_ALLOWED"),
            Self::RequestTimeout => answer_bytes!(persistence, "408 REQUEST_TIMEOUT"),
            Self::ContentTooLarge => answer_bytes!(persistence, "413 CONTENT_TOO_LARGE"),
            Self::UriTooLong => answer_bytes!(persistence, "414 URI_TOO_LONG"),
            Self::ExpectationFailed => answer_bytes!(persistence, "417 EXPECTATION_FAILED"),
            Self::TooManyRequests => answer_bytes!(persistence, "429 TOO_MANY_REQUESTS"),
            Self::InternalServerError => answer_bytes!(persistence, "500 INTERNAL_SERVER_ERROR"),
            Self::HeaderFieldsTooLarge => {
                answer_bytes!(persistence, "431 REQUEST_HEADER_FIELDS_TOO_LARGE")
            }
            Self::NotImplemented => answer_bytes!(persistence, "501 NOT_IMPLEMENTED"),
            Self::BadGateway => answer_bytes!(persistence, "502 BAD_GATEWAY"),
            Self::ServiceUnavailable => {
                answer_bytes!(persistence, "503 Service Unavailable: Back-end server is at capacity")
            }
            Self::GatewayTimeout => answer_bytes!(persistence, "504 GATEWAY_TIMEOUT"),
            Self::VersionNotSupported => {
                answer_bytes!(persistence, "505 HTTP_VERSION_NOT_SUPPORTED")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::framing::BodyFraming;
    use crate::wire::head::{Asked, HeadLimits, HeadStatus, Reply, ResponseHead};

    #[test]
    fn answers_are_whole_messages_of_their_status() {
        use Answer::*;
        for answer in [
            BadRequest,
            MethodNotAllowed,
            RequestTimeout,
            ContentTooLarge,
            UriTooLong,
            ExpectationFailed,
            TooManyRequests,
            InternalServerError,
            HeaderFieldsTooLarge,
            NotImplemented,
            BadGateway,
            ServiceUnavailable,
            GatewayTimeout,
            VersionNotSupported,
        ] {
            for persistence in [Persistence::Close, Persistence::KeepAlive] {
                let bytes = answer.bytes(persistence);
                let mut head = ResponseHead::default();
                let status = head.parse(bytes, &HeadLimits::default());
                assert_eq!(status, Ok(HeadStatus::Complete { length: bytes.len() }));
                assert_eq!(head.status(), answer.status());
                let framing = BodyFraming::Length(0);
                assert_eq!(head.reply(Asked::default()), Ok(Reply::Final(framing)));
                assert_eq!(head.persistence(framing), persistence);
                let longer = answer.bytes_with(persistence, [(&b"X-A"[..], &b"1"[..]), (b"X-B", b"2")]);
                let mut head = ResponseHead::default();
                let status = head.parse(&longer, &HeadLimits::default());
                assert_eq!(status, Ok(HeadStatus::Complete { length: longer.len() }));
                assert_eq!((head.status(), head.persistence(framing)), (answer.status(), persistence));
            }
        }
    }
}
