//! What holds for every input: pieces do not matter, a forwarded message reads as itself, nothing panics.

use proptest::prelude::*;

use elbow::wire::connection::Persistence;
use elbow::wire::forward::{Additions, ResponseForward, write_request_head, write_response_head};
use elbow::wire::head::{Asked, HeadLimits, HeadStatus, Method, Reply, RequestHead, ResponseHead, Version};

use crate::gateway::{FORWARD, pass_requests, pass_response};

/// Pieces of messages, good and bad, that random order makes into interesting input.
fn message_soup() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        4 => Just(b"POST /p HTTP/1.1\r\nHost: a\r\n".to_vec()),
        2 => Just(b"GET http://b/p HTTP/1.0\r\n".to_vec()),
        2 => Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        3 => Just(b"Content-Length: 5\r\n".to_vec()),
        3 => Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        2 => Just(b"Connection: upgrade, x\r\nX: 1\r\n".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        3 => Just(b"5\r\nhello\r\n".to_vec()),
        3 => Just(b"0\r\n\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b" ".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// A request that must be accepted, with whatever legal whitespace and fields.
fn good_request() -> impl Strategy<Value = String> {
    let field = ("[!#$%&'*+.^`|~A-Za-z0-9-]{1,20}", "[ \t]{0,2}", "([!-~][ -~]{0,20}[!-~])?", "[ \t]{0,2}")
        .prop_map(|(name, before, value, after)| format!("x{name}:{before}{value}{after}\r\n"));
    let known = prop::sample::select(vec![
        "Connection: close\r\n",
        "Connection: keep-alive, X-Hop\r\n",
        "X-Hop: 1\r\n",
        "X-Forwarded-For: 1.2.3.4\r\n",
        "Keep-Alive: 1\r\n",
        "Expect: 100-continue\r\n",
        "Cookie: a=1\r\n",
    ])
    .prop_map(str::to_owned);
    let framing = prop::sample::select(vec!["", "Content-Length: 17\r\n", "Transfer-Encoding: chunked\r\n"]);
    let target = "(http://[a-z]{1,9}(:[0-9]{1,4})?)?/[!\"$-~]{0,20}";
    (target, prop::sample::select(vec!["1.0", "1.1"]), framing, prop::collection::vec(prop_oneof![field, known], 0..12))
        .prop_map(|(target, version, framing, fields)| {
            let framing = if version == "1.0" && framing.starts_with('T') { "" } else { framing };
            format!("PUT {target} HTTP/{version}\r\nHost: a.example:80\r\n{framing}{}\r\n", fields.concat())
        })
}

fn parse_whole(input: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    let status = head.parse(input, &HeadLimits::default());
    assert_eq!(status, Ok(HeadStatus::Complete { length: input.len() }), "{}", input.escape_ascii());
    head
}

fn forwarded(head: &RequestHead) -> Vec<u8> {
    let mut out = Vec::new();
    write_request_head(head, &FORWARD, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter_to_requests(input in message_soup(), piece in 1usize..40) {
        prop_assert_eq!(pass_requests(&input, piece), pass_requests(&input, input.len()));
    }

    #[test]
    fn pieces_do_not_matter_to_responses(input in message_soup(), piece in 1usize..40, upgrade: bool) {
        let input = [b"HTTP/1.1 200 OK\r\n", &input[..]].concat();
        let asked = Asked { method: Method::Get, upgrade };
        prop_assert_eq!(
            pass_response(&input, asked, Version::Http11, piece),
            pass_response(&input, asked, Version::Http11, input.len())
        );
    }

    #[test]
    fn any_bytes_are_survived(input in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..40) {
        pass_requests(&input, piece);
        pass_response(&input, Asked::default(), Version::Http10, piece);
    }

    /// What the back end gets means to a strict parser what it meant to Elbow, and forwarding it once more changes
    /// nothing but the list of addresses.
    #[test]
    fn a_forwarded_request_reads_as_itself(request in good_request()) {
        let head = parse_whole(request.as_bytes());
        let once = forwarded(&head);
        let again = parse_whole(&once);
        prop_assert_eq!(again.method(), head.method());
        prop_assert_eq!(again.target(), head.path());
        prop_assert_eq!(again.host(), head.host());
        prop_assert_eq!(again.framing(), head.framing());
        prop_assert_eq!(again.persistence(), Persistence::KeepAlive);
        let twice = String::from_utf8_lossy(&forwarded(&again)).replace(", 192.0.2.7\r\n", "\r\n");
        prop_assert_eq!(twice, String::from_utf8_lossy(&once).into_owned());
    }

    #[test]
    fn a_forwarded_response_reads_as_itself(
        fields in prop::collection::vec("x[a-z]{0,9}:[ \t]{0,2}([!-~][ -~]{0,9}[!-~])?[ \t]?", 0..9),
        framing in prop::sample::select(vec!["content-length: 07\r\n", "transfer-encoding: chunked\r\n"]),
        status in 200u16..600,
    ) {
        let asked = Asked::default();
        let forward = ResponseForward {
            client: Version::Http11,
            persistence: Persistence::KeepAlive,
            additions: Additions::default(),
        };
        let pass = |input: &[u8]| {
            let mut head = ResponseHead::default();
            let length = input.len();
            prop_assert_eq!(head.parse(input, &HeadLimits::default()), Ok(HeadStatus::Complete { length }));
            let reply = head.reply(asked).unwrap();
            let mut out = Vec::new();
            let sent = write_response_head(&head, reply, &forward, &mut out);
            prop_assert_eq!(reply, Reply::Final(sent.framing));
            Ok(out)
        };
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let once = pass(format!("HTTP/1.1 {status} Reason\r\n{framing}{fields}\r\n").as_bytes())?;
        prop_assert_eq!(pass(&once)?, once);
    }
}
