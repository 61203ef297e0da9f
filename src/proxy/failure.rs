//! What a failure on a connection means: from errors of `transport` and faults of `wire` to the one list of reasons.

use std::io;

use crate::balance::Lost;
use crate::model::Reason;
use crate::proxy::exchange::REQUEST_ID;
use crate::proxy::session::Session;
use crate::telemetry::RequestId;
use crate::transport::DialError;
use crate::wire::answer::Answer;
use crate::wire::fault::{BodyFault, FramingFault, RequestFault, ResponseFault, SyntaxFault};
use crate::wire::proxy_protocol;

/// The answer a client gets for `reason` when nothing of another answer has been sent; `None` when it gets none.
pub fn answer(reason: Reason) -> Option<Answer> {
    let answer = match reason.fault().status? {
        400 => Answer::BadRequest,
        405 => Answer::MethodNotAllowed,
        408 => Answer::RequestTimeout,
        413 => Answer::ContentTooLarge,
        414 => Answer::UriTooLong,
        429 => Answer::TooManyRequests,
        431 => Answer::HeaderFieldsTooLarge,
        501 => Answer::NotImplemented,
        502 => Answer::BadGateway,
        504 => Answer::GatewayTimeout,
        505 => Answer::VersionNotSupported,
        _ => Answer::ServiceUnavailable,
    };
    Some(answer)
}

/// What an answer of Elbow's own says beside its status: what the request is called, and why it failed where that is
/// wanted.
pub struct OwnFields {
    id: RequestId,
    proxy_status: Option<String>,
}

impl OwnFields {
    /// For a request of `session` called `id` that failed for `reason`.
    pub fn new(session: &Session, id: RequestId, reason: Reason) -> OwnFields {
        // RFC 9209: who answers, the registered type of the error, and our own name for it.
        let error = reason.fault().proxy_status;
        let is_wanted = session.entry.rules.attributes.proxy_status;
        OwnFields { id, proxy_status: is_wanted.then(|| format!("elbow; error={error}; details=\"{reason}\"")) }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let status = self.proxy_status.as_deref().map(|status| (&b"Proxy-Status"[..], status.as_bytes()));
        std::iter::once((REQUEST_ID, self.id.as_bytes())).chain(status)
    }
}

/// What was received as a request and refused: a malformed one, or the PROXY protocol header of somebody who is not
/// trusted to send one.
pub fn of_request(bytes: &[u8], fault: &RequestFault) -> Reason {
    match proxy_protocol::decode(bytes) {
        Ok(_) => Reason::ProxyHeaderUntrusted,
        Err(_) => of_request_head(fault),
    }
}

/// A request head that was refused.
pub fn of_request_head(fault: &RequestFault) -> Reason {
    match fault {
        RequestFault::Syntax(SyntaxFault::StartLineTooLong) => Reason::RequestLineTooLong,
        RequestFault::Syntax(SyntaxFault::FieldTooLong) => Reason::HeaderTooLarge,
        RequestFault::Syntax(SyntaxFault::FieldsTooLarge) => Reason::HeadersTooLarge,
        RequestFault::Syntax(SyntaxFault::TooManyFields) => Reason::TooManyHeaders,
        RequestFault::Framing(FramingFault::TransferEncodingUnsupported) => Reason::TransferCodingUnknown,
        RequestFault::Framing(FramingFault::ContentLengthTooLarge) => Reason::ContentTooLarge,
        RequestFault::Framing(_) | RequestFault::FramingLookalike => Reason::AmbiguousFraming,
        RequestFault::MethodTooLong => Reason::MethodNotAllowed,
        RequestFault::Version => Reason::VersionNotSupported,
        RequestFault::Connect => Reason::ConnectMethod,
        RequestFault::HostMissing | RequestFault::HostRepeated | RequestFault::HostInvalid => Reason::HostInvalid,
        _ => Reason::MalformedRequest,
    }
}

/// A response head that was refused.
pub fn of_response_head(fault: &ResponseFault) -> Reason {
    match fault {
        ResponseFault::Syntax(
            SyntaxFault::StartLineTooLong
            | SyntaxFault::FieldTooLong
            | SyntaxFault::FieldsTooLarge
            | SyntaxFault::TooManyFields,
        ) => Reason::ResponseHeadersTooLarge,
        ResponseFault::Framing(_) => Reason::ResponseFramingAmbiguous,
        ResponseFault::UnexpectedUpgrade => Reason::UpgradeUnrequested,
        _ => Reason::ResponseMalformed,
    }
}

/// A request body that was refused.
pub fn of_request_body(fault: &BodyFault) -> Reason {
    match fault.answer() {
        Answer::HeaderFieldsTooLarge => Reason::RequestTrailersTooLarge,
        _ => Reason::RequestBodyMalformed,
    }
}

/// A connection to an instance that did not come about.
pub fn of_dial(error: &DialError) -> Reason {
    let DialError::Failed(error) = error else { return Reason::ConnectTimeout };
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Reason::ConnectRefused,
        io::ErrorKind::TimedOut => Reason::ConnectTimeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Reason::ConnectUnreachable
        }
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => Reason::LocalPortsExhausted,
        _ => Reason::ConnectFailed,
    }
}

/// What a failure that shows while the answer is on its way is called, if that makes a difference.
pub fn while_answering(reason: Reason) -> Reason {
    match reason {
        Reason::ClientClosed => Reason::ClientReset,
        reason => reason,
    }
}

/// What an attempt lost that did not get a connection, for `reason`.
pub fn lost_in_connecting(reason: Reason) -> Lost {
    match reason {
        Reason::BackendTlsFailed | Reason::BackendTlsTimeout | Reason::BackendKeyUntrusted => Lost::Handshaking,
        _ => Lost::Connecting,
    }
}

/// A request that a shared connection did not take.
pub fn of_call(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::InvalidInput => Reason::HostInvalid,
        // It is going away; another may take the request.
        _ => Reason::BackendUnprocessed,
    }
}

/// A connection to an instance that broke before the answer began.
pub fn of_backend_before_answer(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::TimedOut => Reason::FirstByteTimeout,
        io::ErrorKind::UnexpectedEof => Reason::BackendClosedEarly,
        _ => Reason::BackendReset,
    }
}
