//! A response's head, and what it means for the request it answers.

use std::mem::MaybeUninit;

use crate::wire::connection::{ConnectionOptions, Persistence};
use crate::wire::fault::{ResponseFault, SyntaxFault};
use crate::wire::framing::{BodyFraming, DeclaredFraming};
use crate::wire::head::limits::{HeadLimits, MAX_FIELDS};
use crate::wire::head::scan::{HeadKind, HeadScan, Progress};
use crate::wire::head::{Content, FieldName, FieldTable, HeadStatus, Method, Span, Version};
use crate::wire::token::{is_field_value, is_token, trim_whitespace};

/// The head of one response. Reused from response to response.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    scan: HeadScan,
    table: FieldTable,
    status: u16,
    reason: Span,
    version: Version,
    framing: DeclaredFraming,
    connection: ConnectionOptions,
}

/// What must be known of a request to read its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method: the answer to `HEAD` has no body.
    pub method: Method,
    /// Whether the request offered an upgrade.
    pub upgrade: bool,
}

/// What a response head means for the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 1xx other than 101: passed on (not to HTTP/1.0 clients); another head follows.
    Interim,
    /// 101: both connections carry the new protocol from here on.
    SwitchingProtocols,
    /// The answer; its body is delimited like this.
    Final(BodyFraming),
}

impl ResponseHead {
    /// Parses the head at the start of `input`, as [`crate::wire::head::RequestHead::parse`] does. The limit
    /// for the request line holds for the status line. Nothing may stand before the status line.
    pub fn parse(&mut self, input: &[u8], limits: &HeadLimits) -> Result<HeadStatus, ResponseFault> {
        self.table.clear();
        let result = self.advance(input, limits);
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// Forgets everything and keeps the allocations up to a bound. Needed only to give up on a partial head.
    pub fn clear(&mut self) {
        self.table.clear();
        *self = Self { table: std::mem::take(&mut self.table), ..Self::default() };
    }

    /// Begins a head that did not come as HTTP/1 bytes.
    pub fn begin(&mut self, status: u16) {
        self.clear();
        self.status = status;
        self.version = Version::Http2;
    }

    /// Adds a field to a head that was begun; what belongs to a connection is left out.
    pub fn push_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), ResponseFault> {
        if !is_token(name) {
            return Err(SyntaxFault::FieldName.into());
        }
        if !is_field_value(value) {
            return Err(SyntaxFault::FieldValue.into());
        }
        let kind = FieldName::classify(name);
        if !kind.is_hop_by_hop() || kind == FieldName::ContentLength {
            self.table.push_field(name, trim_whitespace(value), kind);
        }
        Ok(())
    }

    /// Completes a head that was begun: judges its fields together. Without a length, content goes to an HTTP/1.1 client
    /// in chunks; without content the length is known, where the answer to `method` has one.
    pub fn finish(&mut self, content: Content, method: Method) -> Result<(), ResponseFault> {
        self.judge_fields()?;
        let has_length = method != Method::Head && !matches!(self.status, 100..=199 | 204 | 304);
        self.framing = match (self.framing, content) {
            (DeclaredFraming::Absent, Content::Follows) if self.status >= 200 => DeclaredFraming::Chunked,
            (DeclaredFraming::Absent, Content::Empty) if has_length => DeclaredFraming::Length(0),
            (framing, _) => framing,
        };
        Ok(())
    }

    /// Completes a head that was begun as a 101: the server has opened `protocol` on a stream (RFC 8441 section 5). A
    /// client of HTTP/1.1 is told so by an upgrade; `acceptance` is what it expects of a server that has read its key.
    pub fn finish_opening(&mut self, protocol: &[u8], acceptance: &[u8]) -> Result<(), ResponseFault> {
        self.table.push_field(b"Upgrade", protocol, FieldName::Upgrade);
        self.table.push_field(b"Sec-WebSocket-Accept", acceptance, FieldName::SecWebSocketAccept);
        self.judge_fields()
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, possibly empty.
    pub fn reason(&self) -> &[u8] {
        self.table.slice(self.reason)
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Names and values of all fields in order, as sent.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.table.iter()
    }

    /// The value of the first field of that kind.
    pub fn get(&self, kind: FieldName) -> Option<&[u8]> {
        self.values(kind).next()
    }

    /// The values of every field of that kind, in order.
    pub fn values(&self, kind: FieldName) -> impl Iterator<Item = &[u8]> {
        self.table.values(kind)
    }

    /// The fields with their places and kinds.
    pub fn table(&self) -> &FieldTable {
        &self.table
    }

    /// What `Connection` says.
    pub fn connection(&self) -> ConnectionOptions {
        self.connection
    }

    /// `Content-Length`, which the answer to `HEAD` and a 304 carry for a body that is not there.
    pub fn declared_length(&self) -> Option<u64> {
        match self.framing {
            DeclaredFraming::Length(length) => Some(length),
            DeclaredFraming::Absent | DeclaredFraming::Chunked => None,
        }
    }

    /// What this response means to that request, and how its body is delimited (RFC 9112 section 6.3).
    pub fn reply(&self, asked: Asked) -> Result<Reply, ResponseFault> {
        match self.status {
            101 if asked.upgrade => Ok(Reply::SwitchingProtocols),
            101 => Err(ResponseFault::UnexpectedUpgrade),
            100..=199 if self.framing.has_body() => Err(ResponseFault::InterimBody),
            100..=199 => Ok(Reply::Interim),
            204 | 304 => Ok(Reply::Final(BodyFraming::None)),
            _ if asked.method == Method::Head => Ok(Reply::Final(BodyFraming::None)),
            _ => Ok(Reply::Final(match self.framing {
                DeclaredFraming::Absent => BodyFraming::UntilClose,
                DeclaredFraming::Length(length) => BodyFraming::Length(length),
                DeclaredFraming::Chunked => BodyFraming::Chunked,
            })),
        }
    }

    /// Whether the back end's connection may be used again after a final answer with this body. Not after
    /// one that announces a body where none may be (204): the bytes might come all the same and be
    /// taken for the next answer.
    pub fn persistence(&self, framing: BodyFraming) -> Persistence {
        let announces_forbidden_body = self.status == 204 && self.framing.has_body();
        if framing == BodyFraming::UntilClose || announces_forbidden_body {
            return Persistence::Close;
        }
        match self.version {
            Version::Http10 => self.connection.persistence_http10(),
            Version::Http11 | Version::Http2 => self.connection.persistence_http11(),
        }
    }

    fn advance(&mut self, input: &[u8], limits: &HeadLimits) -> Result<HeadStatus, ResponseFault> {
        let extent = loop {
            match self.scan.advance(input, limits, HeadKind::Response)? {
                Progress::Partial => return Ok(HeadStatus::Partial),
                Progress::StartLine(_) => {}
                Progress::Complete(extent) => break extent,
            }
        };
        self.scan = HeadScan::default();
        let length = extent.end;
        self.tokenise(input.get(extent).unwrap_or_default())?;
        self.judge_fields()?;
        Ok(HeadStatus::Complete { length })
    }

    fn tokenise(&mut self, head: &[u8]) -> Result<(), ResponseFault> {
        let (status, version) = self.table.fill(head, |head, sink| {
            let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
            let mut response = httparse::Response::new(&mut []);
            let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut response,
                head,
                &mut headers,
            )?;
            // The tokeniser and the scan must have seen the same head.
            if parsed != httparse::Status::Complete(head.len()) {
                return Err(SyntaxFault::FieldName);
            }
            for header in &*response.headers {
                sink.add(header.name.as_bytes(), header.value);
            }
            match (response.code, response.version) {
                (Some(code @ 100..), Some(0)) => Ok((code, Version::Http10)),
                (Some(code @ 100..), Some(1)) => Ok((code, Version::Http11)),
                _ => Err(SyntaxFault::StartLine),
            }
        })?;
        self.status = status;
        self.version = version;
        self.reason = reason_span(head);
        Ok(())
    }

    fn judge_fields(&mut self) -> Result<(), ResponseFault> {
        self.framing = DeclaredFraming::Absent;
        self.connection = ConnectionOptions::default();
        for field in self.table.fields() {
            let value = self.table.slice(field.value);
            match field.kind {
                FieldName::ContentLength => self.framing.add_content_length(value)?,
                FieldName::TransferEncoding => {
                    self.framing.add_transfer_encoding(value, self.version)?;
                }
                FieldName::Connection => self.connection.add(value),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Where the reason phrase lies in a head whose status line has been found good.
fn reason_span(head: &[u8]) -> Span {
    const BEFORE_REASON: usize = "HTTP/1.1 200 ".len();
    let end = memchr::memchr(b'\r', head).unwrap_or_default();
    Span { start: BEFORE_REASON.min(end) as u32, end: end as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &str) -> Result<ResponseHead, ResponseFault> {
        let mut head = ResponseHead::default();
        match head.parse(input.as_bytes(), &HeadLimits::default())? {
            HeadStatus::Complete { .. } => Ok(head),
            HeadStatus::Partial => panic!("partial: {input:?}"),
        }
    }

    #[test]
    fn status_lines() {
        for (line, status, reason) in [
            ("HTTP/1.1 200 OK", 200, "OK"),
            ("HTTP/1.0 404 Not Found", 404, "Not Found"),
            ("HTTP/1.1 500 ", 500, ""),
            ("HTTP/1.1 500", 500, ""),
            ("HTTP/1.1 999 Sp\u{e4}t", 999, "Sp\u{e4}t"),
        ] {
            let head = parse(&format!("{line}\r\n\r\n")).unwrap();
            assert_eq!((head.status(), head.reason()), (status, reason.as_bytes()), "{line:?}");
        }
        for line in [
            "HTTP/2.0 200 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 099 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 2000 OK",
            "ICY 200 OK",
        ] {
            let fault = parse(&format!("{line}\r\n\r\n")).err();
            assert_eq!(fault, Some(SyntaxFault::StartLine.into()), "{line:?}");
        }
    }

    #[test]
    fn the_meaning_depends_on_the_request() {
        let get = Asked { method: Method::Get, upgrade: false };
        let head = Asked { method: Method::Head, upgrade: false };
        let upgrade = Asked { method: Method::Get, upgrade: true };
        let none = Reply::Final(BodyFraming::None);
        for (response, asked, expected) in [
            ("200 OK\r\nContent-Length: 5\r\n", get, Ok(Reply::Final(BodyFraming::Length(5)))),
            ("200 OK\r\nTransfer-Encoding: chunked\r\n", get, Ok(Reply::Final(BodyFraming::Chunked))),
            ("200 OK\r\n", get, Ok(Reply::Final(BodyFraming::UntilClose))),
            ("200 OK\r\nContent-Length: 5\r\n", head, Ok(none)),
            ("304 Not Modified\r\nContent-Length: 5\r\n", get, Ok(none)),
            ("204 No Content\r\n", get, Ok(none)),
            ("100 Continue\r\n", get, Ok(Reply::Interim)),
            ("103 Early Hints\r\nLink: a\r\n", head, Ok(Reply::Interim)),
            ("100 Continue\r\nContent-Length: 5\r\n", get, Err(ResponseFault::InterimBody)),
            ("101 Switching Protocols\r\n", upgrade, Ok(Reply::SwitchingProtocols)),
            ("101 Switching Protocols\r\n", get, Err(ResponseFault::UnexpectedUpgrade)),
        ] {
            let parsed = parse(&format!("HTTP/1.1 {response}\r\n")).unwrap();
            assert_eq!(parsed.reply(asked), expected, "{response:?}");
        }
    }

    #[test]
    fn a_built_head_means_what_a_parsed_one_would() {
        use BodyFraming::{Chunked, Length, None};
        for (status, length, content, method, expected) in [
            (200, Some("5"), Content::Follows, Method::Get, Length(5)),
            (200, Option::None, Content::Follows, Method::Get, Chunked),
            (200, Option::None, Content::Empty, Method::Get, Length(0)),
            (200, Some("5"), Content::Empty, Method::Head, None),
            (204, Option::None, Content::Empty, Method::Get, None),
            (304, Some("5"), Content::Empty, Method::Get, None),
        ] {
            let mut head = ResponseHead::default();
            head.begin(status);
            for (name, value) in [("connection", "close"), ("keep-alive", "5"), ("x", " y ")] {
                head.push_field(name.as_bytes(), value.as_bytes()).unwrap();
            }
            length.iter().for_each(|length: &&str| head.push_field(b"content-length", length.as_bytes()).unwrap());
            head.finish(content, method).unwrap();
            let asked = Asked { method, upgrade: false };
            assert_eq!(head.reply(asked), Ok(Reply::Final(expected)), "{status} {length:?} {content:?}");
            assert_eq!(head.fields().next(), Some((&b"x"[..], &b"y"[..])));
        }
        let mut head = ResponseHead::default();
        head.begin(101);
        head.push_field(b"upgrade", b"other").unwrap();
        head.finish_opening(b"websocket", b"x").unwrap();
        assert_eq!(head.values(FieldName::Upgrade).collect::<Vec<_>>(), [b"websocket"]);
        assert_eq!(head.reply(Asked { method: Method::Get, upgrade: true }), Ok(Reply::SwitchingProtocols));
        head.begin(103);
        head.finish(Content::Follows, Method::Get).unwrap();
        assert_eq!(head.reply(Asked::default()), Ok(Reply::Interim));
        assert_eq!(head.push_field(b"a", b"b\r\nc: d"), Err(SyntaxFault::FieldValue.into()));
    }

    #[test]
    fn a_connection_with_doubtful_bytes_behind_the_answer_is_not_kept() {
        let none = BodyFraming::None;
        for (response, framing, expected) in [
            ("HTTP/1.1 200 OK\r\n", BodyFraming::UntilClose, Persistence::Close),
            ("HTTP/1.1 200 OK\r\n", BodyFraming::Chunked, Persistence::KeepAlive),
            ("HTTP/1.1 204 No Content\r\n", none, Persistence::KeepAlive),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", none, Persistence::KeepAlive),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", none, Persistence::Close),
            ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n", none, Persistence::Close),
            ("HTTP/1.0 200 OK\r\n", BodyFraming::Length(1), Persistence::Close),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", none, Persistence::KeepAlive),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n", none, Persistence::Close),
        ] {
            let head = parse(&format!("{response}\r\n")).unwrap();
            assert_eq!(head.persistence(framing), expected, "{response:?}");
        }
    }
}
