//! Heads between HTTP/2 and the wire's own: the words of `http` on one side, `wire` on the other.
//!
//! `h2` has judged the pseudo-header fields and the grammar of HTTP/2 (RFC 9113 sections 8.2 and 8.3); what a request
//! means, and whether it may go on, is judged by the same rules as an HTTP/1 head.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request;
use http::response::Response;
use http::{Method, StatusCode};

use crate::wire::fault::{BodyFault, RequestFault, SyntaxFault};
use crate::wire::forward::{ResponseForward, visit_response_fields};
use crate::wire::head::{Content, HeadLimits, Reply, RequestHead, ResponseHead};
use crate::wire::trailers::Trailers;

/// What a field line costs beside its name and value: colon, space, CR LF, so that the limits mean what they mean in
/// HTTP/1.
const LINE_OVERHEAD: usize = 4;

/// Takes a request's head over into `head`.
///
/// # Errors
/// Why the request is refused.
pub(in crate::transport) fn read_request(
    parts: &request::Parts,
    content: Content,
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), RequestFault> {
    if parts.method == Method::CONNECT {
        return Err(RequestFault::Connect);
    }
    let method = parts.method.as_str();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if method.len() + path.len() > limits.request_line {
        return Err(SyntaxFault::StartLineTooLong.into());
    }
    check_sizes(&parts.headers, limits)?;
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    head.begin(method.as_bytes(), authority, path.as_bytes())?;
    for (name, value) in &parts.headers {
        head.push_field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    head.finish(content)
}

fn check_sizes(fields: &HeaderMap, limits: &HeadLimits) -> Result<(), SyntaxFault> {
    if fields.len() > limits.header_count {
        return Err(SyntaxFault::TooManyFields);
    }
    let mut total = 0;
    for (name, value) in fields {
        let line = name.as_str().len() + value.len() + LINE_OVERHEAD;
        if line > limits.header {
            return Err(SyntaxFault::FieldTooLong);
        }
        total += line;
    }
    if total > limits.headers_total { Err(SyntaxFault::FieldsTooLarge) } else { Ok(()) }
}

/// An answer's head as an HTTP/2 client gets it.
pub(in crate::transport) fn answer(head: &ResponseHead, reply: Reply, forward: &ResponseForward<'_>) -> Response<()> {
    let mut answer = empty_answer(head.status());
    let fields = answer.headers_mut();
    visit_response_fields(head, reply, forward, |name, value| add(fields, name, value));
    answer
}

/// An answer without fields. A status that HTTP/2 cannot say was no status before.
pub(in crate::transport) fn empty_answer(status: u16) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    answer
}

/// Trailers as HTTP/2 sends them.
pub(in crate::transport) fn trailer_fields(trailers: &Trailers) -> HeaderMap {
    let mut fields = HeaderMap::new();
    trailers.iter().for_each(|(name, value)| add(&mut fields, name, value));
    fields
}

/// Takes trailers over; those that may not go on are left out.
///
/// # Errors
/// When they are too large or break the grammar.
pub(in crate::transport) fn read_trailers(fields: &HeaderMap) -> Result<Trailers, BodyFault> {
    let mut trailers = Trailers::default();
    for (name, value) in fields {
        trailers.push(name.as_str().as_bytes(), value.as_bytes())?;
    }
    Ok(trailers)
}

/// Adds a field that has been found good; one that HTTP/2 cannot carry all the same (`obs-text` never, an empty name
/// never) is not worth an answer.
pub(in crate::transport) fn add(fields: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        fields.append(name, value);
    }
}
