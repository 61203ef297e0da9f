//! How long a body is: read from `Content-Length` and `Transfer-Encoding` so that there is one answer or a
//! fault (RFC 9112 section 6).

use crate::wire::fault::FramingFault;
use crate::wire::head::Version;
use crate::wire::token::{is_token, trim_whitespace};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is no body and nothing said about its length.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunks (RFC 9112 section 7.1).
    Chunked,
    /// Everything until the sender closes; responses only.
    UntilClose,
}

/// What the framing fields of one head declare. Fed line by line; any second opinion is a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclaredFraming {
    /// No framing field.
    #[default]
    Absent,
    /// One good `Content-Length`.
    Length(u64),
    /// One `Transfer-Encoding: chunked`.
    Chunked,
}

impl DeclaredFraming {
    /// Takes in a `Content-Length` value.
    ///
    /// Equal repetitions could be collapsed (RFC 9112 section 6.3) but are refused: no sound sender makes
    /// them, and a list collapsed differently by another hop is how lengths come to differ.
    pub fn add_content_length(&mut self, value: &[u8]) -> Result<(), FramingFault> {
        match self {
            Self::Absent => *self = Self::Length(parse_content_length(value)?),
            Self::Length(_) => return Err(FramingFault::ContentLengthRepeated),
            Self::Chunked => return Err(FramingFault::LengthAndTransferEncoding),
        }
        Ok(())
    }

    /// Whether a body of at least one byte, or of unknown length, is announced.
    pub fn has_body(self) -> bool {
        match self {
            Self::Absent | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked => true,
        }
    }

    /// Takes in a `Transfer-Encoding` value of a message of this version.
    pub fn add_transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), FramingFault> {
        match self {
            _ if version == Version::Http10 => Err(FramingFault::TransferEncodingInHttp10),
            Self::Length(_) => Err(FramingFault::LengthAndTransferEncoding),
            Self::Chunked => Err(FramingFault::TransferEncodingRepeated),
            Self::Absent if value.eq_ignore_ascii_case(b"chunked") => {
                *self = Self::Chunked;
                Ok(())
            }
            Self::Absent => Err(refused_transfer_encoding(value)),
        }
    }
}

fn parse_content_length(value: &[u8]) -> Result<u64, FramingFault> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(FramingFault::ContentLengthInvalid);
    }
    value
        .iter()
        .try_fold(0u64, |length, digit| length.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        // Back ends count in signed 64 bits; a length they would read as negative must not reach them.
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or(FramingFault::ContentLengthTooLarge)
}

/// Tells a coding Elbow does not do (`gzip, chunked`) from a list that delimits nothing (`chunked, gzip`,
/// `chunked, chunked`, `gzip,,chunked`).
fn refused_transfer_encoding(value: &[u8]) -> FramingFault {
    let codings = || value.split(|byte| *byte == b',').map(trim_whitespace);
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let count = codings().count();
    let well_formed =
        codings().enumerate().all(|(index, coding)| is_token(coding) && (!is_chunked(coding) || index + 1 == count));
    if well_formed { FramingFault::TransferEncodingUnsupported } else { FramingFault::TransferEncodingInvalid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_digits_and_nothing_else() {
        use FramingFault::{ContentLengthInvalid as Invalid, ContentLengthTooLarge as TooLarge};
        let cases: [(&str, Result<u64, FramingFault>); 14] = [
            ("0", Ok(0)),
            ("42", Ok(42)),
            ("0042", Ok(42)),
            ("9223372036854775807", Ok(i64::MAX as u64)),
            ("9223372036854775808", Err(TooLarge)),
            ("18446744073709551616", Err(TooLarge)),
            ("99999999999999999999999999", Err(TooLarge)),
            ("", Err(Invalid)),
            ("+1", Err(Invalid)),
            ("-1", Err(Invalid)),
            ("1, 1", Err(Invalid)),
            ("0x10", Err(Invalid)),
            ("1 0", Err(Invalid)),
            ("1.0", Err(Invalid)),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_content_length(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn transfer_encoding_is_exactly_chunked() {
        use FramingFault::{TransferEncodingInvalid as Invalid, TransferEncodingUnsupported as Unsupported};
        let cases = [
            ("chunked", Ok(())),
            ("Chunked", Ok(())),
            ("xchunked", Err(Unsupported)),
            ("identity", Err(Unsupported)),
            ("gzip, chunked", Err(Unsupported)),
            ("chunked, gzip", Err(Invalid)),
            ("chunked, chunked", Err(Invalid)),
            ("chunked,", Err(Invalid)),
            (", chunked", Err(Invalid)),
            ("\"chunked\"", Err(Invalid)),
            ("chunked;q=1", Err(Invalid)),
            ("chunk ed", Err(Invalid)),
            ("", Err(Invalid)),
        ];
        for (value, expected) in cases {
            let mut framing = DeclaredFraming::Absent;
            let result = framing.add_transfer_encoding(value.as_bytes(), Version::Http11);
            assert_eq!(result, expected, "{value:?}");
        }
    }
}
