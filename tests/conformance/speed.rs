//! What the wire costs per message. Run with
//! `cargo test --release --test conformance -- --ignored --nocapture wire_cost`.

use std::hint::black_box;
use std::time::Instant;

use elbow::wire::connection::Persistence;
use elbow::wire::forward::{Additions, ResponseForward, write_request_head, write_response_head};
use elbow::wire::head::{Asked, HeadLimits, RequestHead, ResponseHead, Version};

use crate::gateway::FORWARD;

const BROWSER: &[u8] = b"GET /index.html?id=42 HTTP/1.1\r\nHost: shop.example:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Referer: https://shop.example/\r\nConnection: keep-alive\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\nCache-Control: max-age=0\r\nX-Custom: something\r\n\r\n";
const MINIMAL: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\nETag: \"abc\"\r\n\
    Accept-Ranges: bytes\r\n\r\n";

#[test]
#[ignore = "a measurement, meaningful in a release build only"]
fn wire_cost() {
    let limits = HeadLimits::default();
    let mut out = Vec::with_capacity(4096);
    let mut head = RequestHead::default();
    for (name, request) in [("request, 10 fields", BROWSER), ("request, 1 field", MINIMAL)] {
        let parse_ns = nanoseconds(|| {
            let _ = black_box(head.parse(black_box(request), &limits));
        });
        let forward_ns = nanoseconds(|| {
            out.clear();
            write_request_head(black_box(&head), &FORWARD, &mut out);
        });
        println!("{name}: parse {parse_ns:.0} ns, forward {forward_ns:.0} ns");
    }
    let mut head = ResponseHead::default();
    let forward = ResponseForward {
        client: Version::Http11,
        persistence: Persistence::KeepAlive,
        additions: Additions::default(),
    };
    let parse_ns = nanoseconds(|| {
        let _ = black_box(head.parse(black_box(RESPONSE), &limits));
    });
    let reply = head.reply(Asked::default()).unwrap();
    let forward_ns = nanoseconds(|| {
        out.clear();
        write_response_head(black_box(&head), reply, &forward, &mut out);
    });
    println!("response, 7 fields: parse {parse_ns:.0} ns, forward {forward_ns:.0} ns");
}

/// The best of many short runs, so that what else the machine did is left out.
fn nanoseconds(mut action: impl FnMut()) -> f64 {
    const CALLS: u32 = 1000;
    let run = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            action();
        }
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    (0..2000).map(run).fold(f64::INFINITY, f64::min)
}
