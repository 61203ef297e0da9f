//! An HTTP/2 client that sends exactly the frames it is told, legal or not, and knows as little as that needs: fields
//! go out as literals, and of an answer's head it reads the status only (RFC 9113, RFC 7541).

use crate::harness::{PATIENCE, Peer};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS_HEADER_TABLE_SIZE (RFC 9113 section 6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;

/// Types of frames (RFC 9113 section 6).
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
}

/// Error codes (RFC 9113 section 7).
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    /// A request's head that ends its stream.
    pub fn request(stream: u32, fields: &[(&str, &str)]) -> Frame {
        Frame::new(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, header_block(fields))
    }

    /// A request's head with a body to come.
    pub fn head(stream: u32, fields: &[(&str, &str)]) -> Frame {
        Frame::new(kind::HEADERS, flag::END_HEADERS, stream, header_block(fields))
    }

    pub fn data(stream: u32, flags: u8, payload: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::DATA, flags, stream, payload)
    }

    pub fn settings(settings: &[(u16, u32)]) -> Frame {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        Frame::new(kind::SETTINGS, 0, 0, payload)
    }

    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn reset(stream: u32, code: u32) -> Frame {
        Frame::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = (self.payload.len() as u32).to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn number_at(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).unwrap_or_else(|| panic!("no number at {at} of {self:?}"));
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }

    /// The error code of a RST_STREAM or GOAWAY.
    pub fn error_code(&self) -> u32 {
        match self.kind {
            kind::RST_STREAM => self.number_at(0),
            kind::GOAWAY => self.number_at(4),
            _ => panic!("no error code in {self:?}"),
        }
    }

    /// The status of an answer's head; it is the first field, and a literal one is not compressed in three digits.
    pub fn status(&self) -> u16 {
        const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        assert_eq!(self.kind, kind::HEADERS, "{self:?}");
        // A change of the table's size may stand in front (RFC 7541 section 6.3).
        let start = self.payload.iter().position(|byte| byte >> 5 != 1).unwrap_or_default();
        match &self.payload[start..] {
            [first @ 0x88..=0x8e, ..] => INDEXED[usize::from(first - 0x88)],
            // A literal value with the name of index 8, huffman-coded: digits are 5 or 6 bits long.
            [0x08 | 0x48 | 0x18, length, rest @ ..] if length & 0x80 != 0 => {
                huffman_digits(&rest[..usize::from(length & 0x7f)])
            }
            [0x08 | 0x48 | 0x18, 3, digits @ ..] => {
                std::str::from_utf8(&digits[..3]).expect("digits").parse().expect("a number")
            }
            _ => panic!("no status in {self:?}"),
        }
    }
}

/// Three digits in the code of RFC 7541 appendix B: 0 to 2 are 00000 to 00010, 3 to 9 are 011001 to 011111.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut take = |count: usize| (0..count).fold(0, |number, _| number << 1 | bits.next().expect("a bit"));
    (0..3).fold(0, |number, _| {
        let digit = match take(5) {
            short @ 0..=2 => short,
            long => (long << 1 | take(1)) - 0b011001 + 3,
        };
        number * 10 + digit
    })
}

/// Fields as literals that are not indexed (RFC 7541 section 6.2.2).
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    fn literal(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text.len();
        if rest < 127 {
            out.push(rest as u8);
        } else {
            out.push(127);
            rest -= 127;
            while rest >= 128 {
                out.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            out.push(rest as u8);
        }
        out.extend_from_slice(text.as_bytes());
        out
    }
    fields.iter().flat_map(|(name, value)| [vec![0], literal(name), literal(value)].concat()).collect()
}

/// The fields of a plain request.
pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

/// The fields of a request with a body.
pub const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];

/// A connection with prior knowledge.
#[derive(Debug)]
pub struct Http2Peer {
    peer: Peer,
}

impl Http2Peer {
    /// Connects, and says the preface and that it keeps no table of fields.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Http2Peer {
        Http2Peer::connect_with(address, &[])
    }

    /// As [`Http2Peer::connect`], with these settings beside.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Http2Peer {
        let mut peer = Peer::connect(address);
        let settings = [&[(HEADER_TABLE_SIZE, 0)], settings].concat();
        peer.send([PREFACE, &Frame::settings(&settings).bytes()].concat());
        Http2Peer { peer }
    }

    pub fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        self.peer.send(frame.bytes());
    }

    /// Sends frames in one write.
    pub fn try_send(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.peer.try_send(frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>())
    }

    /// The next frame; `None` when the connection has ended.
    #[track_caller]
    pub fn next(&mut self) -> Option<Frame> {
        let header = match self.peer.try_read_exact(9) {
            Ok(header) => header,
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                return None;
            }
            Err(error) => panic!("neither a frame nor an end: {error}"),
        };
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let stream = u32::from_be_bytes(header[5..9].try_into().expect("four bytes"));
        let payload = self.peer.try_read_exact(length as usize).expect("a whole frame");
        Some(Frame { kind: header[3], flags: header[4], stream, payload })
    }

    /// The next frame that `wanted` wants; others are dropped. `None` when the connection ends before.
    #[track_caller]
    pub fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let deadline = Instant::now() + 2 * PATIENCE;
        while let Some(frame) = self.next() {
            if wanted(&frame) {
                return Some(frame);
            }
            assert!(Instant::now() < deadline, "only frames that are not wanted, the last: {frame:?}");
        }
        None
    }

    /// The next frame of that kind on that stream.
    #[track_caller]
    pub fn expect(&mut self, kind: u8, stream: u32) -> Frame {
        let found = self.find(|frame| frame.kind == kind && frame.stream == stream);
        found.unwrap_or_else(|| panic!("no frame of kind {kind} on stream {stream}"))
    }

    /// Asks on `stream`; the status of the answer.
    #[track_caller]
    pub fn ask(&mut self, stream: u32, fields: &[(&str, &str)]) -> u16 {
        self.send(&Frame::request(stream, fields));
        self.expect(kind::HEADERS, stream).status()
    }

    /// The body of the answer on `stream`, whose head has been read, up to its end.
    #[track_caller]
    pub fn read_body(&mut self, stream: u32) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.expect(kind::DATA, stream);
            body.extend_from_slice(&frame.payload);
            if frame.has(flag::END_STREAM) {
                return body;
            }
        }
    }

    /// The code that the connection is ended with; the end follows.
    #[track_caller]
    pub fn expect_goaway(&mut self) -> u32 {
        let goaway = self.expect(kind::GOAWAY, 0);
        assert_eq!(self.find(|frame| frame.kind != kind::GOAWAY), None, "behind the end");
        goaway.error_code()
    }

    /// Shortens the wait for the next byte.
    pub fn set_patience(&self, patience: Duration) {
        self.peer.set_patience(patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_their_code() {
        // 503, 421 and 302: 011011 00000 011001, 011010 00010 00001, 011001 00000 00010; ones fill the last byte.
        for (bytes, status) in [
            ([0b0110_1100, 0b0000_1100, 0b1111_1111], 503),
            ([0b0110_1000, 0b0100_0001, 0b1111_1111], 421),
            ([0b0110_0100, 0b0000_0010, 0b1111_1111], 302),
        ] {
            assert_eq!(huffman_digits(&bytes), status);
        }
    }
}
