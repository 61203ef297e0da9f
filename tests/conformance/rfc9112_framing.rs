//! RFC 9112 section 6: how long a request's body is. Every case here that passes has one reading; every other one is
//! refused before a byte reaches a back end.

use crate::gateway::{End, check_refused, check_requests};

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

fn check_posts_refused(status: u16, reason: &'static str, fields: &[&str]) {
    // Behind each stands a request that must never come to be read as one.
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let requests: Vec<String> = fields.iter().map(|fields| post(fields, body)).collect();
    check_refused(status, reason, &requests.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn both_length_and_transfer_encoding() {
    check_posts_refused(
        400,
        "length_and_transfer_encoding",
        &[
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            "Content-Length: 6\r\nX: y\r\nTRANSFER-ENCODING: chunked\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: identity\r\n",
        ],
    );
}

#[test]
fn transfer_encoding_obfuscations() {
    check_posts_refused(
        400,
        "transfer_encoding_repeated",
        &[
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
            "Transfer-Encoding: chunked\r\ntransfer-encoding:\r\n",
        ],
    );
    check_posts_refused(
        400,
        "transfer_encoding_invalid",
        &[
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: chunked,\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding: chunked;x=y\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: 'chunked\"\r\n",
            "Transfer-Encoding: chunked chunked\r\n",
            "Transfer-Encoding: \u{a0}chunked\r\n",
            "Transfer-Encoding:\r\n",
        ],
    );
    check_posts_refused(
        501,
        "transfer_encoding_unsupported",
        &[
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunke\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        ],
    );
    check_posts_refused(
        400,
        "invalid_field_value",
        &[
            "Transfer-Encoding: chunked\0\r\n",
            "Transfer-Encoding: \x0bchunked\r\n",
            "X: y\rTransfer-Encoding: chunked\r\n",
        ],
    );
}

#[test]
fn section_6_1_transfer_encoding_needs_http11() {
    check_refused(
        400,
        "transfer_encoding_in_http10",
        &["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    );
}

#[test]
fn content_length_tricks() {
    check_posts_refused(
        400,
        "content_length_repeated",
        &[
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 6\r\nContent-Length: 6\r\n",
            "Content-Length: 6\r\nX: y\r\ncontent-length: 0\r\n",
        ],
    );
    check_posts_refused(
        400,
        "content_length_invalid",
        &[
            "Content-Length:\r\n",
            "Content-Length: +6\r\n",
            "Content-Length: -6\r\n",
            "Content-Length: 6, 6\r\n",
            "Content-Length: 6,7\r\n",
            "Content-Length: 6 6\r\n",
            "Content-Length: 0x6\r\n",
            "Content-Length: 6.0\r\n",
            "Content-Length: 6e0\r\n",
            "Content-Length: \"6\"\r\n",
            "Content-Length: \u{b2}\r\n",
            "Content-Length: six\r\n",
        ],
    );
    check_posts_refused(
        413,
        "content_length_too_large",
        &[
            "Content-Length: 9223372036854775808\r\n",
            "Content-Length: 18446744073709551622\r\n",
            "Content-Length: 99999999999999999999999999999\r\n",
        ],
    );
}

#[test]
fn what_passes_is_written_anew() {
    const SEEN: &str = "POST / HTTP/1.1\r\nHost: a\r\n<forwarded>";
    check_requests(&[
        (
            "leading zeros go",
            &post("Content-Length: 0005\r\n", "hello"),
            &format!("{SEEN}Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"),
            End::Clean,
        ),
        (
            "whitespace and case go",
            &post("transfer-encoding: \t ChunkeD \r\n", "5\r\nhello\r\n0\r\n\r\n"),
            &format!("{SEEN}Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            End::Clean,
        ),
        ("no length, no body", &post("", ""), &format!("{SEEN}Connection: keep-alive\r\n\r\n"), End::Clean),
        (
            "a request in a body is a body",
            &post("Content-Length: 41\r\n", "GET /smuggled HTTP/1.1\r\nHost: internal\r\n\r"),
            &format!(
                "{SEEN}Content-Length: 41\r\nConnection: keep-alive\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nHost: internal\r\n\r"
            ),
            End::Clean,
        ),
        (
            "a length larger than what came is waited for",
            &post("Content-Length: 6\r\n", "hello"),
            &format!("{SEEN}Content-Length: 6\r\nConnection: keep-alive\r\n\r\nhello"),
            End::Waiting,
        ),
    ]);
}

#[test]
fn what_follows_a_body_is_the_next_request() {
    let first = "POST / HTTP/1.1\r\nHost: a\r\n<forwarded>Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
    let second = "GET /2 HTTP/1.1\r\nHost: b\r\n<forwarded>Connection: keep-alive\r\n\r\n";
    check_requests(&[
        (
            "pipelined",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
            &format!("{first}{second}"),
            End::Clean,
        ),
        (
            "a body that is one byte longer than said spoils the next request",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello GET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
            first,
            End::Refused(400, "malformed_start_line"),
        ),
        (
            "behind close nothing is read",
            "GET /2 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\nGET /3 HTTP/1.1\r\nHost: b\r\n\r\n",
            second,
            End::Closed,
        ),
    ]);
}
