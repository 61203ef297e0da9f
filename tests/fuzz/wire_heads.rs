//! Heads: one reading whatever the pieces, and what is forwarded reads as what was understood.

use std::net::{IpAddr, Ipv4Addr};

use elbow::wire::connection::Persistence;
use elbow::wire::desync;
use elbow::wire::fault::{RequestFault, ResponseFault};
use elbow::wire::forward::{
    Additions, Expectation, RequestForward, ResponseForward, Scheme, write_request_head, write_response_head,
};
use elbow::wire::head::{Asked, FieldName, HeadLimits, HeadStatus, Method, Reply, RequestHead, ResponseHead, Version};

use crate::corpus;

/// Small, so that inputs of some hundred bytes reach them.
const LIMITS: HeadLimits = HeadLimits { request_line: 200, header: 100, headers_total: 400, header_count: 10 };
/// For what Elbow wrote itself, which is longer than what it read.
const WIDE: HeadLimits = HeadLimits { request_line: 999, header: 9999, headers_total: 9999, header_count: 99 };

const FORWARD: RequestForward<'static> = RequestForward {
    client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    scheme: Scheme::Https,
    listener_port: 443,
    node: IpAddr::V4(Ipv4Addr::LOCALHOST),
    expectation: Expectation::Answered,
    persistence: Persistence::KeepAlive,
    client_certificate: None,
    additions: Additions { replace: &[], append: &[] },
};

/// Any bytes as a request head.
pub fn fuzz_request_head(input: &[u8]) {
    desync::of_bytes(input);
    let mut head = RequestHead::default();
    let whole = head.parse(input, &LIMITS);
    assert_eq!(whole, parse_request_in_pieces(input), "the pieces changed the reading");
    let Ok(HeadStatus::Complete { length }) = whole else { return };
    assert!(length <= input.len());
    assert_clean(head.fields().flat_map(|(name, value)| [name, value]).chain([head.method(), head.path()]));

    let bytes = input[..length].trim_ascii_start();
    assert_eq!(desync::of_accepted(&head).class(), desync::of_bytes(bytes).class(), "judged in two ways");

    let mut forwarded = Vec::new();
    write_request_head(&head, &FORWARD, &mut forwarded);
    let mut again = RequestHead::default();
    let length = forwarded.len();
    assert_eq!(again.parse(&forwarded, &WIDE), Ok(HeadStatus::Complete { length }), "what was written is refused");
    assert_eq!((again.method(), again.target()), (head.method(), head.path()));
    assert_eq!((again.framing(), again.upgrade()), (head.framing(), head.upgrade()));
    assert_eq!(again.host(), head.host().or(Some(b"127.0.0.1")));
    assert_eq!(again.values(FieldName::XForwardedFor).count(), 1);
    assert!(again.values(FieldName::ContentLength).chain(again.values(FieldName::TransferEncoding)).count() <= 1);

    let mut twice = Vec::new();
    write_request_head(&again, &FORWARD, &mut twice);
    assert_eq!(without_addresses(&twice), without_addresses(&forwarded), "forwarding again changed more");
}

/// Any bytes as a response head.
pub fn fuzz_response_head(input: &[u8]) {
    let mut head = ResponseHead::default();
    let whole = head.parse(input, &LIMITS);
    assert_eq!(whole, parse_response_in_pieces(input), "the pieces changed the reading");
    let Ok(HeadStatus::Complete { length }) = whole else { return };
    assert!(length <= input.len());
    assert_clean(head.fields().flat_map(|(name, value)| [name, value]).chain([head.reason()]));
    for method in [Method::Get, Method::Head] {
        for upgrade in [false, true] {
            check_forwarded_response(&head, Asked { method, upgrade });
        }
    }
}

fn check_forwarded_response(head: &ResponseHead, asked: Asked) {
    let Ok(reply) = head.reply(asked) else { return };
    for client in [Version::Http10, Version::Http11] {
        let forward = ResponseForward { client, persistence: Persistence::KeepAlive, additions: Additions::default() };
        let mut forwarded = Vec::new();
        let sent = write_response_head(head, reply, &forward, &mut forwarded);
        if forwarded.is_empty() {
            assert_eq!((reply, client), (Reply::Interim, Version::Http10));
            continue;
        }
        let mut again = ResponseHead::default();
        let length = forwarded.len();
        assert_eq!(again.parse(&forwarded, &WIDE), Ok(HeadStatus::Complete { length }), "what was written is refused");
        assert_eq!((again.status(), again.reason()), (head.status(), head.reason()));
        if let Reply::Final(_) = reply {
            assert_eq!(again.reply(asked), Ok(Reply::Final(sent.framing)));
            assert_eq!(again.persistence(sent.framing), sent.persistence);
        } else {
            assert_eq!(again.reply(asked), Ok(reply));
        }
    }
}

fn parse_request_in_pieces(input: &[u8]) -> Result<HeadStatus, RequestFault> {
    let mut head = RequestHead::default();
    in_pieces(input, |seen| head.parse(seen, &LIMITS))
}

fn parse_response_in_pieces(input: &[u8]) -> Result<HeadStatus, ResponseFault> {
    let mut head = ResponseHead::default();
    in_pieces(input, |seen| head.parse(seen, &LIMITS))
}

/// Parses a growing input until something is known. The pieces follow from its length.
fn in_pieces<F>(input: &[u8], mut parse: impl FnMut(&[u8]) -> Result<HeadStatus, F>) -> Result<HeadStatus, F> {
    let piece = 1 + input.len() % 5;
    for end in (0..input.len()).step_by(piece) {
        match parse(&input[..end])? {
            HeadStatus::Partial => {}
            complete => return Ok(complete),
        }
    }
    parse(input)
}

/// No part of a head may hold what would end a line.
fn assert_clean<'a>(parts: impl Iterator<Item = &'a [u8]>) {
    for part in parts {
        assert!(!part.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')), "{}", part.escape_ascii());
    }
}

/// The lines of a head but `X-Forwarded-For`, which grows.
fn without_addresses(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head).into_owned();
    text.split("\r\n").filter(|line| !line.starts_with("X-Forwarded-For: ")).map(str::to_owned).collect()
}

#[test]
fn request_heads() {
    corpus::run("request_head", fuzz_request_head);
}

#[test]
fn response_heads() {
    corpus::run("response_head", fuzz_response_head);
}
