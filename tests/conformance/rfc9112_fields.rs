//! RFC 9112 section 5: field syntax.

use crate::gateway::{End, check_refused, check_requests};

fn request(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn check_fields_refused(status: u16, reason: &'static str, fields: &[&str]) {
    let requests: Vec<String> = fields.iter().map(|fields| request(fields)).collect();
    check_refused(status, reason, &requests.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn section_5_1_names() {
    check_fields_refused(
        400,
        "invalid_field_name",
        &[
            "X : b\r\n",
            "X\t: b\r\n",
            "X\r\n",
            ": b\r\n",
            "X Y: b\r\n",
            "X(Y): b\r\n",
            "X\0Y: b\r\n",
            "X\u{e4}: b\r\n",
            "\"X\": b\r\n",
            "Content-Length : 5\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding\u{b}: chunked\r\n",
            "Transfer-Encoding\0: chunked\r\n",
            "[Transfer-Encoding]: chunked\r\n",
        ],
    );
}

#[test]
fn section_5_1_names_a_back_end_may_confuse() {
    check_fields_refused(
        400,
        "framing_lookalike",
        &["Content_Length: 5\r\n", "transfer_encoding: chunked\r\n", "TRANSFER_ENCODING: x\r\n"],
    );
    check_requests(&[(
        "a forwarding field with underscores is dropped",
        &request("X_Forwarded_For: 6.6.6.6\r\nmy_field: 1\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\nmy_field: 1\r\n<forwarded>Connection: keep-alive\r\n\r\n",
        End::Clean,
    )]);
}

#[test]
fn section_5_2_folding() {
    check_fields_refused(
        400,
        "obsolete_fold",
        &[
            "X: a\r\n b\r\n",
            "X: a\r\n\tb\r\n",
            "X: a\r\n \r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            " Transfer-Encoding: chunked\r\n",
        ],
    );
    check_refused(400, "obsolete_fold", &["GET / HTTP/1.1\r\n Host: a\r\n\r\n"]);
}

#[test]
fn section_5_5_values() {
    check_fields_refused(
        400,
        "invalid_field_value",
        &["X: a\0b\r\n", "X: a\rb\r\n", "X: a\x7fb\r\n", "X: \x1b[0m\r\n", "X: a\x0bb\r\n", "X: a\x08\r\n"],
    );
    check_requests(&[(
        "whitespace around a value goes, within it stays",
        &request("A:b\r\nC: \t d\te  f \t\r\nG:\r\nH: \u{e4}\r\nI: x: y\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\te  f\r\nG: \r\nH: \u{e4}\r\nI: x: y\r\n\
         <forwarded>Connection: keep-alive\r\n\r\n",
        End::Clean,
    )]);
}

#[test]
fn section_5_4_limits() {
    let field = |length: usize| format!("X: {}\r\n", "a".repeat(length - 3));
    let seen = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}<forwarded>Connection: keep-alive\r\n\r\n");
    let many = |count: usize| "X: 1\r\n".repeat(count);
    check_requests(&[
        ("the longest field", &request(&field(16384)), &seen(&field(16384)), End::Clean),
        ("the most fields", &request(&many(99)), &seen(&many(99)), End::Clean),
    ]);
    check_fields_refused(431, "field_too_long", &[&field(16385), &"X".repeat(16385)]);
    check_fields_refused(431, "fields_too_large", &[&field(16384).repeat(4)]);
    check_fields_refused(431, "too_many_fields", &[&many(100)]);
}
