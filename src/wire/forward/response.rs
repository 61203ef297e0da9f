//! The head of a response as the client gets it.

use crate::wire::address::write_decimal;
use crate::wire::connection::Persistence;
use crate::wire::forward::{Additions, is_nominated, write_field, write_framing};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Field, FieldName, Reply, ResponseHead, Version};

/// What a response's head does not say itself.
#[derive(Clone, Copy, Debug)]
pub struct ResponseForward<'a> {
    /// The client's version.
    pub client: Version,
    /// Whether the client's connection is to be kept: what the client wants and Elbow grants.
    pub persistence: Persistence,
    /// Fields of later features.
    pub additions: Additions<'a>,
}

/// What the client was told by a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How the body has to be written.
    pub framing: BodyFraming,
    /// Whether the client's connection may carry another answer.
    pub persistence: Persistence,
}

/// Appends the head as an HTTP/1 client gets it to `out`, and says how the body has to be written.
///
/// A chunked body goes to an HTTP/1.0 client without chunks and ends with its connection; a body that lasts
/// until the back end closes goes to an HTTP/1.1 client in chunks, so its connection survives and an aborted
/// body does not look whole. An interim response must not be sent to an HTTP/1.0 client
/// (RFC 9110 section 15.2): nothing is written for it.
pub fn write_response_head(
    head: &ResponseHead,
    reply: Reply,
    forward: &ResponseForward<'_>,
    out: &mut Vec<u8>,
) -> Sent {
    let framing = framing_for(reply, forward.client);
    let persistence = match framing {
        BodyFraming::UntilClose => Persistence::Close,
        _ => forward.persistence,
    };
    let sent = Sent { framing, persistence };
    if reply == Reply::Interim && forward.client == Version::Http10 {
        return sent;
    }
    write_status_line(head, out);
    head.table().write_fields(|field| is_passed_on(head, forward, framing, field), out);
    match reply {
        Reply::Interim => {}
        Reply::SwitchingProtocols => write_upgrade(head, out),
        Reply::Final(_) => {
            forward.additions.write(out);
            write_length(head, framing, out);
            write_connection(forward.client, persistence, out);
        }
    }
    out.extend_from_slice(b"\r\n");
    sent
}

/// Hands the fields of the head to `visit` as an HTTP/2 client gets them, whose protocol frames the body itself; the
/// status goes its own way. Names keep their case.
pub fn visit_response_fields(
    head: &ResponseHead,
    reply: Reply,
    forward: &ResponseForward<'_>,
    mut visit: impl FnMut(&[u8], &[u8]),
) {
    let framing = framing_for(reply, Version::Http2);
    for field in head.table().fields().iter().filter(|field| is_passed_on(head, forward, framing, field)) {
        visit(head.table().slice(field.name), head.table().slice(field.value));
    }
    if let Reply::Final(_) = reply {
        forward.additions.iter().for_each(|(name, value)| visit(name, value));
        if let Some(length) = length_said(head, framing) {
            let mut digits = Vec::with_capacity(20);
            write_decimal(length, &mut digits);
            visit(b"content-length", &digits);
        }
    }
}

fn framing_for(reply: Reply, client: Version) -> BodyFraming {
    match (reply, client) {
        (Reply::Interim | Reply::SwitchingProtocols, _) => BodyFraming::None,
        (Reply::Final(BodyFraming::Chunked), Version::Http10) => BodyFraming::UntilClose,
        (Reply::Final(BodyFraming::UntilClose), Version::Http11 | Version::Http2) => BodyFraming::Chunked,
        (Reply::Final(framing), _) => framing,
    }
}

fn write_status_line(head: &ResponseHead, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(u64::from(head.status()), out);
    for part in [b" ", head.reason(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn is_passed_on(head: &ResponseHead, forward: &ResponseForward<'_>, framing: BodyFraming, field: &Field) -> bool {
    let by_name = match field.kind {
        FieldName::Other => !is_nominated(head.table(), head.connection(), field),
        FieldName::Trailer => framing == BodyFraming::Chunked,
        // RFC 8441 section 5.
        FieldName::SecWebSocketAccept => forward.client != Version::Http2,
        kind => !kind.is_hop_by_hop(),
    };
    by_name && !forward.additions.replaces(head.table().slice(field.name))
}

fn write_length(head: &ResponseHead, framing: BodyFraming, out: &mut Vec<u8>) {
    write_framing(length_said(head, framing).map_or(framing, BodyFraming::Length), out);
}

/// The length that the answer says. To `HEAD` and in a 304 that is of a body that it does not have; a 204 says none.
fn length_said(head: &ResponseHead, framing: BodyFraming) -> Option<u64> {
    match framing {
        BodyFraming::Length(length) => Some(length),
        BodyFraming::None => head.declared_length().filter(|_| head.status() != 204),
        BodyFraming::Chunked | BodyFraming::UntilClose => None,
    }
}

fn write_connection(client: Version, persistence: Persistence, out: &mut Vec<u8>) {
    match (persistence, client) {
        (Persistence::Close, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (Persistence::KeepAlive, Version::Http10) => {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        (Persistence::KeepAlive, Version::Http11 | Version::Http2) => {}
    }
}

fn write_upgrade(head: &ResponseHead, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: upgrade\r\n");
    for protocol in head.values(FieldName::Upgrade) {
        write_field(b"Upgrade", protocol, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Asked, HeadLimits, Method};

    const GET: Asked = Asked { method: Method::Get, upgrade: false };
    const HEAD: Asked = Asked { method: Method::Head, upgrade: false };
    const TO_HTTP11: ResponseForward<'static> = ResponseForward {
        client: Version::Http11,
        persistence: Persistence::KeepAlive,
        additions: Additions { replace: &[], append: &[] },
    };
    const TO_HTTP10: ResponseForward<'static> = ResponseForward { client: Version::Http10, ..TO_HTTP11 };

    fn forward(response: &str, asked: Asked, forward: &ResponseForward<'_>) -> (String, Sent) {
        let mut head = ResponseHead::default();
        head.parse(response.as_bytes(), &HeadLimits::default()).unwrap();
        let mut out = Vec::new();
        let sent = write_response_head(&head, head.reply(asked).unwrap(), forward, &mut out);
        (String::from_utf8(out).unwrap(), sent)
    }

    fn kept(framing: BodyFraming) -> Sent {
        Sent { framing, persistence: Persistence::KeepAlive }
    }

    #[test]
    fn the_back_ends_connection_is_its_own_business() {
        let (text, sent) = forward(
            "HTTP/1.1 200 OK\r\nServer: s\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n\
             Date: d\r\nContent-Length: 005\r\nSet-Cookie: a\r\n\r\n",
            GET,
            &TO_HTTP11,
        );
        assert_eq!(text, "HTTP/1.1 200 OK\r\nServer: s\r\nDate: d\r\nSet-Cookie: a\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(sent, kept(BodyFraming::Length(5)));
    }

    #[test]
    fn framing_suits_the_client() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n";
        let closing = "HTTP/1.0 200 OK\r\n\r\n";
        let closed = Sent { framing: BodyFraming::UntilClose, persistence: Persistence::Close };
        for (response, to, text, sent) in [
            (
                chunked,
                &TO_HTTP11,
                "HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n",
                kept(BodyFraming::Chunked),
            ),
            (chunked, &TO_HTTP10, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", closed),
            (closing, &TO_HTTP11, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", kept(BodyFraming::Chunked)),
            (closing, &TO_HTTP10, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", closed),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
                &TO_HTTP10,
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
                kept(BodyFraming::Length(1)),
            ),
        ] {
            assert_eq!(forward(response, GET, to), (text.to_owned(), sent), "{response:?}");
        }
    }

    #[test]
    fn answers_without_a_body_may_still_say_its_length() {
        for (response, asked, text) in [
            ("200 OK\r\nContent-Length: 9\r\n\r\n", HEAD, "200 OK\r\nContent-Length: 9\r\n\r\n"),
            ("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD, "200 OK\r\n\r\n"),
            ("304 N\r\nContent-Length: 9\r\n\r\n", GET, "304 N\r\nContent-Length: 9\r\n\r\n"),
            ("204 N\r\nContent-Length: 9\r\n\r\n", GET, "204 N\r\n\r\n"),
        ] {
            let (written, sent) = forward(&format!("HTTP/1.1 {response}"), asked, &TO_HTTP11);
            assert_eq!(written, format!("HTTP/1.1 {text}"));
            assert_eq!(sent, kept(BodyFraming::None));
        }
    }

    #[test]
    fn interim_answers_go_to_http11_only() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: close\r\n\r\n";
        assert_eq!(forward(hints, GET, &TO_HTTP11).0, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
        assert_eq!(forward(hints, GET, &TO_HTTP10).0, "");
    }

    #[test]
    fn switching_keeps_its_protocol() {
        let (text, _) = forward(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: x\r\n\r\n",
            Asked { method: Method::Get, upgrade: true },
            &TO_HTTP11,
        );
        assert_eq!(
            text,
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: upgrade\r\n\
             Upgrade: websocket\r\n\r\n"
        );
    }

    #[test]
    fn http2_clients_get_fields_without_framing() {
        let fields = |response: &str, asked: Asked| {
            let mut head = ResponseHead::default();
            head.parse(format!("HTTP/1.1 {response}\r\n\r\n").as_bytes(), &HeadLimits::default()).unwrap();
            let additions = Additions { replace: &[], append: &[(b"set-cookie", b"b")] };
            let mut seen = String::new();
            let forward = ResponseForward { additions, client: Version::Http2, ..TO_HTTP11 };
            visit_response_fields(&head, head.reply(asked).unwrap(), &forward, |name, value| {
                seen += &format!("{}={} ", name.escape_ascii(), value.escape_ascii());
            });
            seen
        };
        for (response, asked, expected) in [
            ("200 OK\r\nContent-Length: 05\r\nSet-Cookie: a", GET, "Set-Cookie=a set-cookie=b content-length=5 "),
            ("200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x", GET, "Trailer=x set-cookie=b "),
            ("200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5", GET, "set-cookie=b "),
            ("200 OK\r\nContent-Length: 9", HEAD, "set-cookie=b content-length=9 "),
            ("204 N\r\nContent-Length: 9", GET, "set-cookie=b "),
            ("103 Early Hints\r\nLink: a\r\nUpgrade: h2c", GET, "Link=a "),
        ] {
            assert_eq!(fields(response, asked), expected, "{response:?}");
        }
    }

    #[test]
    fn additions_and_close() {
        let additions = Additions { replace: &[], append: &[(b"Set-Cookie", b"AWSELB=1")] };
        let (text, sent) = forward(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nContent-Length: 0\r\n\r\n",
            GET,
            &ResponseForward { additions, persistence: Persistence::Close, ..TO_HTTP11 },
        );
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: AWSELB=1\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(sent.persistence, Persistence::Close);
    }
}
