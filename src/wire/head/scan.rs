//! Finds the end of a head, line by line, and checks what can be said of lines without reading them: how they
//! end, how they begin, how long they are, how many.
//!
//! It remembers where it stopped, so a head that arrives byte by byte is looked through once, and the
//! tokeniser behind it runs once per head.

use std::ops::Range;

use crate::wire::fault::SyntaxFault;
use crate::wire::head::limits::{HeadLimits, MAX_FIELDS, MAX_LEADING_EMPTY_LINES};
use crate::wire::token::is_token_byte;

const CRLF_LENGTH: usize = 2;

/// Which kind of start line is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadKind {
    Request,
    Response,
}

impl HeadKind {
    /// Whether a head may begin with these bytes. What is not HTTP at all is told by its first bytes, not
    /// waited for. Empty lines may stand before a request line, nothing before a status line.
    fn may_begin_with(self, bytes: &[u8]) -> bool {
        const STATUS_LINE: &[u8] = b"HTTP/1.";
        match self {
            Self::Request => bytes.first().is_none_or(|byte| is_token_byte(*byte) || matches!(byte, b'\r' | b'\n')),
            Self::Response => bytes.iter().zip(STATUS_LINE).all(|(byte, expected)| byte == expected),
        }
    }
}

/// What is known of a head that has been looked at up to `cursor`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// First byte not yet looked at.
    cursor: usize,
    /// Where the line at `cursor` begins.
    line_start: usize,
    /// Where the start line begins, behind empty lines.
    head_start: usize,
    /// Where the first field line begins; 0 until the start line has ended.
    fields_start: usize,
    field_lines: usize,
}

/// What was found, as ranges of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input ends inside the head.
    Partial,
    /// The start line, without CR LF; told once, the head goes on.
    StartLine(Range<usize>),
    /// The whole head, from the start line to behind the empty line.
    Complete(Range<usize>),
}

impl HeadScan {
    /// Looks at the bytes of `input` behind those it has seen. What is found, and which fault, does not
    /// depend on the pieces the input came in.
    pub fn advance(&mut self, input: &[u8], limits: &HeadLimits, kind: HeadKind) -> Result<Progress, SyntaxFault> {
        loop {
            let line = input.get(self.line_start..).unwrap_or_default();
            if !self.start_line_ended() && !kind.may_begin_with(line) {
                return Err(SyntaxFault::StartLine);
            }
            let unseen = input.get(self.cursor..).unwrap_or_default();
            let Some(offset) = memchr::memchr(b'\n', unseen) else {
                self.cursor = input.len();
                self.check_length(line.strip_suffix(b"\r").unwrap_or(line), limits)?;
                return Ok(Progress::Partial);
            };
            let next = self.cursor + offset + 1;
            let line = input.get(self.line_start..next - 1).unwrap_or_default();
            let content = line.strip_suffix(b"\r");
            self.check_length(content.unwrap_or(line), limits)?;
            let content = content.ok_or(SyntaxFault::BareLineFeed)?;
            let line_start = std::mem::replace(&mut self.line_start, next);
            self.cursor = next;
            match (self.start_line_ended(), content.is_empty()) {
                (false, true) => self.take_leading_empty_line(next)?,
                (false, false) => {
                    self.fields_start = next;
                    return Ok(Progress::StartLine(line_start..next - CRLF_LENGTH));
                }
                (true, false) => self.take_field_line(content, next, limits)?,
                (true, true) => return Ok(Progress::Complete(self.head_start..next)),
            }
        }
    }

    fn start_line_ended(&self) -> bool {
        self.fields_start != 0
    }

    fn check_length(&self, content: &[u8], limits: &HeadLimits) -> Result<(), SyntaxFault> {
        if !self.start_line_ended() && content.len() > limits.request_line {
            Err(SyntaxFault::StartLineTooLong)
        } else if self.start_line_ended() && content.len() > limits.header {
            Err(SyntaxFault::FieldTooLong)
        } else {
            Ok(())
        }
    }

    fn take_leading_empty_line(&mut self, next: usize) -> Result<(), SyntaxFault> {
        if next > MAX_LEADING_EMPTY_LINES * CRLF_LENGTH {
            return Err(SyntaxFault::LeadingEmptyLines);
        }
        self.head_start = next;
        Ok(())
    }

    fn take_field_line(&mut self, content: &[u8], next: usize, limits: &HeadLimits) -> Result<(), SyntaxFault> {
        if let Some(b' ' | b'\t') = content.first() {
            return Err(SyntaxFault::ObsoleteFold);
        }
        self.field_lines += 1;
        if self.field_lines > limits.header_count.min(MAX_FIELDS) {
            return Err(SyntaxFault::TooManyFields);
        }
        if next - self.fields_start > limits.headers_total {
            return Err(SyntaxFault::FieldsTooLarge);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_within(input: &[u8], limits: &HeadLimits) -> Result<Progress, SyntaxFault> {
        let mut scan = HeadScan::default();
        match scan.advance(input, limits, HeadKind::Request)? {
            Progress::StartLine(_) => scan.advance(input, limits, HeadKind::Request),
            progress => Ok(progress),
        }
    }

    fn scan(input: &[u8]) -> Result<Progress, SyntaxFault> {
        scan_within(input, &HeadLimits::default())
    }

    #[test]
    fn finds_the_empty_line_and_leaves_what_follows() {
        let input = b"\r\nGET / HTTP/1.1\r\na: b\r\n\r\nbody";
        assert_eq!(scan(input), Ok(Progress::Complete(2..26)));
        let mut scan = HeadScan::default();
        let progress = scan.advance(input, &HeadLimits::default(), HeadKind::Request);
        assert_eq!(progress, Ok(Progress::StartLine(2..16)));
    }

    #[test]
    fn a_line_feed_alone_ends_nothing() {
        for input in [&b"\nGET"[..], b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\na: b\n", b"x\r\n\n"] {
            assert_eq!(scan(input), Err(SyntaxFault::BareLineFeed), "{input:?}");
        }
    }

    #[test]
    fn remembers_where_it_stopped() {
        let whole = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let (mut scan, mut start_lines) = (HeadScan::default(), 0);
        for end in 0..whole.len() {
            let input = &whole[..end];
            match scan.advance(input, &HeadLimits::default(), HeadKind::Request) {
                Ok(Progress::StartLine(_)) => start_lines += 1,
                progress => assert_eq!(progress, Ok(Progress::Partial)),
            }
            assert_eq!(scan.cursor, end);
        }
        assert_eq!(start_lines, 1);
    }

    #[test]
    fn limits_hold_before_a_line_has_ended() {
        let limits = HeadLimits { request_line: 20, header: 10, headers_total: 24, header_count: 3 };
        let scan = |input: &str| scan_within(input.as_bytes(), &limits);
        assert_eq!(scan(&"G".repeat(20)), Ok(Progress::Partial));
        assert_eq!(scan(&format!("{}\r", "G".repeat(20))), Ok(Progress::Partial));
        assert_eq!(scan(&"G".repeat(21)), Err(SyntaxFault::StartLineTooLong));
        assert_eq!(scan("GET / HTTP/1.1\r\na: 4567890\r"), Ok(Progress::Partial));
        assert_eq!(scan("GET / HTTP/1.1\r\na: 45678901"), Err(SyntaxFault::FieldTooLong));
        let total = "GET / HTTP/1.1\r\na: 4567890\r\nb: 4567890\r\n";
        assert_eq!(scan(total), Ok(Progress::Partial));
        assert_eq!(scan(&format!("{total}c:\r\n")), Err(SyntaxFault::FieldsTooLarge));
        assert_eq!(scan("GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\n"), Err(SyntaxFault::TooManyFields));
    }

    #[test]
    fn empty_lines_before_the_start_line_are_bounded() {
        assert_eq!(scan(&b"\r\n".repeat(MAX_LEADING_EMPTY_LINES)), Ok(Progress::Partial));
        assert_eq!(scan(&b"\r\n".repeat(MAX_LEADING_EMPTY_LINES + 1)), Err(SyntaxFault::LeadingEmptyLines));
    }

    #[test]
    fn what_is_not_http_is_told_by_its_first_bytes() {
        let advance = |input: &[u8], kind| HeadScan::default().advance(input, &HeadLimits::default(), kind);
        let fault = Err(SyntaxFault::StartLine);
        assert_eq!(advance(b"\x16\x03\x01", HeadKind::Request), fault);
        assert_eq!(advance(b"\r\n ", HeadKind::Request), fault);
        assert_eq!(advance(b"\r\n", HeadKind::Request), Ok(Progress::Partial));
        assert_eq!(advance(b"HTTP", HeadKind::Response), Ok(Progress::Partial));
        for input in [&b"SSH-2.0-x"[..], b"\r\nHTTP/1.1", b"HTTP/2"] {
            assert_eq!(advance(input, HeadKind::Response), fault);
        }
    }
}
