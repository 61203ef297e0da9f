//! RFC 9113 section 8: what is a request, how it reaches an HTTP/1.1 instance, and what an HTTP/2 client gets of its
//! answer.

use crate::harness::{Backend, Balancer, Message};
use crate::http2_peer::{Frame, GET, Http2Peer, POST, code, flag, kind};

/// Sends a request that is refused before anybody reads it: reset, while the connection goes on.
#[track_caller]
fn is_malformed(client: &mut Http2Peer, stream: u32, frames: &[Frame]) {
    client.try_send(frames).expect("taken");
    let refused = client.find(|frame| frame.stream == stream).expect("an answer");
    assert_eq!((refused.kind, refused.error_code()), (kind::RST_STREAM, code::PROTOCOL_ERROR), "{frames:?}");
}

#[test]
fn section_8_1_1_lengths_must_agree() {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    let head = |stream, length| Frame::head(stream, &[&POST[..], &[("content-length", length)]].concat());
    let end = |stream, data: &str| Frame::data(stream, flag::END_STREAM, data);
    is_malformed(&mut client, 1, &[head(1, "3"), end(1, "four")]);
    is_malformed(&mut client, 3, &[head(3, "5"), end(3, "four")]);
    is_malformed(&mut client, 5, &[Frame::request(5, &[&POST[..], &[("content-length", "1")]].concat())]);
    client.try_send(&[head(7, "4"), end(7, "four")]).expect("taken");
    assert_eq!(client.expect(kind::HEADERS, 7).status(), 200);
    assert_eq!(backend.only_request().body.bytes, b"four", "half a request was taken for whole");
}

#[test]
fn sections_8_2_and_8_3_malformed_heads_reach_nobody() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).start();
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let without = |name: &str| GET.into_iter().filter(|(given, _)| *given != name).collect::<Vec<_>>();
    let instead = |name: &'static str, value: &'static str| {
        GET.into_iter().map(|(given, old)| (given, if given == name { value } else { old })).collect::<Vec<_>>()
    };
    let cases = [
        ("8.2.1 upper case", with(&[("X-Upper", "a")])),
        ("8.2.1 space in a name", with(&[("x y", "a")])),
        ("8.2.1 line break in a value", with(&[("x", "a\r\nhost: evil")])),
        ("8.2.1 NUL in a value", with(&[("x", "a\0b")])),
        ("8.2.2 connection", with(&[("connection", "close")])),
        ("8.2.2 keep-alive", with(&[("keep-alive", "timeout=5")])),
        ("8.2.2 proxy-connection", with(&[("proxy-connection", "close")])),
        ("8.2.2 transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("8.2.2 upgrade", with(&[("upgrade", "websocket")])),
        ("8.2.2 te", with(&[("te", "gzip")])),
        ("8.3 unknown pseudo-header", with(&[(":unknown", "a")])),
        ("8.3 a status in a request", with(&[(":status", "200")])),
        ("8.3 a pseudo-header behind a field", [&GET[..3], &[("x", "a"), GET[3]]].concat()),
        ("8.3 a pseudo-header twice", with(&[(":path", "/other")])),
        ("8.3.1 no method", without(":method")),
        ("8.3.1 no scheme", without(":scheme")),
        ("8.3.1 no path", without(":path")),
        ("8.3.1 an empty path", instead(":path", "")),
        ("8.3.1 an invalid scheme", instead(":scheme", "ht tp")),
        ("8.3.1 a path that does not begin", instead(":path", "other")),
        ("8.3.1 a URI for a path", instead(":path", "http://b/")),
        ("8.3.1 a space in a path", instead(":path", "/a b")),
        ("8.3.1 a line break in a path", instead(":path", "/ HTTP/1.1\r\nx: y")),
        ("8.3.1 an invalid method", instead(":method", "GE T")),
        ("8.4.1 a protocol nobody asked us to speak", with(&[(":protocol", "websocket")])),
    ];
    for (what, fields) in cases {
        let mut client = Http2Peer::connect(elbow.address());
        client.send(&Frame::request(1, &fields));
        let refused = client.find(|frame| frame.stream == 1 || frame.kind == kind::GOAWAY);
        let refused = refused.unwrap_or_else(|| panic!("{what}: no answer"));
        match refused.kind {
            kind::RST_STREAM | kind::GOAWAY => assert_eq!(refused.error_code(), code::PROTOCOL_ERROR, "{what}"),
            _ => assert_eq!(refused.status(), 400, "{what}"),
        }
    }
    assert_eq!(backend.request_count(), 0);
}

#[test]
fn section_8_3_1_what_our_own_rules_refuse_is_answered() {
    let backend = Backend::saying("never");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    let request = |method, authority, path| {
        [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    };
    let get = |authority, path| request("GET", authority, path).to_vec();
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let long = "x".repeat(17_000);
    let long_path = format!("/{long}");
    let many: Vec<(&str, &str)> = GET.into_iter().chain((0..101).map(|_| ("x", "y"))).collect();
    for (stream, (what, fields, status)) in (1..).step_by(2).zip([
        ("an asterisk for GET", get("a", "*"), 400),
        ("a user in the authority", get("u@a", "/"), 400),
        ("no host at all", GET.into_iter().filter(|(name, _)| *name != ":authority").collect(), 400),
        ("another host beside the authority", with(&[("host", "b.example")]), 400),
        ("two hosts", with(&[("host", "a.example"), ("host", "a.example")]), 400),
        ("a length twice", with(&[("content-length", "0"), ("content-length", "0")]), 400),
        ("what may be read as a length", with(&[("content_length", "4")]), 400),
        ("a tunnel", vec![(":method", "CONNECT"), (":authority", "a:443")], 400),
        ("a method that is too long", request(&long[..128], "a", "/").to_vec(), 405),
        ("a path that is too long", get("a", &long_path), 414),
        ("a field that is too long", with(&[]).into_iter().chain([("x", long.as_str())]).collect(), 431),
        ("too many fields", many, 431),
    ]) {
        let refused = {
            client.send(&Frame::new(kind::HEADERS, flag::END_STREAM, stream, []));
            // In pieces: a frame of ours holds 16 KiB at the most.
            let block = crate::http2_peer::header_block(&fields);
            let mut pieces = block.chunks(16_000).peekable();
            while let Some(piece) = pieces.next() {
                let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
                client.send(&Frame::new(kind::CONTINUATION, flags, stream, piece));
            }
            client.find(|frame| frame.stream == stream).expect("an answer")
        };
        assert_eq!(refused.kind, kind::HEADERS, "{what}: {refused:?}");
        assert_eq!(refused.status(), status, "{what}");
        assert!(refused.has(flag::END_STREAM), "{what}");
    }
    assert_eq!(backend.request_count(), 0);
    let refused = [("code", "4xx"), ("source", "elbow")];
    elbow.admin().wait_metric("elbow_requests_total", &refused, |count| count == 12.0);
}

/// Sends a request and shows what the instance got.
fn forwarded(fields: &[(&str, &str)], body: &[Frame]) -> Message {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&if body.is_empty() { Frame::request(1, fields) } else { Frame::head(1, fields) });
    client.try_send(body).expect("taken");
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 200);
    backend.only_request()
}

#[test]
fn section_8_a_request_reaches_an_instance_as_http1() {
    let request = forwarded(
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "shop.example:8443"),
            (":path", "/a?b=c"),
            ("cookie", "a=1"),
            ("te", "trailers"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "gopher"),
            ("cookie", "b=2"),
            ("accept", "*/*"),
            ("cookie", "c=3"),
        ],
        &[],
    );
    assert_eq!(request.head.start_line, "GET /a?b=c HTTP/1.1");
    assert_eq!(request.head.get("host"), Some("shop.example:8443"));
    assert_eq!(request.head.get("cookie"), Some("a=1; b=2; c=3"), "8.2.3");
    assert_eq!(request.head.get("te"), None);
    assert_eq!(request.head.get("x-forwarded-for"), Some("192.0.2.1, 127.0.0.1"));
    assert_eq!(request.head.get("x-forwarded-proto"), Some("http"), "what the listener saw, not what the client says");
    assert_eq!(request.head.get("transfer-encoding"), None);
    assert_eq!(request.head.get("content-length"), None);
}

#[test]
fn section_8_1_bodies_and_trailers_reach_an_instance() {
    let end = |frame: Frame| Frame { flags: frame.flags | flag::END_STREAM, ..frame };
    let trailers = end(Frame::head(1, &[("x-sum", "abc"), ("host", "evil"), ("content-length", "9")]));
    let request =
        forwarded(&POST, &[Frame::data(1, 0, "hal"), Frame::data(1, 0, ""), Frame::data(1, 0, "ves"), trailers]);
    assert_eq!(request.head.get("transfer-encoding"), Some("chunked"));
    assert_eq!(request.body.bytes, b"halves");
    assert_eq!(request.body.trailers, [("x-sum".to_string(), "abc".to_string())]);

    let with_length = [&POST[..], &[("content-length", "6")]].concat();
    let request = forwarded(&with_length, &[Frame::data(1, flag::END_STREAM, "halves")]);
    assert_eq!(request.head.get("content-length"), Some("6"));
    assert_eq!(request.head.get("transfer-encoding"), None);
    assert_eq!(request.body.bytes, b"halves");

    let padded = Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, 1, *b"\x03body\0\0\0");
    assert_eq!(forwarded(&POST, &[padded]).body.bytes, b"body", "6.1: padding is not content");
}

/// The frames that a client gets on its stream when an instance answers with these bytes.
fn answered(method: &str, answer: &str) -> Vec<Frame> {
    let answer = answer.as_bytes().to_vec();
    let backend = Backend::answering(move |_| answer.clone());
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::request(1, &[(":method", method), (":scheme", "http"), (":authority", "a"), (":path", "/")]));
    let mut frames = Vec::new();
    loop {
        let frame = client.find(|frame| frame.stream == 1).expect("an answer");
        let is_last = frame.has(flag::END_STREAM) || frame.kind == kind::RST_STREAM;
        frames.push(frame);
        if is_last {
            return frames;
        }
    }
}

#[test]
fn section_8_1_answers_have_the_frames_they_need() {
    use kind::{DATA, HEADERS};
    let chunked = "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    for (what, method, answer, kinds, status) in [
        ("a body", "GET", "200 OK\r\nContent-Length: 2\r\n\r\nok".to_string(), &[HEADERS, DATA][..], 200),
        ("no body", "GET", "200 OK\r\nContent-Length: 0\r\n\r\n".into(), &[HEADERS], 200),
        ("the answer to HEAD", "HEAD", "200 OK\r\nContent-Length: 2\r\n\r\n".into(), &[HEADERS], 200),
        ("204", "GET", "204 No Content\r\n\r\n".into(), &[HEADERS], 204),
        ("304", "GET", "304 Not Modified\r\nContent-Length: 2\r\n\r\n".into(), &[HEADERS], 304),
        ("another status", "GET", "418 Teapot\r\nContent-Length: 0\r\n\r\n".into(), &[HEADERS], 418),
        ("trailers", "GET", format!("200 OK\r\n{chunked}X-Sum: a\r\n\r\n"), &[HEADERS, DATA, HEADERS], 200),
        ("trailers that may not be", "GET", format!("200 OK\r\n{chunked}Host: a\r\n\r\n"), &[HEADERS, DATA], 200),
        (
            "interim answers",
            "GET",
            "103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
            &[HEADERS, HEADERS],
            103,
        ),
        ("a switch nobody asked for", "GET", "101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into(), &[HEADERS], 502),
        ("nonsense", "GET", "2 OK\r\n\r\n".into(), &[HEADERS], 502),
    ] {
        let frames = answered(method, &format!("HTTP/1.1 {answer}"));
        let seen: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
        assert_eq!(frames[0].status(), status, "{what}");
        // An empty frame may end a stream whose end was not known before.
        let data_only = seen.iter().filter(|kind| **kind != DATA).eq(kinds.iter().filter(|kind| **kind != DATA));
        assert!(seen == kinds || (data_only && kinds.contains(&DATA)), "{what}: {frames:?}");
    }
}

#[test]
fn section_8_1_a_cut_answer_is_reset() {
    for rest in ["", "2\r\nok\r\nzz", "2\r\nok\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
        let backend = Backend::start(move |peer, _| {
            if peer.try_read_message()?.is_some() {
                peer.try_send(&answer)?;
            }
            Ok(())
        });
        let elbow = Balancer::http([backend.address()]).start();
        let mut client = Http2Peer::connect(elbow.address());
        client.send(&Frame::request(1, &GET));
        let last =
            client.find(|frame| frame.stream == 1 && (frame.has(flag::END_STREAM) || frame.kind == kind::RST_STREAM));
        let last = last.expect("an end");
        assert_eq!((last.kind, last.error_code()), (kind::RST_STREAM, code::INTERNAL_ERROR), "{rest:?}");
    }
}

#[test]
fn section_8_1_a_body_until_the_instance_closes_ends_its_stream_only() {
    let backend = Backend::start(|peer, _| {
        if peer.try_read_message()?.is_some() {
            peer.try_send("HTTP/1.0 200 OK\r\n\r\nuntil the end")?;
        }
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    for stream in [1, 3] {
        assert_eq!(client.ask(stream, &GET), 200);
        assert_eq!(client.read_body(stream), b"until the end");
    }
}

#[test]
fn section_8_1_an_early_answer_is_whole_and_the_rest_is_not_wanted() {
    let backend = Backend::start(|peer, _| {
        peer.try_read_head()?;
        peer.try_send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
        peer.read_to_end();
        Ok(())
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::head(1, &POST));
    client.send(&Frame::data(1, 0, "a part"));
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 403);
    assert_eq!(client.read_body(1), b"no");
    assert_eq!(client.expect(kind::RST_STREAM, 1).error_code(), code::NO_ERROR);
    elbow.admin().wait_metric("elbow_instance_in_flight", &[], |count| count == 0.0);
}

#[test]
fn rfc9110_10_1_1_who_expects_to_be_asked_for_a_body_is_asked() {
    let backend = Backend::answering(|request| crate::harness::answer_ok(request.text()));
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Http2Peer::connect(elbow.address());
    let fields = [&POST[..], &[("expect", "100-continue"), ("content-length", "4")]].concat();
    client.send(&Frame::head(1, &fields));
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 100);
    client.send(&Frame::data(1, flag::END_STREAM, "body"));
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 200);
    assert_eq!(client.read_body(1), b"body");
    assert_eq!(backend.only_request().head.get("expect"), None);
}
