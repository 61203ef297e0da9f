//! The head of a request as the back end gets it.

use std::net::IpAddr;

use crate::wire::address::{write_address, write_decimal};
use crate::wire::connection::Persistence;
use crate::wire::forward::{Additions, ClientCertificate, is_nominated, write_field, write_framing};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Field, FieldName, RequestHead, Version};
use crate::wire::token::list_members;

/// What a client spoke to the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP in clear.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As in a URI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What becomes of `Expect: 100-continue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Elbow answers it itself and the field is removed, as ELB does.
    Answered,
    /// The field goes on and the back end's 100 is relayed.
    Relayed,
}

/// What a request's head does not say itself.
#[derive(Clone, Copy, Debug)]
pub struct RequestForward<'a> {
    /// The client's address, appended to `X-Forwarded-For`.
    pub client: IpAddr,
    /// Becomes `X-Forwarded-Proto`.
    pub scheme: Scheme,
    /// The listener's port, becomes `X-Forwarded-Port`.
    pub listener_port: u16,
    /// The address the client connected to: `Host` of an HTTP/1.0 request that has none (ELB).
    pub node: IpAddr,
    /// Who answers `Expect: 100-continue`.
    pub expectation: Expectation,
    /// Whether Elbow wants to use the back end's connection again.
    pub persistence: Persistence,
    /// Who the client proved to be.
    pub client_certificate: Option<&'a ClientCertificate>,
    /// Fields of later features.
    pub additions: Additions<'a>,
}

/// Appends the head as the back end gets it to `out`. The body goes on in the framing it came in,
/// [`RequestHead::framing`].
///
/// An upgrade request that Elbow passes on ([`RequestHead::upgrade`]) keeps `Upgrade`; any other loses it.
pub fn write_request_head(head: &RequestHead, forward: &RequestForward<'_>, out: &mut Vec<u8>) {
    for part in [head.method(), b" ", head.path(), b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    if head.rewrites_host() {
        write_host(head, forward.node, out);
    }
    head.table().write_fields(|field| is_passed_on(head, forward, field), out);
    if head.version() == Version::Http2 {
        write_joined_cookies(head, out);
    }
    write_forwarded(head, forward, out);
    if let Some(certificate) = forward.client_certificate {
        certificate.visit(|name, value| write_field(name, value, out));
    }
    forward.additions.write(out);
    write_framing(head.framing(), out);
    write_connection(head, forward.persistence, out);
    out.extend_from_slice(b"\r\n");
}

/// Hands the fields of the head to `visit` as an HTTP/2 back end gets them, whose protocol frames the body itself; method,
/// host and path go their own way. Names keep their case.
pub fn visit_request_fields(head: &RequestHead, forward: &RequestForward<'_>, mut visit: impl FnMut(&[u8], &[u8])) {
    let table = head.table();
    let goes_on = |field: &&Field| match field.kind {
        FieldName::Host => false,
        // Split or not, they are the same cookies (RFC 9113 section 8.2.3).
        FieldName::Cookie => !forward.additions.replaces(table.slice(field.name)),
        _ => is_passed_on(head, forward, field),
    };
    for field in table.fields().iter().filter(goes_on) {
        visit(table.slice(field.name), table.slice(field.value));
    }
    // The one thing that HTTP/2 lets `TE` say (RFC 9113 section 8.2.2).
    if head.values(FieldName::Te).flat_map(list_members).any(|coding| coding.eq_ignore_ascii_case(b"trailers")) {
        visit(b"te", b"trailers");
    }
    let mut text = Vec::with_capacity(64);
    write_forwarded_for(head, forward, &mut text);
    visit(b"x-forwarded-for", &text);
    visit(b"x-forwarded-proto", forward.scheme.name().as_bytes());
    text.clear();
    write_decimal(u64::from(forward.listener_port), &mut text);
    visit(b"x-forwarded-port", &text);
    if let Some(certificate) = forward.client_certificate {
        certificate.visit(&mut visit);
    }
    forward.additions.iter().for_each(|(name, value)| visit(name, value));
    if let BodyFraming::Length(length) = head.framing() {
        text.clear();
        write_decimal(length, &mut text);
        visit(b"content-length", &text);
    }
}

/// The host that the request asks for, as a back end gets it.
pub fn write_authority(head: &RequestHead, node: IpAddr, out: &mut Vec<u8>) {
    match (head.host().filter(|host| !host.is_empty()), node.to_canonical()) {
        (Some(host), _) => out.extend_from_slice(host),
        (None, node @ IpAddr::V4(_)) => write_address(node, out),
        (None, node @ IpAddr::V6(_)) => {
            out.push(b'[');
            write_address(node, out);
            out.push(b']');
        }
    }
}

fn is_passed_on(head: &RequestHead, forward: &RequestForward<'_>, field: &Field) -> bool {
    let by_name = match field.kind {
        FieldName::Other => !is_nominated(head.table(), head.connection(), field),
        FieldName::Host => !head.rewrites_host(),
        FieldName::Cookie => head.version() != Version::Http2,
        FieldName::Expect => is_expectation_passed_on(head, forward, field),
        FieldName::Trailer => head.framing() == BodyFraming::Chunked,
        FieldName::XForwardedFor | FieldName::XForwardedPort | FieldName::XForwardedProto => false,
        FieldName::ClientCertificate | FieldName::Lookalike => false,
        kind => !kind.is_hop_by_hop(),
    };
    by_name && !forward.additions.replaces(head.table().slice(field.name))
}

/// `100-continue` means nothing in HTTP/1.0 (RFC 9110 section 10.1.1), so it must not come to mean something to the
/// back end. Other expectations are the back end's business.
fn is_expectation_passed_on(head: &RequestHead, forward: &RequestForward<'_>, field: &Field) -> bool {
    let is_continue = head.table().slice(field.value).eq_ignore_ascii_case(b"100-continue");
    !is_continue || (head.expects_continue() && forward.expectation == Expectation::Relayed)
}

fn write_host(head: &RequestHead, node: IpAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Host: ");
    match head.host() {
        Some(host) => out.extend_from_slice(host),
        None => write_authority(head, node, out),
    }
    out.extend_from_slice(b"\r\n");
}

/// HTTP/2 clients may split `Cookie` to compress better; HTTP/1.1 has one line (RFC 9113 section 8.2.3).
fn write_joined_cookies(head: &RequestHead, out: &mut Vec<u8>) {
    for (index, crumb) in head.values(FieldName::Cookie).enumerate() {
        out.extend_from_slice(if index == 0 { b"Cookie: " } else { b"; " });
        out.extend_from_slice(crumb);
    }
    if head.get(FieldName::Cookie).is_some() {
        out.extend_from_slice(b"\r\n");
    }
}

fn write_forwarded(head: &RequestHead, forward: &RequestForward<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    write_forwarded_for(head, forward, out);
    out.extend_from_slice(match forward.scheme {
        Scheme::Http => b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ".as_slice(),
        Scheme::Https => b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: ",
    });
    write_decimal(u64::from(forward.listener_port), out);
    out.extend_from_slice(b"\r\n");
}

fn write_forwarded_for(head: &RequestHead, forward: &RequestForward<'_>, out: &mut Vec<u8>) {
    for known in head.values(FieldName::XForwardedFor).filter(|known| !known.is_empty()) {
        out.extend_from_slice(known);
        out.extend_from_slice(b", ");
    }
    write_address(forward.client, out);
}

/// `keep-alive` is said aloud, as ELB does: an HTTP/1.0 back end keeps its connection only when asked.
fn write_connection(head: &RequestHead, persistence: Persistence, out: &mut Vec<u8>) {
    match (head.upgrade(), persistence) {
        (Some(protocol), _) => {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            write_field(b"Upgrade", protocol, out);
        }
        (None, Persistence::KeepAlive) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (None, Persistence::Close) => out.extend_from_slice(b"Connection: close\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Content, HeadLimits};

    const FORWARD: RequestForward<'static> = RequestForward {
        client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        scheme: Scheme::Https,
        listener_port: 8443,
        node: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        expectation: Expectation::Answered,
        persistence: Persistence::KeepAlive,
        client_certificate: None,
        additions: Additions { replace: &[], append: &[] },
    };
    const FORWARDED: &str = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n";
    const KEPT: &str = "Connection: keep-alive\r\n\r\n";

    fn forward_with(head: &str, forward: &RequestForward<'_>) -> String {
        let mut parsed = RequestHead::default();
        parsed.parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        let mut out = Vec::new();
        write_request_head(&parsed, forward, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn forward(head: &str) -> String {
        forward_with(head, &FORWARD)
    }

    #[test]
    fn passes_on_what_is_end_to_end_in_order() {
        assert_eq!(
            forward(
                "GET /a HTTP/1.1\r\nHost: h\r\nACCEPT:*/*  \r\nX-A: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
                 X-B:\r\nProxy: http://evil\r\nProxy-Connection: close\r\nX-C: 3\r\nX_Forwarded_For: 6\r\n\r\n"
            ),
            format!("GET /a HTTP/1.1\r\nHost: h\r\nACCEPT: */*\r\nX-A: 1\r\nX-B: \r\nX-C: 3\r\n{FORWARDED}{KEPT}")
        );
    }

    #[test]
    fn nominated_fields_go_but_essentials_stay() {
        assert_eq!(
            forward(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Hop, Host, Cookie\r\nX-Hop: 1\r\n\
                 Cookie: a=1\r\nX-Stay: 2\r\n\r\n"
            ),
            format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nX-Stay: 2\r\n{FORWARDED}{KEPT}")
        );
    }

    #[test]
    fn the_forwarded_fields_are_elbows_word() {
        let out = forward(
            "GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: ftp\r\nHost: h\r\n\
             X-Forwarded-Port: 1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n\r\n",
        );
        assert_eq!(
            out,
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n\
                 X-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n{KEPT}"
            )
        );
    }

    #[test]
    fn framing_is_written_anew() {
        assert_eq!(
            forward("POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 007\r\nTrailer: X\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: h\r\n{FORWARDED}Content-Length: 7\r\n{KEPT}")
        );
        assert_eq!(
            forward("POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: CHUNKED\r\nTrailer: X\r\n\r\n"),
            format!("POST / HTTP/1.1\r\nHost: h\r\nTrailer: X\r\n{FORWARDED}Transfer-Encoding: chunked\r\n{KEPT}")
        );
    }

    #[test]
    fn host_comes_from_the_target_or_the_node_when_it_must() {
        assert_eq!(
            forward("GET http://real:80/p HTTP/1.1\r\nHost: fake\r\n\r\n"),
            format!("GET /p HTTP/1.1\r\nHost: real:80\r\n{FORWARDED}{KEPT}")
        );
        assert_eq!(forward("GET / HTTP/1.0\r\n\r\n"), format!("GET / HTTP/1.1\r\nHost: [::1]\r\n{FORWARDED}{KEPT}"));
    }

    #[test]
    fn expect_goes_on_only_when_the_back_end_answers_it() {
        let request = "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
        assert!(!forward(request).contains("Expect"));
        let relayed = RequestForward { expectation: Expectation::Relayed, ..FORWARD };
        assert!(forward_with(request, &relayed).contains("\r\nExpect: 100-Continue\r\n"));
    }

    #[test]
    fn upgrades_keep_their_upgrade() {
        let request =
            |protocol: &str| format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        let base = format!("GET / HTTP/1.1\r\nHost: h\r\n{FORWARDED}");
        assert_eq!(forward(&request("websocket")), format!("{base}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"));
        assert_eq!(forward(&request("h2c")), format!("{base}{KEPT}"));
    }

    #[test]
    fn who_the_client_is_only_elbow_says() {
        let request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Client-Cert: Hash=00\r\nX-A: 1\r\n\
                       x-amzn-mtls-clientcert-subject: CN=root\r\nX_Amzn_Mtls_Clientcert_Subject: CN=root\r\n\
                       X-Forwarded_Client-Cert: Hash=00\r\nX-Amzn-Mtls-Clientcert: x\r\nConnection: X-A,\
                       X-Forwarded-Client-Cert\r\nX-Amzn-Mtls-Clientcert-Leaf: x\r\n\
                       X-AMZN-MTLS-CLIENTCERT-SERIAL-NUMBER: 1\r\nX-Amzn-Mtls-Clientcert-Issuer: CN=root\r\n\
                       X-Amzn-Mtls-Clientcert-Validity: x\r\n\r\n";
        assert_eq!(forward(request), format!("GET / HTTP/1.1\r\nHost: h\r\n{FORWARDED}{KEPT}"));
        let certificate = ClientCertificate {
            subject: "CN=a \\\"b\\\"".to_owned(),
            issuer: "CN=Staff".to_owned(),
            serial: "0a".to_owned(),
            fingerprint: "ff00".to_owned(),
        };
        let known = RequestForward { client_certificate: Some(&certificate), ..FORWARD };
        let told = "X-Amzn-Mtls-Clientcert-Subject: CN=a \\\"b\\\"\r\nX-Amzn-Mtls-Clientcert-Issuer: CN=Staff\r\n\
                    X-Amzn-Mtls-Clientcert-Serial-Number: 0a\r\n\
                    X-Forwarded-Client-Cert: Hash=ff00;Subject=\"CN=a \\\"b\\\"\"\r\n";
        assert_eq!(forward_with(request, &known), format!("GET / HTTP/1.1\r\nHost: h\r\n{FORWARDED}{told}{KEPT}"));
        let mut head = RequestHead::default();
        head.parse(request.as_bytes(), &HeadLimits::default()).unwrap();
        let mut seen = String::new();
        visit_request_fields(&head, &known, |name, value| {
            seen += &format!("{}: {}\r\n", str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap());
        });
        assert!(seen.ends_with(told) && !seen.contains("root") && !seen.contains("Hash=00"), "{seen}");
    }

    #[test]
    fn additions_replace_or_append() {
        let additions = Additions { replace: &[(b"X-Request-Id", b"1")], append: &[(b"X-A", b"2")] };
        assert_eq!(
            forward_with(
                "GET / HTTP/1.1\r\nHost: h\r\nx-request-id: 9\r\nX-A: 1\r\n\r\n",
                &RequestForward { additions, persistence: Persistence::Close, ..FORWARD }
            ),
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n{FORWARDED}X-Request-Id: 1\r\nX-A: 2\r\n\
                 Connection: close\r\n\r\n"
            )
        );
    }

    #[test]
    fn http2_back_ends_get_fields_without_framing() {
        let fields = |request: &str| {
            let mut head = RequestHead::default();
            head.parse(request.as_bytes(), &HeadLimits::default()).unwrap();
            let mut seen = String::new();
            visit_request_fields(&head, &FORWARD, |name, value| {
                if !name.starts_with(b"x-forwarded-") {
                    seen += &format!("{}={} ", name.escape_ascii(), value.escape_ascii());
                }
            });
            let mut authority = Vec::new();
            write_authority(&head, FORWARD.node, &mut authority);
            seen + &String::from_utf8(authority).unwrap()
        };
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nAccept: a\r\n\r\n", "Accept=a h"),
            ("GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, trailers\r\nCookie: a\r\n\r\n", "Cookie=a te=trailers h"),
            ("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\n", "content-length=5 h"),
            ("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", "h"),
            ("GET / HTTP/1.0\r\n\r\n", "[::1]"),
        ] {
            assert_eq!(fields(request), expected, "{request:?}");
        }
    }

    #[test]
    fn a_built_head_reads_like_a_parsed_one() {
        let mut head = RequestHead::default();
        head.begin(b"GET", Some(b"h"), b"/").unwrap();
        for (name, value) in [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("host", "h")] {
            head.push_field(name.as_bytes(), value.as_bytes()).unwrap();
        }
        head.finish(Content::Empty).unwrap();
        let mut out = Vec::new();
        write_request_head(&head, &FORWARD, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("GET / HTTP/1.1\r\nHost: h\r\naccept: */*\r\nCookie: a=1; b=2\r\n{FORWARDED}{KEPT}")
        );
    }
}
