//! RFC 9112 sections 2.2 and 3: message parsing, the request line, the forms of its target, and Host.

use crate::gateway::{End, check_refused, check_requests};

const KEPT: &str = "Connection: keep-alive\r\n\r\n";

#[test]
fn section_2_2_line_ends() {
    check_refused(
        400,
        "bare_line_feed",
        &[
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    );
    check_refused(400, "malformed_start_line", &["GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "GET /\r HTTP/1.1\r\n\r\n"]);
    check_refused(
        400,
        "invalid_field_value",
        &["GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    );
}

#[test]
fn section_2_2_empty_lines_before_the_request_line() {
    let seen = format!("GET / HTTP/1.1\r\nHost: a\r\n<forwarded>{KEPT}");
    check_requests(&[
        ("one", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &seen, End::Clean),
        ("four", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &seen, End::Clean),
        (
            "between requests",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &seen.repeat(2),
            End::Clean,
        ),
    ]);
    check_refused(400, "leading_empty_lines", &["\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
    check_refused(400, "malformed_start_line", &[" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn section_3_the_request_line_has_three_parts_and_two_spaces() {
    check_refused(
        400,
        "malformed_start_line",
        &[
            "GET /\r\nHost: a\r\n\r\n",
            "GET\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / x HTTP/1.1\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
            "GET / HTTP/11\r\nHost: a\r\n\r\n",
            "GET / XTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        ],
    );
    check_refused(
        505,
        "version_not_supported",
        &[
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
            "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ],
    );
}

#[test]
fn section_3_1_methods() {
    let named = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    let seen = |method: &str| format!("{method} / HTTP/1.1\r\nHost: a\r\n<forwarded>{KEPT}");
    let longest = "M".repeat(127);
    check_requests(&[
        ("any token is passed on", &named("PROPFIND"), &seen("PROPFIND"), End::Clean),
        ("case matters and stays", &named("get"), &seen("get"), End::Clean),
        ("127 characters", &named(&longest), &seen(&longest), End::Clean),
    ]);
    check_refused(405, "method_too_long", &[&named(&"M".repeat(128))]);
    check_refused(400, "connect_refused", &["CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", &named("CONNECT")]);
}

#[test]
fn section_3_2_forms_of_the_target() {
    let expect = |line: &str, host: &str| format!("{line} HTTP/1.1\r\nHost: {host}\r\n<forwarded>{KEPT}");
    check_requests(&[
        (
            "absolute-form against Host: the target wins",
            "GET http://victim/admin HTTP/1.1\r\nHost: public\r\n\r\n",
            &expect("GET /admin", "victim"),
            End::Clean,
        ),
        (
            "absolute-form keeps its port and query",
            "GET HTTP://a:8080?q=1 HTTP/1.1\r\nhost: a\r\n\r\n",
            &expect("GET /?q=1", "a:8080"),
            End::Clean,
        ),
        ("asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &expect("OPTIONS *", "a"), End::Clean),
        (
            "asterisk-form in absolute form",
            "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            &expect("OPTIONS *", "a"),
            End::Clean,
        ),
        (
            "a path that looks like an authority stays a path",
            "GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n",
            &expect("GET //evil/x", "a"),
            End::Clean,
        ),
        (
            "an absolute-form request in HTTP/1.0 needs no Host",
            "GET http://a/ HTTP/1.0\r\n\r\n",
            &expect("GET /", "a"),
            End::Closed,
        ),
    ]);
    check_refused(
        400,
        "invalid_target",
        &[
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    check_refused(
        400,
        "host_invalid",
        &["GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"],
    );
}

#[test]
fn section_3_2_host() {
    check_refused(
        400,
        "host_missing",
        &["GET / HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"],
    );
    check_refused(
        400,
        "host_repeated",
        &[
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        ],
    );
    check_refused(
        400,
        "host_invalid",
        &[
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n",
        ],
    );
    check_refused(
        400,
        "invalid_field_name",
        &["GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"],
    );
    check_requests(&[(
        "HTTP/1.0 without Host gets the node's address",
        "GET / HTTP/1.0\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n<forwarded>{KEPT}"),
        End::Closed,
    )]);
}

#[test]
fn section_3_limits() {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length));
    let overhead = "GET / HTTP/1.1".len();
    let longest = target(16384 - overhead);
    let seen = longest.replace("Host: a\r\n\r\n", &format!("Host: a\r\n<forwarded>{KEPT}"));
    check_requests(&[("the longest line", &longest, &seen, End::Clean)]);
    check_refused(414, "start_line_too_long", &[&target(16384 - overhead + 1), &"A".repeat(16385)]);
}
