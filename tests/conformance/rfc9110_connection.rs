//! RFC 9110 sections 7.6 to 7.8 and 10.1.1, RFC 9112 section 9: what belongs to one connection.

use crate::gateway::{End, check_requests};

fn seen(fields: &str, connection: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}<forwarded>{connection}\r\n\r\n")
}

fn request(version: &str, fields: &str) -> String {
    format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn rfc9112_section_9_3_persistence() {
    let seen = seen("", "Connection: keep-alive");
    for (version, fields, end) in [
        ("1.1", "", End::Clean),
        ("1.1", "Connection: keep-alive\r\n", End::Clean),
        ("1.1", "Connection: close\r\n", End::Closed),
        ("1.1", "Connection: keep-alive\r\nConnection: CLOSE\r\n", End::Closed),
        ("1.1", "Connection: x, , close\r\n", End::Closed),
        ("1.0", "", End::Closed),
        ("1.0", "Connection: Keep-Alive\r\n", End::Clean),
        ("1.0", "Connection: keep-alive, close\r\n", End::Closed),
    ] {
        check_requests(&[(fields, &request(version, fields), &seen, end)]);
    }
}

#[test]
fn section_7_6_1_hop_by_hop_fields() {
    check_requests(&[
        (
            "fields of the connection go, whether named or not",
            &request(
                "1.1",
                "Keep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\n\
                 Upgrade: websocket\r\nHTTP2-Settings: x\r\nTrailer: x\r\nX-Stay: 1\r\n",
            ),
            &seen("X-Stay: 1\r\n", "Connection: keep-alive"),
            End::Clean,
        ),
        (
            "named fields go, in any case and line",
            &request(
                "1.1",
                "Connection: X-Hop\r\nx-hop: 1\r\nX-Stay: 1\r\nX-HOP: 2\r\nConnection: x-two\r\nX-Two: 1\r\n",
            ),
            &seen("X-Stay: 1\r\n", "Connection: keep-alive"),
            End::Clean,
        ),
        (
            "what back ends rely on cannot be named away",
            &request(
                "1.1",
                "Connection: close, Host, Cookie, Authorization, X-Forwarded-For, X-Real-IP, Content-Type, Via\r\n\
                 Cookie: a=1\r\nAuthorization: b\r\nX-Real-IP: c\r\nContent-Type: d\r\nVia: e\r\n",
            ),
            &seen(
                "Cookie: a=1\r\nAuthorization: b\r\nX-Real-IP: c\r\nContent-Type: d\r\nVia: e\r\n",
                "Connection: keep-alive",
            ),
            End::Closed,
        ),
    ]);
}

#[test]
fn framing_cannot_be_named_away() {
    check_requests(&[(
        "content-length",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\n<forwarded>Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
        End::Clean,
    )]);
}

#[test]
fn section_7_8_upgrade() {
    let upgraded = seen("", "Connection: upgrade\r\nUpgrade: websocket");
    let plain = seen("", "Connection: keep-alive");
    for (fields, seen) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", &upgraded),
        ("Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", &upgraded),
        ("Upgrade: websocket\r\n", &plain),
        ("Connection: upgrade\r\n", &plain),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", &plain),
        ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", &plain),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", &plain),
    ] {
        check_requests(&[(fields, &request("1.1", fields), seen, End::Clean)]);
    }
    let http10 = request("1.0", "Connection: upgrade, keep-alive\r\nUpgrade: websocket\r\n");
    check_requests(&[("HTTP/1.0 has no upgrade", &http10, &plain, End::Clean)]);
}

#[test]
fn section_10_1_1_expect() {
    let with_body = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    let seen_with_body =
        "POST / HTTP/1.1\r\nHost: a\r\n<forwarded>Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx";
    check_requests(&[("answered by Elbow", with_body, seen_with_body, End::Clean)]);
    let plain = seen("", "Connection: keep-alive");
    let other = seen("Expect: tea\r\n", "Connection: keep-alive");
    check_requests(&[
        ("nobody waits to send nothing", &request("1.1", "Expect: 100-continue\r\n"), &plain, End::Clean),
        ("another expectation is the back end's", &request("1.1", "Expect: tea\r\n"), &other, End::Clean),
        ("means nothing in HTTP/1.0", &request("1.0", "Expect: 100-continue\r\n"), &plain, End::Closed),
    ]);
}

#[test]
fn forwarded_fields() {
    check_requests(&[(
        "lines of X-Forwarded-For are joined, the others replaced",
        &request(
            "1.1",
            "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-proto: https\r\nX-FORWARDED-FOR: 2.2.2.2\r\nX-Forwarded-Port: 1\r\n",
        ),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\nConnection: keep-alive\r\n\r\n",
        End::Clean,
    )]);
}
