//! Finds the end of a head, line by line, and checks what can be said of lines without reading them: how they
//! end, how they begin, how long they are, how many.
//!
//! It remembers where it stopped, so a head that arrives byte by byte is looked through once, and the
//! tokeniser behind it runs once per head.

use crate::wire::fault::SyntaxFault;
use crate::wire::head::limits::{HeadLimits, MAX_FIELDS, MAX_LEADING_EMPTY_LINES};

/// Which empty lines may come before the start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeadingEmptyLines {
    Tolerated,
    Refused,
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

/// A whole head within the input: from the start line to behind the empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadExtent {
    pub start: usize,
    pub end: usize,
}

impl HeadScan {
    /// Looks at the bytes of `input` behind those it has seen. `None`: the head goes on.
    pub fn advance(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        leading: LeadingEmptyLines,
    ) -> Result<Option<HeadExtent>, SyntaxFault> {
        while let Some(unseen) = input.get(self.cursor..)
            && let Some(offset) = memchr::memchr(b'\n', unseen)
        {
            let line_feed = self.cursor + offset;
            let line = input.get(self.line_start..line_feed).unwrap_or_default();
            let Some((b'\r', line)) = line.split_last() else {
                return Err(SyntaxFault::BareLineFeed);
            };
            let next = line_feed + 1;
            if !line.is_empty() {
                self.take_line(line, next, limits)?;
            } else if self.start_line_ended() {
                return Ok(Some(HeadExtent {
                    start: self.head_start,
                    end: next,
                }));
            } else {
                self.skip_empty_line(next, leading)?;
            }
            self.cursor = next;
            self.line_start = next;
        }
        self.cursor = input.len();
        self.check_length(input.len().saturating_sub(self.line_start), limits)?;
        Ok(None)
    }

    /// Where the start line begins, as far as is known.
    pub fn head_start(&self) -> usize {
        self.head_start
    }

    /// Where the line after the start line begins, once that has ended.
    pub fn fields_start(&self) -> Option<usize> {
        self.start_line_ended().then_some(self.fields_start)
    }

    fn start_line_ended(&self) -> bool {
        self.fields_start != 0
    }

    fn take_line(
        &mut self,
        line: &[u8],
        next: usize,
        limits: &HeadLimits,
    ) -> Result<(), SyntaxFault> {
        self.check_length(line.len(), limits)?;
        if !self.start_line_ended() {
            self.fields_start = next;
            return Ok(());
        }
        if let Some(b' ' | b'\t') = line.first() {
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

    fn check_length(&self, line_length: usize, limits: &HeadLimits) -> Result<(), SyntaxFault> {
        if !self.start_line_ended() && line_length > limits.request_line {
            Err(SyntaxFault::StartLineTooLong)
        } else if self.start_line_ended() && line_length > limits.header {
            Err(SyntaxFault::FieldTooLong)
        } else {
            Ok(())
        }
    }

    fn skip_empty_line(
        &mut self,
        next: usize,
        leading: LeadingEmptyLines,
    ) -> Result<(), SyntaxFault> {
        const CRLF: usize = 2;
        if leading == LeadingEmptyLines::Refused || next > MAX_LEADING_EMPTY_LINES * CRLF {
            return Err(SyntaxFault::LeadingEmptyLines);
        }
        self.head_start = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(input: &[u8]) -> Result<Option<HeadExtent>, SyntaxFault> {
        HeadScan::default().advance(input, &HeadLimits::default(), LeadingEmptyLines::Tolerated)
    }

    #[test]
    fn finds_the_empty_line_and_leaves_what_follows() {
        assert_eq!(
            scan(b"\r\nGET / HTTP/1.1\r\na: b\r\n\r\nbody"),
            Ok(Some(HeadExtent { start: 2, end: 26 }))
        );
        assert_eq!(scan(b"GET / HTTP/1.1\r\na: b\r\n\r"), Ok(None));
    }

    #[test]
    fn a_line_feed_alone_ends_nothing() {
        for input in [
            &b"\nGET"[..],
            b"GET / HTTP/1.1\n",
            b"GET / HTTP/1.1\r\na: b\n",
            b"x\r\n\n",
        ] {
            assert_eq!(scan(input), Err(SyntaxFault::BareLineFeed), "{input:?}");
        }
    }

    #[test]
    fn remembers_where_it_stopped() {
        let whole = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut scan = HeadScan::default();
        for end in 0..whole.len() {
            let seen = scan.advance(
                &whole[..end],
                &HeadLimits::default(),
                LeadingEmptyLines::Tolerated,
            );
            assert_eq!(seen, Ok(None));
            assert_eq!(scan.cursor, end);
        }
    }

    #[test]
    fn limits_hold_before_a_line_has_ended() {
        let limits = HeadLimits {
            request_line: 20,
            header: 10,
            headers_total: 24,
            header_count: 3,
        };
        let scan = |input: &str| {
            HeadScan::default().advance(input.as_bytes(), &limits, LeadingEmptyLines::Tolerated)
        };
        assert_eq!(scan(&"G".repeat(20)), Ok(None));
        assert_eq!(scan(&"G".repeat(21)), Err(SyntaxFault::StartLineTooLong));
        assert_eq!(scan("GET / HTTP/1.1\r\na: 4567890"), Ok(None));
        assert_eq!(
            scan("GET / HTTP/1.1\r\na: 45678901"),
            Err(SyntaxFault::FieldTooLong)
        );
        let total = "GET / HTTP/1.1\r\na: 4567890\r\nb: 4567890\r\n";
        assert_eq!(scan(total), Ok(None));
        assert_eq!(
            scan(&format!("{total}c:\r\n")),
            Err(SyntaxFault::FieldsTooLarge)
        );
        assert_eq!(
            scan("GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\n"),
            Err(SyntaxFault::TooManyFields)
        );
    }

    #[test]
    fn empty_lines_before_the_start_line_are_bounded() {
        assert_eq!(scan(&b"\r\n".repeat(MAX_LEADING_EMPTY_LINES)), Ok(None));
        assert_eq!(
            scan(&b"\r\n".repeat(MAX_LEADING_EMPTY_LINES + 1)),
            Err(SyntaxFault::LeadingEmptyLines)
        );
    }
}
