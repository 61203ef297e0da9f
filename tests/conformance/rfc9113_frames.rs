//! RFC 9113 sections 3 to 6: frames that break the protocol end the stream or the connection with the right code, and
//! nobody else suffers.

use crate::harness::{Backend, Balancer, Elbow, Peer};
use crate::http2_peer::{Frame, GET, Http2Peer, POST, PREFACE, code, flag, header_block, kind};

fn balancer() -> (Backend, Elbow) {
    let backend = Backend::saying("ok");
    let elbow = Balancer::http([backend.address()]).start();
    (backend, elbow)
}

/// Sends `frames` on a connection of its own; the code that it is ended with.
#[track_caller]
fn ended_with(elbow: &Elbow, frames: &[Frame]) -> u32 {
    let mut client = Http2Peer::connect(elbow.address());
    // The end may come while frames are still being sent.
    let _ = client.try_send(frames);
    client.expect_goaway()
}

/// Sends `frames`; the code that stream 1 or the connection is ended with (section 5.4.2 lets us choose the latter).
#[track_caller]
fn refused_with(elbow: &Elbow, frames: &[Frame]) -> u32 {
    let mut client = Http2Peer::connect(elbow.address());
    client.try_send(frames).expect("taken");
    let refusal = client.find(|frame| matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY));
    refusal.expect("a refusal").error_code()
}

/// Whether a case ended with one of these codes. Where the RFC names one more exact than PROTOCOL_ERROR, `h2` tells
/// some mistakes from others less finely; the connection ends all the same.
#[track_caller]
fn check(section: &str, what: &str, code: u32, allowed: &[u32]) {
    assert!(allowed.contains(&code), "{section} {what}: code {code}, expected one of {allowed:?}");
}

#[test]
fn section_3_4_the_preface() {
    let (_backend, elbow) = balancer();
    let mut client = Http2Peer::connect(elbow.address());
    let settings = client.next().expect("a frame");
    assert_eq!((settings.kind, settings.flags, settings.stream), (kind::SETTINGS, 0, 0), "the server's preface");

    // Byte by byte it is the same preface.
    let mut slow = Peer::connect(elbow.address());
    [PREFACE, &Frame::settings(&[]).bytes()].concat().iter().for_each(|byte| slow.send([*byte]));
    assert_eq!(slow.read_exact(9)[3], kind::SETTINGS);

    // What only begins like it is not.
    for wrong in ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\nHost: a\r\n\r\nSM\r\n\r\n"] {
        let mut client = Peer::connect_and_send(elbow.address(), wrong);
        let (said, _) = client.read_to_end();
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{said:?}");
    }
    for (wrong, status) in [("PRI * HTTP/1.1\r\n\r\n", 400), ("PRI / HTTP/2.0\r\n\r\n", 505)] {
        assert_eq!(Peer::connect_and_send(elbow.address(), wrong).read_message().status(), status, "{wrong:?}");
    }
}

#[test]
fn section_3_4_not_behind_another_request() {
    let (backend, elbow) = balancer();
    let mut client = Peer::connect(elbow.address());
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    client.send(PREFACE);
    assert_eq!(client.read_message().status(), 505);
    assert_eq!(backend.request_count(), 1);
}

#[test]
fn section_4_frames_and_compression() {
    let (_backend, elbow) = balancer();
    let too_long = Frame::data(1, 0, vec![0; 16_385]);
    check(
        "4.2",
        "a frame above our maximum",
        ended_with(&elbow, &[Frame::head(1, &POST), too_long]),
        &[code::FRAME_SIZE_ERROR],
    );
    let unknown_index = Frame::new(kind::HEADERS, flag::END_HEADERS, 1, [0xff, 0xff, 0x03]);
    check(
        "4.3",
        "a field that no table has",
        ended_with(&elbow, &[unknown_index]),
        &[code::COMPRESSION_ERROR, code::PROTOCOL_ERROR],
    );
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::new(0x77, 0xff, 1, "what is this"));
    assert_eq!(client.ask(1, &GET), 200, "5.5: unknown frames are ignored");
}

#[test]
fn section_5_1_stream_states() {
    let (_backend, elbow) = balancer();
    let closed = [code::PROTOCOL_ERROR, code::STREAM_CLOSED];
    for (what, frames, allowed) in [
        ("data on an idle stream", vec![Frame::data(1, 0, "x")], &closed[..1]),
        ("a reset of an idle stream", vec![Frame::reset(1, code::CANCEL)], &closed[..1]),
        ("a window for an idle stream", vec![Frame::window_update(1, 1)], &closed[..1]),
        ("a request on an even stream", vec![Frame::request(2, &GET)], &closed[..1]),
        ("a request on a lower stream", vec![Frame::request(5, &GET), Frame::request(3, &GET)], &closed),
        ("a request on stream 0", vec![Frame::request(0, &GET)], &closed[..1]),
    ] {
        check("5.1", what, ended_with(&elbow, &frames), allowed);
    }
    // The request has ended; what follows it does not belong anywhere. The answer may have ended the stream by then.
    let late = [Frame::request(1, &GET), Frame::data(1, 0, "x")];
    check("5.1", "data behind the end", refused_with(&elbow, &late), &closed);
}

#[test]
fn section_6_frames_of_every_type() {
    let (_backend, elbow) = balancer();
    let settings = |name, value| vec![Frame::settings(&[(name, value)])];
    let zero = |kind, length: usize| vec![Frame::new(kind, 0, 0, vec![0; length])];
    let one = |kind, length: usize| vec![Frame::new(kind, 0, 1, vec![0; length])];
    let padded = |kind, payload: &[u8]| Frame::new(kind, flag::PADDED | flag::END_HEADERS, 1, payload);
    for (section, what, frames, expected) in [
        ("6.1", "data on stream 0", zero(kind::DATA, 1), code::PROTOCOL_ERROR),
        (
            "6.1",
            "more padding than data",
            vec![Frame::head(1, &POST), padded(kind::DATA, &[2, 0])],
            code::PROTOCOL_ERROR,
        ),
        ("6.2", "more padding than head", vec![padded(kind::HEADERS, &[9, 0x82])], code::PROTOCOL_ERROR),
        ("6.3", "a priority on stream 0", zero(kind::PRIORITY, 5), code::PROTOCOL_ERROR),
        ("6.4", "a reset on stream 0", zero(kind::RST_STREAM, 4), code::PROTOCOL_ERROR),
        (
            "6.4",
            "a reset of 3 bytes",
            [vec![Frame::head(1, &POST)], one(kind::RST_STREAM, 3)].concat(),
            code::FRAME_SIZE_ERROR,
        ),
        ("6.5", "settings of 5 bytes", zero(kind::SETTINGS, 5), code::FRAME_SIZE_ERROR),
        ("6.5", "settings on a stream", one(kind::SETTINGS, 0), code::PROTOCOL_ERROR),
        (
            "6.5",
            "an acknowledgement with content",
            vec![Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6])],
            code::FRAME_SIZE_ERROR,
        ),
        ("6.5.2", "ENABLE_PUSH 2", settings(2, 2), code::PROTOCOL_ERROR),
        ("6.5.2", "INITIAL_WINDOW_SIZE 2^31", settings(4, 1 << 31), code::FLOW_CONTROL_ERROR),
        ("6.5.2", "MAX_FRAME_SIZE 16383", settings(5, 16_383), code::PROTOCOL_ERROR),
        (
            "6.6",
            "a promise of a client",
            vec![Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0; 8])],
            code::PROTOCOL_ERROR,
        ),
        ("6.7", "a ping of 7 bytes", zero(kind::PING, 7), code::FRAME_SIZE_ERROR),
        ("6.7", "a ping on a stream", one(kind::PING, 8), code::PROTOCOL_ERROR),
        ("6.8", "a goodbye on a stream", one(kind::GOAWAY, 8), code::PROTOCOL_ERROR),
        ("6.9", "a window of 3 bytes", zero(kind::WINDOW_UPDATE, 3), code::FRAME_SIZE_ERROR),
        ("6.9", "a window opened by nothing", vec![Frame::window_update(0, 0)], code::PROTOCOL_ERROR),
        (
            "6.9.1",
            "a window above its maximum",
            vec![Frame::window_update(0, (1 << 31) - 1); 2],
            code::FLOW_CONTROL_ERROR,
        ),
        ("6.10", "a continuation of nothing", one(kind::CONTINUATION, 1), code::PROTOCOL_ERROR),
    ] {
        check(section, what, ended_with(&elbow, &frames), &[expected, code::PROTOCOL_ERROR]);
    }
    let mut client = Http2Peer::connect(elbow.address());
    client.send(&Frame::new(kind::PING, 0, 0, *b"elbow123"));
    let pong = client.expect(kind::PING, 0);
    assert_eq!((pong.flags, pong.payload.as_slice()), (flag::ACK, &b"elbow123"[..]), "6.7");
}

#[test]
fn section_6_9_windows_of_streams() {
    let (_backend, elbow) = balancer();
    let overflow = [Frame::head(1, &POST), Frame::window_update(1, (1 << 31) - 1)];
    check("6.9.1", "a stream's window above its maximum", refused_with(&elbow, &overflow), &[code::FLOW_CONTROL_ERROR]);
    let nothing = [Frame::head(1, &POST), Frame::window_update(1, 0)];
    check("6.9", "a stream's window opened by nothing", refused_with(&elbow, &nothing), &[code::PROTOCOL_ERROR]);
}

#[test]
fn section_6_10_a_head_is_not_interrupted() {
    let (backend, elbow) = balancer();
    let begun = Frame::new(kind::HEADERS, flag::END_STREAM, 1, header_block(&GET[..2]));
    let rest = Frame::new(kind::CONTINUATION, flag::END_HEADERS, 1, header_block(&GET[2..]));
    for between in [Frame::new(kind::PING, 0, 0, [0; 8]), Frame::request(3, &GET), Frame::data(1, 0, "x")] {
        let frames = [begun.clone(), between, rest.clone()];
        check("6.10", "something inside a head", ended_with(&elbow, &frames), &[code::PROTOCOL_ERROR]);
    }
    assert_eq!(backend.request_count(), 0);
    let mut client = Http2Peer::connect(elbow.address());
    client.try_send(&[begun, rest]).expect("taken");
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 200);
}

#[test]
fn section_6_1_a_body_in_crumbs_is_no_flood() {
    let (backend, elbow) = balancer();
    let mut client = Http2Peer::connect(elbow.address());
    let crumbs = (0..5000).map(|index| Frame::data(1, 0, [b'a' + (index % 26) as u8]));
    let frames: Vec<Frame> = [Frame::head(1, &POST)].into_iter().chain(crumbs).collect();
    client.try_send(&frames).expect("taken");
    client.send(&Frame::data(1, flag::END_STREAM, ""));
    assert_eq!(client.expect(kind::HEADERS, 1).status(), 200);
    let body = backend.only_request().body.bytes;
    assert!(body.iter().zip(0..5000).all(|(byte, index)| *byte == b'a' + (index % 26) as u8) && body.len() == 5000);
}
