//! The fields behind a chunked body (RFC 9112 section 7.1.2), read line by line and kept as they will be sent.

use crate::wire::fault::BodyFault;
use crate::wire::head::FieldName;
use crate::wire::token::{is_field_value, is_token, trim_whitespace};

/// Bytes of a trailer section, counted before anything is dropped: room for checksums and status, no more.
const MAX_TRAILERS: usize = 16384;

/// A trailer section. Fields that frame, route, authenticate or describe the message are dropped
/// (RFC 9110 section 6.5.1): a recipient that merged them into the head would see another message.
#[derive(Clone, Debug, Default)]
pub struct Trailers {
    /// Whole field lines as they will be sent, and behind them at most one line that is still being read.
    text: Vec<u8>,
    line_start: usize,
    received: usize,
    is_confidential: bool,
}

impl Trailers {
    /// The field lines, each with CR LF, ready to be sent behind [`crate::wire::chunk::LAST_CHUNK`].
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.line_start).unwrap_or_default()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.as_bytes().split(|byte| *byte == b'\n').filter_map(split_field_line)
    }

    /// Says that one of the fields must never be indexed where heads are compressed (RFC 7541 section 7.1.3): then none is.
    pub fn make_confidential(&mut self) {
        self.is_confidential = true;
    }

    /// Whether the fields must never be indexed.
    pub fn is_confidential(&self) -> bool {
        self.is_confidential
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.line_start == 0
    }

    /// Adds a field that arrived as name and value; it is left out if it must not be a trailer.
    ///
    /// # Errors
    /// When the section gets too large or the field breaks the grammar.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), BodyFault> {
        self.received += name.len() + value.len() + ": \r\n".len();
        if self.received > MAX_TRAILERS {
            return Err(BodyFault::TrailersTooLarge);
        }
        if !is_token(name) || !is_field_value(value) {
            return Err(BodyFault::Trailer);
        }
        if may_be_trailer(name) {
            [name, b": ", value, b"\r\n"].iter().for_each(|part| self.text.extend_from_slice(part));
            self.line_start = self.text.len();
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(256);
        self.line_start = 0;
        self.received = 0;
        self.is_confidential = false;
    }

    /// Takes bytes up to the end of one line. Returns how many, and whether the line ended the section.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<(usize, bool), BodyFault> {
        let line_end = memchr::memchr(b'\n', input).map(|at| at + 1);
        let piece = input.get(..line_end.unwrap_or(input.len())).unwrap_or_default();
        self.received += piece.len();
        if self.received > MAX_TRAILERS {
            return Err(BodyFault::TrailersTooLarge);
        }
        self.text.extend_from_slice(piece);
        let is_last = line_end.is_some() && self.finish_line()?;
        Ok((piece.len(), is_last))
    }

    /// Judges the line just read: true if it was the empty one.
    fn finish_line(&mut self) -> Result<bool, BodyFault> {
        let line = self.text.get(self.line_start..).unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(BodyFault::Trailer);
        };
        if line.is_empty() {
            self.text.truncate(self.line_start);
            return Ok(true);
        }
        let (name, value) = split_field_line(line).ok_or(BodyFault::Trailer)?;
        if !is_token(name) || !is_field_value(value) {
            return Err(BodyFault::Trailer);
        }
        if may_be_trailer(name) {
            let line = [name, b": ", value, b"\r\n"].concat();
            self.text.truncate(self.line_start);
            self.text.extend_from_slice(&line);
            self.line_start = self.text.len();
        } else {
            self.text.truncate(self.line_start);
        }
        Ok(false)
    }
}

fn split_field_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?, trim_whitespace(line.get(colon + 1..)?)))
}

/// Whether a field may be passed on in a trailer section.
fn may_be_trailer(name: &[u8]) -> bool {
    const HEAD_ONLY: [&[u8]; 15] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"date",
        b"expires",
        b"forwarded",
        b"location",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
    ];
    const HEAD_ONLY_FAMILIES: [&[u8]; 3] = [b"content-", b"if-", b"x-forwarded-"];
    FieldName::classify(name) == FieldName::Other
        && !HEAD_ONLY.iter().any(|only| name.eq_ignore_ascii_case(only))
        && !HEAD_ONLY_FAMILIES
            .iter()
            .any(|family| name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(section: &[u8]) -> Result<(Trailers, usize), BodyFault> {
        let mut trailers = Trailers::default();
        let mut at = 0;
        while at < section.len() {
            let (taken, last) = trailers.take(&section[at..])?;
            at += taken;
            if last {
                break;
            }
        }
        Ok((trailers, at))
    }

    #[test]
    fn keeps_good_fields_and_drops_what_belongs_in_a_head() {
        let section = b"X-Checksum:  abc \r\nContent-Length: 5\r\nhost: evil\r\nAuthorization: x\r\n\
            X_Forwarded_For: 1\r\nContent-Type: a\r\nEmpty:\r\n\r\nrest";
        let (trailers, taken) = read(section).unwrap();
        assert_eq!(trailers.as_bytes(), b"X-Checksum: abc\r\nEmpty: \r\n");
        assert_eq!(taken, section.len() - 4);
        let fields: Vec<_> = trailers.iter().collect();
        assert_eq!(fields, [(&b"X-Checksum"[..], &b"abc"[..]), (b"Empty", b"")]);
    }

    #[test]
    fn fields_that_were_taken_apart_meet_the_same_rules() {
        let mut trailers = Trailers::default();
        for (name, value) in [("grpc-status", "0"), ("content-length", "5"), ("empty", "")] {
            trailers.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        assert_eq!(trailers.as_bytes(), b"grpc-status: 0\r\nempty: \r\n");
        assert_eq!(trailers.push(b"a b", b""), Err(BodyFault::Trailer));
        assert_eq!(trailers.push(b"a", b"b\r\nc: d"), Err(BodyFault::Trailer));
        assert_eq!(trailers.push(b"a", &[b'x'; MAX_TRAILERS]), Err(BodyFault::TrailersTooLarge));
    }

    #[test]
    fn refuses_what_a_head_would_refuse() {
        for bad in ["a: b\n", "\n", "a : b\r\n", " a: b\r\n", "a\r\n", ": b\r\n", "a: b\0\r\n", "a: b\rc\r\n"] {
            assert_eq!(read(bad.as_bytes()).err(), Some(BodyFault::Trailer), "{bad:?}");
        }
    }

    #[test]
    fn is_bounded() {
        let endless = b"a: b\r\n".repeat(MAX_TRAILERS / 6 + 1);
        assert_eq!(read(&endless).err(), Some(BodyFault::TrailersTooLarge));
        let dropped = b"host: b\r\n".repeat(MAX_TRAILERS / 9 + 1);
        assert_eq!(read(&dropped).err(), Some(BodyFault::TrailersTooLarge));
    }
}
