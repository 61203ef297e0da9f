//! Tells which streams of an HTTP/2 connection carry fields that their sender never lets be indexed (RFC 7541 section 7.1.3).
//!
//! Whoever passes such a field on must do the same (section 6.2.3), and `h2` does not tell which they are. So they are looked
//! for on the way in, by the shape of a head alone; what the fields say is `h2`'s business. The whole head is confidential
//! then: that is always allowed, and costs its receiver a few bytes.

use std::collections::BTreeSet;

use crate::transport::http2_frames::{FrameHeader, Frames, Step, flag, frame_type};

/// Streams known at most: all that one connection has at a time, and some that `h2` refused before anybody saw them.
const STREAMS: usize = 256;

/// What is known of one connection.
pub struct Secrets {
    frames: Frames,
    /// The head that is under way.
    block: Option<Block>,
    streams: BTreeSet<u32>,
}

/// A head in one frame or several.
struct Block {
    stream: u32,
    /// The frame at hand is its last.
    is_last: bool,
    /// The frame at hand says first how much padding it ends with.
    is_padded: bool,
    /// Bytes of the frame that are in front of the fields, and behind them.
    front: u32,
    padding: u32,
    /// Bytes of the frame that have not come.
    left: u32,
    fields: Fields,
}

impl Secrets {
    /// Of a connection whose first bytes are a preface of that length, or frames.
    pub fn behind(preface: u32) -> Secrets {
        Secrets { frames: Frames::behind(preface), block: None, streams: BTreeSet::new() }
    }

    /// Takes note of what arrived next.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while let Some(step) = self.frames.next(&mut bytes) {
            match step {
                Step::Begin(header) => self.begin_frame(header),
                Step::Payload(payload) => self.block.iter_mut().for_each(|block| block.take(payload)),
                Step::End => self.end_frame(),
            }
        }
    }

    /// Whether a head that came on `stream` has such a field.
    pub fn has(&self, stream: u32) -> bool {
        self.streams.contains(&stream)
    }

    /// Nobody will ask for `stream` again.
    pub fn forget(&mut self, stream: u32) {
        self.streams.remove(&stream);
    }

    fn begin_frame(&mut self, header: FrameHeader) {
        let has = |flag| header.flags & flag != 0;
        let (is_last, left) = (has(flag::END_HEADERS), header.length);
        match (header.kind, self.block.take()) {
            (frame_type::HEADERS, _) => {
                let is_padded = has(flag::PADDED);
                let front = u32::from(is_padded) + if has(flag::PRIORITY) { 5 } else { 0 };
                let (stream, fields) = (header.stream, Fields::default());
                self.block = Some(Block { stream, is_last, is_padded, front, padding: 0, left, fields });
            }
            (frame_type::CONTINUATION, Some(block)) => {
                self.block = Some(Block { is_last, is_padded: false, front: 0, padding: 0, left, ..block });
            }
            _ => {}
        }
    }

    fn end_frame(&mut self) {
        let Some(block) = self.block.take_if(|block| block.is_last) else { return };
        if block.fields.has_secret {
            self.streams.insert(block.stream);
        }
        if self.streams.len() > STREAMS {
            self.streams.pop_first();
        }
    }
}

impl Block {
    fn take(&mut self, mut payload: &[u8]) {
        while let Some((first, rest)) = payload.split_first().filter(|_| self.front > 0) {
            if std::mem::take(&mut self.is_padded) {
                self.padding = u32::from(*first);
            }
            self.front -= 1;
            self.left -= 1;
            payload = rest;
        }
        let fields = self.left.saturating_sub(self.padding) as usize;
        self.left -= payload.len() as u32;
        self.fields.take(payload.get(..fields).unwrap_or(payload));
    }
}

/// Where in the representations of fields a head is (RFC 7541 section 6).
#[derive(Default)]
struct Fields {
    place: Place,
    has_secret: bool,
}

/// `strings` are those that belong to the representation and have not ended: a name, a value.
#[derive(Clone, Copy, Default)]
enum Place {
    /// Between two representations.
    #[default]
    Between,
    /// In the further bytes of an index.
    Index { strings: u8 },
    /// In front of a string.
    Length { strings: u8 },
    /// In the further bytes of a string's length.
    LongLength { strings: u8, length: u32, shift: u32 },
    /// In a string, of which so many bytes are missing.
    Text { strings: u8, left: u32 },
}

impl Fields {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            self.place = match self.place {
                Place::Text { strings, left } => {
                    let taken = bytes.len().min(left as usize);
                    bytes = bytes.get(taken..).unwrap_or_default();
                    self.place = Place::text(strings, left - taken as u32);
                    continue;
                }
                Place::Between => self.begin(*first),
                Place::Index { strings } if *first < 0x80 => Place::strings(strings),
                Place::Index { strings } => Place::Index { strings },
                Place::Length { strings } => match first & 0x7f {
                    0x7f => Place::LongLength { strings, length: 0x7f, shift: 0 },
                    length => Place::text(strings, u32::from(length)),
                },
                Place::LongLength { strings, length, shift } => {
                    // Heads are much shorter; what cannot be one is refused elsewhere.
                    let length = length.saturating_add(u32::from(first & 0x7f).checked_shl(shift).unwrap_or(0));
                    match first {
                        0x80.. => Place::LongLength { strings, length, shift: shift.saturating_add(7) },
                        _ => Place::text(strings, length),
                    }
                }
            };
            bytes = rest;
        }
    }

    fn begin(&mut self, first: u8) -> Place {
        const LITERAL_NEVER_INDEXED: std::ops::Range<u8> = 0x10..0x20;
        self.has_secret |= LITERAL_NEVER_INDEXED.contains(&first);
        let (mask, is_literal) = match first {
            0x80.. => (0x7f, false),
            0x40.. => (0x3f, true),
            0x20.. => (0x1f, false),
            _ => (0x0f, true),
        };
        let strings = match (is_literal, first & mask) {
            (false, _) => 0,
            (true, 0) => 2,
            (true, _) => 1,
        };
        if first & mask == mask { Place::Index { strings } } else { Place::strings(strings) }
    }
}

impl Place {
    fn strings(strings: u8) -> Place {
        if strings == 0 { Place::Between } else { Place::Length { strings } }
    }

    fn text(strings: u8, left: u32) -> Place {
        if left == 0 { Place::strings(strings - 1) } else { Place::Text { strings, left } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Whether a head of these bytes has a secret, in whatever pieces it comes; the head behind it has none.
    fn has_secret(frames: &[Vec<u8>]) -> bool {
        let plain = frame(frame_type::HEADERS, flag::END_HEADERS, 3, &[0x82]);
        let stream = [&frames.concat(), &plain[..], &frame(frame_type::DATA, 0, 1, &[0x10; 20])].concat();
        let found: Vec<bool> = (1..=stream.len())
            .map(|size| {
                let mut secrets = Secrets::behind(0);
                stream.chunks(size).for_each(|piece| secrets.take(piece));
                assert!(!secrets.has(3));
                let found = secrets.has(1);
                secrets.forget(1);
                assert!(!secrets.has(1));
                found
            })
            .collect();
        assert!(found.iter().all(|each| *each == found[0]), "{found:?}");
        found[0]
    }

    #[test]
    fn representations_are_told_apart() {
        let long = [&[0x00, 0x01, b'n', 0x7f, 0x81, 0x01][..], &[0x10; 127 + 129]].concat();
        let secret: &[u8] = &[0x10, 0x01, b'n', 0x02, b'v', b'v'];
        for (fields, expected) in [
            (&[][..], false),
            (&[0x82, 0x90, 0xff, 0x90, 0x10], false),
            (&[0x3f, 0x90, 0x1f, 0x82], false),
            (&[0x00, 0x01, 0x10, 0x01, 0x10], false),
            (&[0x40, 0x01, 0x10, 0x00, 0x51, 0x01, 0x1f], false),
            (&[0x0f, 0x10, 0x01, 0x1f, 0x7f, 0x10, 0x81, 0x11], false),
            (&long, false),
            (secret, true),
            (&[0x1f, 0x10, 0x01, b'v'], true),
            (&[0x14, 0x00], true),
            (&[&[0x82, 0x40, 0x01, b'n', 0x00][..], secret].concat(), true),
            (&[&long, secret].concat(), true),
        ] {
            let head = frame(frame_type::HEADERS, flag::END_HEADERS, 1, fields);
            assert_eq!(has_secret(&[head]), expected, "{fields:x?}");
        }
    }

    #[test]
    fn fields_are_found_in_their_frames() {
        let secret = [0x10, 0x01, b'n', 0x01, b'v'];
        let headers = |flags, payload: &[u8]| frame(frame_type::HEADERS, flags, 1, payload);
        let padded = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
        let with_padding = |fields: &[u8]| [&[3, 0x10, 0x10, 0x10, 0x10, 0x10], fields, &[0x10; 3]].concat();
        let more = |flags, payload: &[u8]| frame(frame_type::CONTINUATION, flags, 1, payload);
        for (frames, expected) in [
            (vec![headers(padded, &with_padding(&secret))], true),
            (vec![headers(padded, &with_padding(&[0x82]))], false),
            (vec![headers(padded, &[200, 0, 0, 0, 0, 0, 0x10])], false),
            (vec![headers(0, &secret[..2]), more(0, &secret[2..4]), more(flag::END_HEADERS, &secret[4..])], true),
            (vec![headers(0, &[0x00, 0x01]), more(0, &[]), more(flag::END_HEADERS, &[0x10, 0x00])], false),
            (vec![headers(flag::END_HEADERS, &[0x82]), headers(flag::END_HEADERS, &secret)], true),
            (vec![headers(flag::END_HEADERS, &secret), headers(flag::END_HEADERS, &[0x82])], true),
        ] {
            assert_eq!(has_secret(&frames), expected, "{frames:x?}");
        }
    }

    #[test]
    fn streams_that_nobody_asks_for_are_not_kept_for_ever() {
        let mut secrets = Secrets::behind(0);
        for stream in 0..1000_u16 {
            let [high, low] = (2 * stream + 1).to_be_bytes();
            secrets.take(&[0, 0, 2, frame_type::HEADERS, flag::END_HEADERS, 0, 0, high, low, 0x14, 0]);
        }
        assert_eq!(secrets.streams.len(), STREAMS);
        assert!(secrets.has(1999) && !secrets.has(1));
    }
}
