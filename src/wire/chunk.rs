//! The lines that frame chunks, read and written (RFC 9112 section 7.1).

use crate::wire::fault::BodyFault;

/// The last chunk, without the empty line that ends the trailers after it.
pub const LAST_CHUNK: &[u8] = b"0\r\n";

/// What ends a chunk's data, and the trailers.
pub const CRLF: &[u8] = b"\r\n";

/// Digits of a chunk size. Leading zeros are legal, endless ones an attack.
const MAX_SIZE_DIGITS: u8 = 16;
/// Bytes of extensions per chunk. They are read over: nothing defines any that two hops share.
const MAX_EXTENSION: u16 = 256;

/// A chunk-size line being read byte by byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkLine {
    size: u64,
    digits: u8,
    extension_length: u16,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    Extension,
    LineFeed,
}

impl ChunkLine {
    /// Takes the next byte; yields the chunk's size when it ended the line.
    ///
    /// Only hexadecimal digits make a size: no sign, no `0x`, no whitespace around it, though RFC 9112 has
    /// recipients skip whitespace before an extension; no chunk that Elbow relays needs it and readings of it
    /// differ. Extensions hold no controls, so no line ends within them.
    pub fn take(&mut self, byte: u8) -> Result<Option<u64>, BodyFault> {
        match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => self.place = Place::LineFeed,
            (Place::Size, b';') if self.digits > 0 => self.place = Place::Extension,
            (Place::Size, _) => self.take_digit(byte)?,
            (Place::Extension, b'\r') => self.place = Place::LineFeed,
            (Place::Extension, b'\t' | b' '..=b'~' | 0x80..) if self.extension_length < MAX_EXTENSION => {
                self.extension_length += 1;
            }
            (Place::Extension, _) => return Err(BodyFault::ChunkExtension),
            (Place::LineFeed, b'\n') => return Ok(Some(self.size)),
            (Place::LineFeed, _) => return Err(BodyFault::ChunkSize),
        }
        Ok(None)
    }

    fn take_digit(&mut self, byte: u8) -> Result<(), BodyFault> {
        let digit = char::from(byte).to_digit(16).ok_or(BodyFault::ChunkSize)?;
        self.digits += 1;
        if self.digits > MAX_SIZE_DIGITS || self.size > (i64::MAX as u64) >> 4 {
            return Err(BodyFault::ChunkTooLarge);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(())
    }
}

/// The line before a chunk's data, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHeader {
    text: [u8; Self::MAX_LENGTH],
    start: u8,
}

impl ChunkHeader {
    /// Bytes of the longest header: 16 digits and CR LF.
    pub const MAX_LENGTH: usize = 18;

    /// The header's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(usize::from(self.start)..).unwrap_or_default()
    }
}

/// The line before `length` bytes of chunk data; these are followed by [`CRLF`]. A length of 0 would end the
/// body: write [`LAST_CHUNK`] for that, and nothing for an empty piece of data.
pub fn chunk_header(length: u64) -> ChunkHeader {
    debug_assert!(length > 0, "an empty chunk ends the body");
    let mut text = *b"0000000000000000\r\n";
    let mut start = 16;
    let mut rest = length;
    for place in (0..16).rev() {
        if rest == 0 {
            break;
        }
        if let (Some(slot), Some(digit)) = (text.get_mut(place), char::from_digit((rest & 15) as u32, 16)) {
            *slot = digit as u8;
        }
        start = place as u8;
        rest >>= 4;
    }
    ChunkHeader { text, start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<u64>, BodyFault> {
        let mut reader = ChunkLine::default();
        for byte in line.bytes() {
            if let Some(size) = reader.take(byte)? {
                return Ok(Some(size));
            }
        }
        Ok(None)
    }

    #[test]
    fn sizes() {
        for (line, size) in [
            ("0\r\n", 0),
            ("a\r\n", 10),
            ("FF\r\n", 255),
            ("0000000000000010\r\n", 16),
            ("5;name=value\r\n", 5),
            ("5;name=\"a;b\"\r\n", 5),
            ("5;\r\n", 5),
            ("7fffffffffffffff\r\n", i64::MAX as u64),
        ] {
            assert_eq!(read(line), Ok(Some(size)), "{line:?}");
        }
    }

    #[test]
    fn tricks() {
        use BodyFault::{ChunkExtension, ChunkSize, ChunkTooLarge};
        for (line, fault) in [
            ("\r\n", ChunkSize),
            (";a\r\n", ChunkSize),
            ("+5\r\n", ChunkSize),
            ("-5\r\n", ChunkSize),
            ("0x5\r\n", ChunkSize),
            (" 5\r\n", ChunkSize),
            ("5 \r\n", ChunkSize),
            ("5 ;a\r\n", ChunkSize),
            ("5\n", ChunkSize),
            ("5\r5\r\n", ChunkSize),
            ("5_0\r\n", ChunkSize),
            ("5\0\r\n", ChunkSize),
            ("5;a\n", ChunkExtension),
            ("5;a\0\r\n", ChunkExtension),
            ("5;a\r5\r\n", ChunkSize),
            ("8000000000000000\r\n", ChunkTooLarge),
            ("fffffffffffffffff\r\n", ChunkTooLarge),
            ("00000000000000005\r\n", ChunkTooLarge),
        ] {
            assert_eq!(read(line), Err(fault), "{line:?}");
        }
        assert_eq!(read(&format!("5;{}\r\n", "a".repeat(257))), Err(ChunkExtension));
    }

    #[test]
    fn headers_read_back_as_their_length() {
        for length in [1, 9, 10, 15, 16, 255, 65536, i64::MAX as u64] {
            let header = chunk_header(length);
            assert_eq!(header.as_bytes(), format!("{length:x}\r\n").as_bytes());
        }
        assert_eq!(chunk_header(u64::MAX).as_bytes(), b"ffffffffffffffff\r\n");
    }
}
