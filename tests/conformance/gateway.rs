//! A gateway made of the wire room alone, and the tables' way of running cases through it.

use std::net::{IpAddr, Ipv4Addr};

use elbow::wire::body::BodyDecoder;
use elbow::wire::chunk::{CRLF, LAST_CHUNK, chunk_header};
use elbow::wire::connection::Persistence;
use elbow::wire::forward::{
    Additions, Expectation, RequestForward, ResponseForward, Scheme, write_request_head, write_response_head,
};
use elbow::wire::framing::BodyFraming;
use elbow::wire::head::{Asked, HeadLimits, HeadStatus, Reply, RequestHead, ResponseHead, Version};

/// What every request is forwarded with.
pub const FORWARD: RequestForward<'static> = RequestForward {
    client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    scheme: Scheme::Http,
    listener_port: 80,
    node: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    expectation: Expectation::Answered,
    persistence: Persistence::KeepAlive,
    client_certificate: None,
    additions: Additions { replace: &[], append: &[] },
};

/// How a client's bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the end of a message.
    Clean,
    /// Inside a message: more is waited for, until a deadline.
    Waiting,
    /// Refused with this status and reason; the connection is closed.
    Refused(u16, &'static str),
    /// The client asked for its connection to be closed; nothing behind that is read.
    Closed,
}

/// Passes a client's bytes on, as they arrive in pieces of `piece` bytes. A body's data is written in one piece, so
/// that the outcome can be compared whatever the pieces were.
pub fn pass_requests(input: &[u8], piece: usize) -> (Vec<u8>, End) {
    let mut to_back_end = Vec::new();
    let mut received = Received::new(input, piece);
    let mut head = RequestHead::default();
    loop {
        match head.parse(received.bytes(), &HeadLimits::default()) {
            Ok(HeadStatus::Complete { length }) => received.consume(length),
            Ok(HeadStatus::Partial) if received.more() => continue,
            Ok(HeadStatus::Partial) if received.bytes().is_empty() => return (to_back_end, End::Clean),
            Ok(HeadStatus::Partial) => return (to_back_end, End::Waiting),
            Err(fault) => return (to_back_end, End::Refused(fault.status(), fault.reason())),
        }
        write_request_head(&head, &FORWARD, &mut to_back_end);
        let end = match pass_body(head.framing(), head.framing(), &mut received, &mut to_back_end) {
            BodyEnd::Whole => End::Clean,
            BodyEnd::Missing => End::Waiting,
            BodyEnd::Fault(fault) => End::Refused(fault.answer().status(), fault.reason()),
        };
        if end != End::Clean {
            return (to_back_end, end);
        }
        if head.persistence() == Persistence::Close {
            return (to_back_end, End::Closed);
        }
    }
}

/// What a client gets of a back end's bytes that are followed by a close.
#[derive(Debug, PartialEq, Eq)]
pub struct ResponseSeen {
    pub to_client: Vec<u8>,
    /// Whether the answer was whole, or why not.
    pub fault: Option<&'static str>,
    pub client_connection: Persistence,
    pub back_end_connection: Persistence,
}

/// Passes a back end's bytes on to a client of that version that asked for that.
pub fn pass_response(input: &[u8], asked: Asked, client: Version, piece: usize) -> ResponseSeen {
    let mut seen = ResponseSeen {
        to_client: Vec::new(),
        fault: None,
        client_connection: Persistence::Close,
        back_end_connection: Persistence::Close,
    };
    let mut received = Received::new(input, piece);
    if let Err(fault) = pass_answer(&mut received, asked, client, &mut seen) {
        seen.fault = Some(fault);
        seen.client_connection = Persistence::Close;
        seen.back_end_connection = Persistence::Close;
    }
    // What a back end sends unasked must not be taken for the answer to another request.
    if received.more() || !received.bytes().is_empty() {
        seen.back_end_connection = Persistence::Close;
    }
    seen
}

fn pass_answer(
    received: &mut Received<'_>,
    asked: Asked,
    client: Version,
    seen: &mut ResponseSeen,
) -> Result<(), &'static str> {
    let forward = ResponseForward { client, persistence: Persistence::KeepAlive, additions: Additions::default() };
    let mut head = ResponseHead::default();
    loop {
        match head.parse(received.bytes(), &HeadLimits::default()).map_err(|fault| fault.reason())? {
            HeadStatus::Complete { length } => received.consume(length),
            HeadStatus::Partial if received.more() => continue,
            HeadStatus::Partial => return Err("closed"),
        }
        let reply = head.reply(asked).map_err(|fault| fault.reason())?;
        let sent = write_response_head(&head, reply, &forward, &mut seen.to_client);
        seen.client_connection = sent.persistence;
        match reply {
            Reply::Interim => continue,
            Reply::SwitchingProtocols => return Ok(()),
            Reply::Final(framing) => {
                seen.back_end_connection = head.persistence(framing);
                return match pass_body(framing, sent.framing, received, &mut seen.to_client) {
                    BodyEnd::Whole => Ok(()),
                    BodyEnd::Missing => Err("body_truncated"),
                    BodyEnd::Fault(fault) => Err(fault.reason()),
                };
            }
        }
    }
}

enum BodyEnd {
    Whole,
    Missing,
    Fault(elbow::wire::fault::BodyFault),
}

fn pass_body(from: BodyFraming, to: BodyFraming, received: &mut Received<'_>, out: &mut Vec<u8>) -> BodyEnd {
    let mut decoder = BodyDecoder::new(from);
    let mut data = Vec::new();
    let end = loop {
        match decoder.decode(received.bytes()) {
            Err(fault) => break BodyEnd::Fault(fault),
            Ok(decoded) => {
                data.extend_from_slice(&received.bytes()[decoded.data]);
                received.consume(decoded.consumed);
                if decoded.ended {
                    break BodyEnd::Whole;
                }
                if decoded.consumed == 0 && !received.more() {
                    break if decoder.handle_close().is_ok() { BodyEnd::Whole } else { BodyEnd::Missing };
                }
            }
        }
    };
    if to != BodyFraming::Chunked {
        out.extend_from_slice(&data);
        return end;
    }
    if !data.is_empty() {
        for part in [chunk_header(data.len() as u64).as_bytes(), &data, CRLF] {
            out.extend_from_slice(part);
        }
    }
    if let BodyEnd::Whole = end {
        for part in [LAST_CHUNK, decoder.trailers().as_bytes(), CRLF] {
            out.extend_from_slice(part);
        }
    }
    end
}

/// Bytes that arrive in pieces.
struct Received<'a> {
    input: &'a [u8],
    start: usize,
    end: usize,
    piece: usize,
}

impl<'a> Received<'a> {
    fn new(input: &'a [u8], piece: usize) -> Self {
        Self { input, start: 0, end: 0, piece }
    }

    fn bytes(&self) -> &'a [u8] {
        &self.input[self.start..self.end]
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }

    fn more(&mut self) -> bool {
        let before = self.end;
        self.end = self.input.len().min(self.end + self.piece);
        self.end > before
    }
}

/// Pieces in which every case arrives.
const PIECES: [usize; 4] = [usize::MAX, 1, 2, 7];

/// The fields Elbow adds, written `<forwarded>` in the tables.
const FORWARDED: &str = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n";

/// One row of a table of requests: what it shows, the client's bytes, what the back end saw, how it ended.
pub type RequestCase<'a> = (&'a str, &'a str, &'a str, End);

/// Runs a table of requests.
pub fn check_requests(cases: &[RequestCase<'_>]) {
    for (name, input, to_back_end, end) in cases {
        for piece in PIECES {
            let (seen, ended) = pass_requests(input.as_bytes(), piece.min(input.len()));
            let seen = String::from_utf8_lossy(&seen).into_owned();
            let expected = to_back_end.replace("<forwarded>", FORWARDED);
            assert_eq!((seen.as_str(), ended), (expected.as_str(), *end), "{name}, in pieces of {piece}: {input:?}");
        }
    }
}

/// Checks that each of the inputs is refused with that status and reason, and nothing reaches the back end.
pub fn check_refused(status: u16, reason: &'static str, inputs: &[&str]) {
    let cases: Vec<_> = inputs.iter().map(|input| (reason, *input, "", End::Refused(status, reason))).collect();
    check_requests(&cases);
}

/// One row of a table of responses: what it shows, the back end's bytes, what the client saw, whether the answer was
/// whole, and what becomes of the client's and the back end's connection.
pub type ResponseCase<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Persistence, Persistence);

/// Runs a table of answers to one request of a client of that version.
pub fn check_responses(asked: Asked, client: Version, cases: &[ResponseCase<'_>]) {
    for (name, input, to_client, fault, client_connection, back_end_connection) in cases {
        for piece in PIECES {
            let seen = pass_response(input.as_bytes(), asked, client, piece.min(input.len()));
            let text = String::from_utf8_lossy(&seen.to_client).into_owned();
            assert_eq!((text.as_str(), seen.fault), (*to_client, *fault), "{name}, in pieces of {piece}");
            assert_eq!(
                (seen.client_connection, seen.back_end_connection),
                (*client_connection, *back_end_connection),
                "{name}, in pieces of {piece}"
            );
        }
    }
}
