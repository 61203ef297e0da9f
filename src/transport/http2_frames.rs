//! The frames of an HTTP/2 connection, found in its bytes as they arrive, in whatever pieces (RFC 9113 section 4.1).

/// The length of a frame's header.
const HEADER_LENGTH: usize = 9;

/// Types of frames (RFC 9113 section 6).
pub mod frame_type {
    /// `DATA`
    pub const DATA: u8 = 0;
    /// `HEADERS`
    pub const HEADERS: u8 = 1;
    /// `RST_STREAM`
    pub const RST_STREAM: u8 = 3;
    /// `SETTINGS`
    pub const SETTINGS: u8 = 4;
    /// `CONTINUATION`
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames (RFC 9113 section 6).
pub mod flag {
    /// Of `DATA` and `HEADERS`.
    pub const END_STREAM: u8 = 0x1;
    /// Of `HEADERS` and `CONTINUATION`.
    pub const END_HEADERS: u8 = 0x4;
    /// Of `DATA` and `HEADERS`.
    pub const PADDED: u8 = 0x8;
    /// Of `HEADERS`.
    pub const PRIORITY: u8 = 0x20;
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// One of [`frame_type`], or another.
    pub kind: u8,
    /// Some of [`flag`], or others.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// Bytes of payload.
    pub length: u32,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame begins.
    Begin(FrameHeader),
    /// Some of its payload, never nothing.
    Payload(&'a [u8]),
    /// It has ended.
    End,
}

/// Where in the frames the bytes are.
pub struct Frames {
    header: [u8; HEADER_LENGTH],
    place: Place,
}

enum Place {
    /// In a header, of which so many bytes are there.
    Header(usize),
    /// In a payload, of which so many bytes are missing.
    Payload(u32),
}

impl Frames {
    /// Frames that begin behind a preface of that length, which counts as a payload.
    pub fn behind(preface: u32) -> Frames {
        Frames { header: [0; HEADER_LENGTH], place: Place::Payload(preface) }
    }

    /// Takes the next step's bytes from the front of `bytes`; `None` when more have to come.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Step<'a>> {
        match self.place {
            Place::Payload(0) => {
                self.place = Place::Header(0);
                Some(Step::End)
            }
            Place::Payload(left) => {
                let (payload, rest) = bytes.split_at(bytes.len().min(left as usize));
                *bytes = rest;
                self.place = Place::Payload(left - payload.len() as u32);
                (!payload.is_empty()).then_some(Step::Payload(payload))
            }
            Place::Header(gathered) => {
                let missing = self.header.get_mut(gathered..).unwrap_or_default();
                let (part, rest) = bytes.split_at(bytes.len().min(missing.len()));
                missing.iter_mut().zip(part).for_each(|(place, byte)| *place = *byte);
                *bytes = rest;
                let gathered = gathered + part.len();
                if gathered < HEADER_LENGTH {
                    self.place = Place::Header(gathered);
                    return None;
                }
                let header = self.read_header();
                self.place = Place::Payload(header.length);
                Some(Step::Begin(header))
            }
        }
    }

    fn read_header(&self) -> FrameHeader {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
        // The first bit of the stream is reserved.
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        FrameHeader { kind, flags, stream, length: u32::from_be_bytes([0, l0, l1, l2]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_are_split() {
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
        let empty = [0, 0, 0, 4, 1, 0x80, 0, 0, 3];
        let stream = [b"preface", &ping[..], &empty, &ping].concat();
        let header = |kind, flags, stream, length| FrameHeader { kind, flags, stream, length };
        for size in 1..=stream.len() {
            let (mut frames, mut begun, mut payload, mut ended) = (Frames::behind(7), Vec::new(), Vec::new(), 0);
            for mut piece in stream.chunks(size) {
                while let Some(step) = frames.next(&mut piece) {
                    match step {
                        Step::Begin(header) => begun.push(header),
                        Step::Payload(bytes) => payload.extend_from_slice(bytes),
                        Step::End => ended += 1,
                    }
                }
                assert!(piece.is_empty());
            }
            assert_eq!(begun, [header(6, 0, 0, 8), header(4, 1, 3, 0), header(6, 0, 0, 8)]);
            assert_eq!((payload, ended), ([b"preface", &[7; 16][..]].concat(), 4), "in pieces of {size}");
        }
    }
}
