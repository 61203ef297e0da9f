//! RFC 9112 sections 4, 6 and 9 on the answers of back ends: what the client saw, and whether either connection may
//! be used again.

use elbow::wire::connection::Persistence::{Close, KeepAlive};
use elbow::wire::head::{Asked, Method, Version};

use crate::gateway::check_responses;

const GET: Asked = Asked { method: Method::Get, upgrade: false };
const HEAD: Asked = Asked { method: Method::Head, upgrade: false };
const UPGRADE: Asked = Asked { method: Method::Get, upgrade: true };

#[test]
fn section_6_3_bodies() {
    check_responses(
        GET,
        Version::Http11,
        &[
            (
                "length",
                "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                None,
                KeepAlive,
                KeepAlive,
            ),
            (
                "more than the length",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                None,
                KeepAlive,
                Close,
            ),
            (
                "less than the length",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                Some("body_truncated"),
                Close,
                Close,
            ),
            (
                "chunked with trailers",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
            (
                "chunked and cut off: never ended for the client",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                Some("body_truncated"),
                Close,
                Close,
            ),
            (
                "until close becomes chunked",
                "HTTP/1.1 200 OK\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                None,
                KeepAlive,
                Close,
            ),
            (
                "204 has no body, and a connection with one behind it is not used again",
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 204 No Content\r\n\r\n",
                None,
                KeepAlive,
                Close,
            ),
            (
                "304 says a length and has no body",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
        ],
    );
}

#[test]
fn answers_to_head_have_no_body() {
    check_responses(
        HEAD,
        Version::Http11,
        &[
            (
                "length",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
            (
                "a body all the same ends the back end's connection",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                None,
                KeepAlive,
                Close,
            ),
            (
                "chunked",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
        ],
    );
}

#[test]
fn old_clients_get_no_chunks_and_no_interim_answers() {
    check_responses(
        GET,
        Version::Http10,
        &[
            (
                "chunked",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
                None,
                Close,
                KeepAlive,
            ),
            (
                "interim",
                "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
        ],
    );
}

#[test]
fn old_back_ends() {
    check_responses(
        GET,
        Version::Http11,
        &[
            (
                "a length, then close",
                "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                None,
                KeepAlive,
                Close,
            ),
            (
                "keep-alive",
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
        ],
    );
}

#[test]
fn interim_answers_and_switching() {
    check_responses(
        UPGRADE,
        Version::Http11,
        &[
            (
                "hints before the answer",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
                None,
                KeepAlive,
                KeepAlive,
            ),
            (
                "switching",
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                None,
                KeepAlive,
                Close,
            ),
        ],
    );
}

#[test]
fn answers_that_cannot_be_read_never_reach_the_client() {
    let cases: Vec<_> = [
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare_line_feed"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "malformed_start_line"),
        ("HTTP/1.1 200OK\r\n\r\n", "malformed_start_line"),
        ("HTTP/1.1 20 OK\r\n\r\n", "malformed_start_line"),
        ("HTTP/1.1 099 OK\r\n\r\n", "malformed_start_line"),
        ("HTTP/2.0 200 OK\r\n\r\n", "malformed_start_line"),
        ("HTTP/1.1 200 O\0K\r\n\r\n", "malformed_start_line"),
        ("<html>hello</html>", "malformed_start_line"),
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "invalid_field_name"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "obsolete_fold"),
        ("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "invalid_field_value"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "content_length_repeated"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", "content_length_invalid"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "length_and_transfer_encoding",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer_encoding_unsupported"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n\r\n", "transfer_encoding_invalid"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer_encoding_in_http10"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "unexpected_upgrade"),
        ("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello", "interim_body"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "closed"),
        ("", "closed"),
    ]
    .map(|(input, fault)| (fault, input, "", Some(fault), Close, Close))
    .to_vec();
    check_responses(GET, Version::Http11, &cases);
}
