//! Heads between HTTP/2 and the wire's own: the words of `http` on one side, `wire` on the other.
//!
//! `h2` has judged the pseudo-header fields and the grammar of HTTP/2 (RFC 9113 sections 8.2 and 8.3); what a request
//! means, and whether it may go on, is judged by the same rules as an HTTP/1 head.

use std::io;

use h2::ext::Protocol;
use http::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
};
use http::request::{self, Request};
use http::response::{self, Response};
use http::{Method, StatusCode, Uri, Version};

use crate::wire::fault::{BodyFault, RequestFault, ResponseFault, SyntaxFault};
use crate::wire::forward::{
    RequestForward, ResponseForward, visit_request_fields, visit_response_fields, write_authority,
};
use crate::wire::head::{Content, HeadLimits, Method as AskedMethod, Reply, RequestHead, ResponseHead};
use crate::wire::trailers::Trailers;
use crate::wire::websocket;

/// What a field line costs beside its name and value: colon, space, CR LF, so that the limits mean what they mean in
/// HTTP/1.
const LINE_OVERHEAD: usize = 4;

/// A cookie with fewer bytes is never indexed, as Firefox and nghttp2 have it.
const GUESSABLE_COOKIE: usize = 20;
/// Fields that no other message has with the same value. They are sent as never to be indexed (RFC 7541 section 6.2.3):
/// in the peer's table they would push out what comes again, and the encoder would compare each with all before it.
static OF_ONE_MESSAGE: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-amzn-trace-id"),
];

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
    let opens = parts.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == websocket::PROTOCOL);
    if parts.method == Method::CONNECT && !opens {
        return Err(RequestFault::Connect);
    }
    let method = if opens { Method::GET.as_str() } else { parts.method.as_str() };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if method.len() + path.len() > limits.request_line {
        return Err(SyntaxFault::StartLineTooLong.into());
    }
    check_sizes(&parts.headers, limits)?;
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    head.begin(method.as_bytes(), authority, path.as_bytes())?;
    // The client's own key means nothing (RFC 8441 section 5).
    let passed_on = parts.headers.iter().filter(|(name, _)| !opens || name.as_str().as_bytes() != websocket::KEY);
    for (name, value) in passed_on {
        head.push_field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    if opens {
        head.push_field(websocket::KEY, websocket::key().as_bytes())?;
        return head.finish_opening(websocket::PROTOCOL.as_bytes());
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

/// A request's head as an HTTP/2 server gets it.
///
/// # Errors
/// When HTTP/2 cannot say it: a host or a path that is none there.
pub(in crate::transport) fn request(head: &RequestHead, forward: &RequestForward<'_>) -> io::Result<Request<()>> {
    let mut authority = Vec::new();
    write_authority(head, forward.node, &mut authority);
    let uri = Uri::builder().scheme(forward.scheme.name()).authority(authority.as_slice()).path_and_query(head.path());
    let built = Request::builder().version(Version::HTTP_2).method(head.method()).uri(uri.build().map_err(unsayable)?);
    let mut request = built.body(()).map_err(unsayable)?;
    let fields = request.headers_mut();
    let is_secret = head.is_confidential();
    visit_request_fields(head, forward, |name, value| add(fields, name, value, is_secret));
    Ok(request)
}

/// The same of a request that opens a WebSocket (RFC 8441 section 5).
///
/// # Errors
/// As [`request()`].
pub(in crate::transport) fn opening(head: &RequestHead, forward: &RequestForward<'_>) -> io::Result<Request<()>> {
    let mut request = request(head, forward)?;
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static(websocket::PROTOCOL));
    request.headers_mut().remove(SEC_WEBSOCKET_KEY);
    Ok(request)
}

fn unsayable(error: http::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Takes an answer's head over into `head`; `method` is that of the request.
///
/// # Errors
/// Why the answer is refused.
pub(in crate::transport) fn read_answer(
    parts: &response::Parts,
    content: Content,
    method: AskedMethod,
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), ResponseFault> {
    check_sizes(&parts.headers, limits)?;
    // RFC 9113 section 8.6.
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ResponseFault::UnexpectedUpgrade);
    }
    head.begin(parts.status.as_u16());
    for (name, value) in &parts.headers {
        head.push_field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    head.finish(content, method)
}

/// Takes over the head of an answer by which a WebSocket was opened, as one that meets the client's key with `acceptance`.
///
/// # Errors
/// Why the answer is refused.
pub(in crate::transport) fn read_agreement(
    parts: &response::Parts,
    acceptance: &str,
    limits: &HeadLimits,
    head: &mut ResponseHead,
) -> Result<(), ResponseFault> {
    check_sizes(&parts.headers, limits)?;
    head.begin(StatusCode::SWITCHING_PROTOCOLS.as_u16());
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != SEC_WEBSOCKET_ACCEPT) {
        head.push_field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    head.finish_opening(websocket::PROTOCOL.as_bytes(), acceptance.as_bytes())
}

/// An answer's head as an HTTP/2 client gets it.
pub(in crate::transport) fn answer(head: &ResponseHead, reply: Reply, forward: &ResponseForward<'_>) -> Response<()> {
    // What an HTTP/1.1 server says by 101 is said by success (RFC 8441 section 5).
    let status = if reply == Reply::SwitchingProtocols { StatusCode::OK.as_u16() } else { head.status() };
    let mut answer = empty_answer(status);
    let fields = answer.headers_mut();
    let is_secret = head.is_confidential();
    visit_response_fields(head, reply, forward, |name, value| add(fields, name, value, is_secret));
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
    trailers.iter().for_each(|(name, value)| add(&mut fields, name, value, trailers.is_confidential()));
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
/// never) is not worth an answer. `is_secret` says that it must never be indexed.
pub(in crate::transport) fn add(fields: &mut HeaderMap, name: &[u8], value: &[u8], is_secret: bool) {
    let of_one = OF_ONE_MESSAGE.iter().find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name));
    let is_of_one = of_one.is_some();
    let name = of_one.cloned().map_or_else(|| HeaderName::from_bytes(name), Ok);
    if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_bytes(value)) {
        value.set_sensitive(is_secret || is_of_one || is_guessable(&name, &value));
        fields.append(name, value);
    }
}

/// Whether the value is a secret that could be guessed piece by piece by the size of compressed heads: it is never indexed,
/// here and further on (RFC 7541 section 7.1.3).
fn is_guessable(name: &HeaderName, value: &HeaderValue) -> bool {
    *name == AUTHORIZATION || (*name == COOKIE && value.len() < GUESSABLE_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_other_message_has_is_not_indexed() {
        let mut fields = HeaderMap::new();
        for (name, value) in [("X-Request-Id", "1"), ("Traceparent", "00-1"), ("Server", "nginx"), ("X-Request", "1")] {
            add(&mut fields, name.as_bytes(), value.as_bytes(), false);
        }
        let told: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.is_sensitive())).collect();
        let expected = [("x-request-id", true), ("traceparent", true), ("server", false), ("x-request", false)];
        assert_eq!(told, expected);
    }
}
