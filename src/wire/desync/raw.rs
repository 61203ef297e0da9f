//! Judges a request head as it came, reading it as leniently as the most lenient server would.

use super::resemblance::{FramingField, resembles};
use super::{Finding, Verdict};
use crate::wire::head::{self, RequestHead};
use crate::wire::token::{is_token, is_token_byte, trim_whitespace};

/// Judges the head at the start of `input`.
pub(super) fn judge(input: &[u8]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut lines = Lines { rest: input };
    let line = lines.next(&mut verdict).unwrap_or_default();
    let request_line = RequestLine::read(line, &mut verdict);
    let framing = read_fields(&mut lines, &mut verdict);
    judge_framing(&request_line, &framing, &mut verdict);
    request_line.judge(&mut verdict);
    verdict
}

/// Judges a head that was accepted although some server may take one of its fields for a framing field.
pub(super) fn judge_accepted(head: &RequestHead) -> Verdict {
    let mut verdict = Verdict::default();
    let mut framing = FramingValues::default();
    for (name, value) in head.fields() {
        judge_field(name, value, &mut framing, &mut verdict);
    }
    let version = if head.version() == head::Version::Http10 { Version::Http10 } else { Version::Http11 };
    judge_framing(&RequestLine { method: head.method(), target: head.path(), version }, &framing, &mut verdict);
    verdict
}

/// Lines ended by LF, with or without CR.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The next line without its end; `None` behind the last byte.
    fn next(&mut self, verdict: &mut Verdict) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest);
        let (line, rest) = match end {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        if end.is_none() {
            verdict.add(Finding::UnfinishedLine);
        }
        let content = line.strip_suffix(b"\r");
        if content.is_none() {
            verdict.add(Finding::BareLineFeed);
        }
        Some(content.unwrap_or(line))
    }
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    /// None, or HTTP/0.9.
    Http09,
    Http10,
    Http11,
    /// HTTP/1.1 or a version that is read so: 1.2 to 1.9, or with whitespace around it.
    LikeHttp11,
    Malformed,
}

impl<'a> RequestLine<'a> {
    /// The method ends at the first space, the version begins behind the last; everything between is the target.
    fn read(line: &'a [u8], verdict: &mut Verdict) -> Self {
        let (method, rest) = split_at_space(line, line.iter().position(|byte| *byte == b' '));
        let rest = rest.unwrap_or_default();
        let (target, version) = split_at_space(rest, space_before_version(rest));
        match version {
            None if rest.is_empty() || rest.starts_with(b"HTTP/1.") => {
                verdict.add(Finding::MissingTarget);
                Self { method, target: &[], version: Version::read(rest) }
            }
            None => Self { method, target, version: Version::Http09 },
            Some(version) => Self { method, target, version: Version::read(version) },
        }
    }

    fn judge(&self, verdict: &mut Verdict) {
        if !is_token(self.method) {
            verdict.add(Finding::BadMethod);
        }
        match self.version {
            Version::Http10 | Version::Http11 => {}
            Version::Http09 | Version::LikeHttp11 => verdict.add(Finding::NonCompliantVersion),
            Version::Malformed => verdict.add(Finding::BadVersion),
        }
        for byte in self.target {
            match byte {
                b'\0' | b'\r' => verdict.add(Finding::BadTarget),
                b' ' => verdict.add(Finding::SpaceInTarget),
                ..=0x1f | 0x7f => verdict.add(Finding::AmbiguousTarget),
                _ => {}
            }
        }
    }
}

impl Version {
    fn read(text: &[u8]) -> Self {
        match trim_whitespace(text) {
            b"" | b"HTTP/0.9" => Self::Http09,
            b"HTTP/1.0" if text.len() == 8 => Self::Http10,
            b"HTTP/1.1" if text.len() == 8 => Self::Http11,
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] => Self::LikeHttp11,
            _ => Self::Malformed,
        }
    }
}

/// Where the space before the version is. Whitespace and other bytes behind the version belong to it.
fn space_before_version(rest: &[u8]) -> Option<usize> {
    let last_of_version = rest.iter().rposition(|byte| is_token_byte(*byte)).unwrap_or(1);
    rest.get(..last_of_version)?.iter().rposition(|byte| *byte == b' ')
}

fn split_at_space(bytes: &[u8], space: Option<usize>) -> (&[u8], Option<&[u8]>) {
    match space.and_then(|space| bytes.split_at_checked(space)) {
        Some((before, rest)) => (before, rest.get(1..)),
        None => (bytes, None),
    }
}

/// The values of all fields that some server may take for a framing field.
#[derive(Default)]
struct FramingValues<'a> {
    lengths: Vec<&'a [u8]>,
    codings: Vec<&'a [u8]>,
}

fn read_fields<'a>(lines: &mut Lines<'a>, verdict: &mut Verdict) -> FramingValues<'a> {
    let mut framing = FramingValues::default();
    let mut last_name: Option<&[u8]> = None;
    loop {
        let Some(line) = lines.next(verdict) else {
            verdict.add(Finding::MissingEmptyLine);
            return framing;
        };
        if line.is_empty() {
            return framing;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (line.get(..colon).unwrap_or_default(), line.get(colon + 1..)),
            None => (line, None),
        };
        let folded = matches!(line.first(), Some(b' ' | b'\t'));
        let of_content_type = last_name.is_some_and(|last| last.eq_ignore_ascii_case(b"content-type"));
        match (folded, value, last_name) {
            // A folded line is taken for more of the last field, but one that looks like a field for that field too:
            // a server that trims names will see it.
            (true, None, Some(last)) => judge_field(last, line, &mut framing, verdict),
            (true, Some(_), Some(last)) if of_content_type => judge_field(last, line, &mut framing, verdict),
            (_, value, _) => judge_field(name, value.unwrap_or_default(), &mut framing, verdict),
        }
        if folded && !of_content_type {
            verdict.add(Finding::FoldedField);
        }
        match value {
            None if !folded => verdict.add(Finding::MissingColon),
            Some(_) if !folded => last_name = Some(name),
            _ => {}
        }
    }
}

fn judge_field<'a>(name: &'a [u8], value: &'a [u8], framing: &mut FramingValues<'a>, verdict: &mut Verdict) {
    let is_bad = |byte: &u8| matches!(byte, b'\0' | b'\r');
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let bad = name.iter().chain(value).any(is_bad);
    if bad {
        verdict.add(Finding::BadField);
    } else if !name.iter().all(|byte| is_token_byte(*byte)) || value.iter().any(is_control) {
        verdict.add(Finding::NonCompliantField);
    }
    if trim_whitespace(name).is_empty() {
        verdict.add(Finding::EmptyField);
        return;
    }
    let Some(field) = resembles(name) else {
        return;
    };
    let is_own_name = name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding");
    if !is_own_name {
        verdict.add(Finding::FramingLookalike);
    }
    match field {
        FramingField::ContentLength => framing.lengths.push(value),
        FramingField::TransferEncoding => framing.codings.push(value),
    }
}

fn judge_framing(line: &RequestLine<'_>, framing: &FramingValues<'_>, verdict: &mut Verdict) {
    if line.version <= Version::Http10 && !framing.codings.is_empty() {
        verdict.add(Finding::UndefinedTransferEncoding);
    }
    if line.version == Version::Http09 && !framing.lengths.is_empty() {
        verdict.add(Finding::UndefinedContentLength);
    }
    judge_codings(&framing.codings, verdict);
    let length = judge_lengths(&framing.lengths, verdict);
    if matches!(line.method, b"GET" | b"HEAD") {
        if !framing.codings.is_empty() {
            verdict.add(Finding::UndefinedTransferEncoding);
        }
        match length {
            Some(0) => verdict.add(Finding::ZeroLengthWithoutBody),
            Some(_) => verdict.add(Finding::UndefinedContentLength),
            None => {}
        }
    }
    if length.is_some() && !framing.codings.is_empty() {
        verdict.add(Finding::LengthAndTransferEncoding);
    }
}

fn judge_codings(codings: &[&[u8]], verdict: &mut Verdict) {
    const KNOWN: [&[u8]; 4] = [b"compress", b"deflate", b"gzip", b"identity"];
    let mut chunked = false;
    for coding in codings.iter().flat_map(|value| value.split(|byte| *byte == b',')) {
        let name = trim_whitespace(coding.split(|byte| *byte == b';').next().unwrap_or_default());
        if name.eq_ignore_ascii_case(b"chunked") {
            if chunked {
                verdict.add(Finding::RepeatedChunked);
            }
            chunked = true;
        } else if !KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            verdict.add(Finding::BadTransferEncoding);
        }
    }
}

/// The first good length.
fn judge_lengths(lengths: &[&[u8]], verdict: &mut Verdict) -> Option<u64> {
    let mut first = None;
    for value in lengths {
        match (parse_length(trim_whitespace(value)), first) {
            (None, _) => verdict.add(Finding::BadContentLength),
            (Some(length), None) => first = Some(length),
            (Some(length), Some(first)) if length == first => verdict.add(Finding::RepeatedContentLength),
            (Some(_), Some(_)) => verdict.add(Finding::DifferentContentLengths),
        }
    }
    first
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let all_digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| all_digits)?.parse().ok()
}
