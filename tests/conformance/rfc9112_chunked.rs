//! RFC 9112 section 7.1: chunked bodies, their extensions and trailers.

use crate::gateway::{End, check_requests};

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const SEEN: &str =
    "POST / HTTP/1.1\r\nHost: a\r\n<forwarded>Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n";

/// Checks bodies behind one chunked head: what of each the back end saw, and how it ended.
fn check_bodies(cases: &[(&str, &str, &str, End)]) {
    for (name, body, seen, end) in cases {
        check_requests(&[(*name, &format!("{HEAD}{body}"), &format!("{SEEN}{seen}"), *end)]);
    }
}

#[test]
fn chunks() {
    check_bodies(&[
        ("two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "b\r\nhello world\r\n0\r\n\r\n", End::Clean),
        ("no data", "0\r\n\r\n", "0\r\n\r\n", End::Clean),
        ("several zeros", "000\r\n\r\n", "0\r\n\r\n", End::Clean),
        (
            "either case",
            "A\r\n0123456789\r\n0a\r\n0123456789\r\n0\r\n\r\n",
            "14\r\n01234567890123456789\r\n0\r\n\r\n",
            End::Clean,
        ),
        ("data that looks like framing", "7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", "7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", End::Clean),
        ("extensions are dropped", "5;a=b;c=\"d;e\"\r\nhello\r\n0;f\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", End::Clean),
        ("an unfinished body is not ended", "5\r\nhello\r\n", "5\r\nhello\r\n", End::Waiting),
        ("nor is one without its last empty line", "5\r\nhello\r\n0\r\n", "5\r\nhello\r\n", End::Waiting),
    ]);
}

#[test]
fn chunk_size_tricks() {
    for size in
        ["+5", "-5", "0x5", " 5", "5 ", "5\t", "\t5", "5 ;a", "", ";a", "5_", "g", "5\0", "5\r", "\u{b2}", "5,5"]
    {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        check_bodies(&[(size, &body, "", End::Refused(400, "chunk_size_invalid"))]);
    }
    for size in ["8000000000000000", "ffffffffffffffff", "10000000000000005", "00000000000000005"] {
        let body = format!("{size}\r\nhello\r\n0\r\n\r\n");
        check_bodies(&[(size, &body, "", End::Refused(400, "chunk_too_large"))]);
    }
}

#[test]
fn line_end_tricks() {
    let refused = |reason| End::Refused(400, reason);
    let endless = format!("5;{}", "a".repeat(300));
    check_bodies(&[
        ("bare line feed behind a size", "5\nhello\r\n0\r\n\r\n", "", refused("chunk_size_invalid")),
        ("bare line feed in an extension", "5;a\nhello\r\n0\r\n\r\n", "", refused("chunk_extension_invalid")),
        ("bare carriage return in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", "", refused("chunk_size_invalid")),
        ("NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n", "", refused("chunk_extension_invalid")),
        ("an endless extension", &endless, "", refused("chunk_extension_invalid")),
        ("bare line feed behind data", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n", refused("chunk_end_invalid")),
        ("data longer than said", "5\r\nhello!\r\n0\r\n\r\n", "5\r\nhello\r\n", refused("chunk_end_invalid")),
        ("data shorter than said", "6\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\r\n", refused("chunk_end_invalid")),
        ("two bytes instead of CR LF", "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\r\n", refused("chunk_end_invalid")),
        ("bare line feed ends no trailers", "0\r\n\n", "", refused("trailer_invalid")),
        ("bare line feed ends no trailer", "0\r\na: b\n\r\n", "", refused("trailer_invalid")),
    ]);
}

#[test]
fn section_7_1_2_trailers() {
    let refused = End::Refused(400, "trailer_invalid");
    let endless = format!("0\r\n{}", "x: y\r\n".repeat(3000));
    check_bodies(&[
        ("kept, with one form", "0\r\nX-Sum:  1 \r\nb:\r\n\r\n", "0\r\nX-Sum: 1\r\nb: \r\n\r\n", End::Clean),
        (
            "what frames, routes, authenticates or is ours is dropped",
            "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nX-Forwarded-For: 6.6.6.6\r\n\
             Authorization: x\r\nConnection: close\r\nCookie: a\r\nSet-Cookie: a\r\nExpect: x\r\nX-Ok: 1\r\n\r\n",
            "0\r\nX-Ok: 1\r\n\r\n",
            End::Clean,
        ),
        ("folded", "0\r\na: b\r\n c\r\n\r\n", "", refused),
        ("whitespace before the colon", "0\r\na : b\r\n\r\n", "", refused),
        ("a request where trailers belong", "0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "", refused),
        ("a control character", "0\r\na: \0\r\n\r\n", "", refused),
        ("no end", &endless, "", End::Refused(431, "trailers_too_large")),
    ]);
}

#[test]
fn what_follows_the_trailers_is_the_next_request() {
    check_bodies(&[(
        "pipelined",
        "0\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
        "0\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n<forwarded>Connection: keep-alive\r\n\r\n",
        End::Clean,
    )]);
}
