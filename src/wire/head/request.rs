//! A request's head: parsed from HTTP/1 bytes, or built field by field by an HTTP/2 front end, and judged by
//! the same rules either way.

use std::mem::MaybeUninit;

use crate::wire::connection::{ConnectionOptions, Persistence};
use crate::wire::fault::{RequestFault, SyntaxFault};
use crate::wire::framing::{BodyFraming, DeclaredFraming};
use crate::wire::head::limits::{HeadLimits, MAX_FIELDS};
use crate::wire::head::meaning::{Authority, Meaning};
use crate::wire::head::request_line::{RequestLine, check_method, parse_version};
use crate::wire::head::scan::{HeadKind, HeadScan, Progress};
use crate::wire::head::target::{TargetForm, is_host};
use crate::wire::head::{Asked, FieldName, FieldTable, HeadStatus, Method, Version};
use crate::wire::token::{is_field_value, is_token};

/// The head of one request. Reused from request to request; see [`RequestHead::clear`].
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    scan: HeadScan,
    table: FieldTable,
    line: RequestLine,
    meaning: Meaning,
    is_confidential: bool,
}

/// Whether a message built for HTTP/2 has content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The stream ended with the head.
    Empty,
    /// Data frames follow.
    Follows,
}

impl RequestHead {
    /// Parses the head at the start of `input`.
    ///
    /// On [`HeadStatus::Partial`] call again with the same bytes and more behind them. Bytes already seen are
    /// not looked at again and the tokeniser runs once, on the whole head, so a head that trickles in byte by
    /// byte costs one pass. Faults that can be told early are: a line over its limit, a bare line feed, a
    /// wrong version. After a fault the head is empty and the input must not be parsed further.
    pub fn parse(&mut self, input: &[u8], limits: &HeadLimits) -> Result<HeadStatus, RequestFault> {
        self.table.clear();
        self.is_confidential = false;
        let result = self.advance(input, limits);
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// Forgets everything and keeps the allocations, up to 8 KiB of text and 128 fields. Needed only to give
    /// up on a partial head; parsing and building start afresh by themselves.
    pub fn clear(&mut self) {
        self.table.clear();
        *self = Self { table: std::mem::take(&mut self.table), ..Self::default() };
    }

    /// Begins a head that did not come as HTTP/1 bytes. `path` is origin-form or `*`; `authority` is
    /// `:authority` where there is one.
    pub fn begin(&mut self, method: &[u8], authority: Option<&[u8]>, path: &[u8]) -> Result<(), RequestFault> {
        self.clear();
        let method_kind = check_method(method)?;
        if let TargetForm::Absolute { .. } = TargetForm::parse(method_kind, path)? {
            return Err(RequestFault::Target);
        }
        if let Some(authority) = authority {
            if authority.is_empty() || !is_host(authority) {
                return Err(RequestFault::HostInvalid);
            }
            self.meaning.authority = Authority::Target(self.table.push_bytes(authority));
        }
        let method = self.table.push_bytes(method);
        let path = self.table.push_bytes(path);
        self.line = RequestLine { method, method_kind, target: path, path, version: Version::Http2 };
        Ok(())
    }

    /// Adds a field to a head that was begun. Connection-specific fields are refused
    /// (RFC 9113 section 8.2.2).
    pub fn push_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), RequestFault> {
        if !is_token(name) {
            return Err(SyntaxFault::FieldName.into());
        }
        let padded = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if !is_field_value(value) || padded(value.first()) || padded(value.last()) {
            return Err(SyntaxFault::FieldValue.into());
        }
        let kind = FieldName::classify(name);
        match kind {
            FieldName::Connection
            | FieldName::KeepAlive
            | FieldName::ProxyConnection
            | FieldName::TransferEncoding
            | FieldName::Upgrade => Err(RequestFault::ConnectionSpecific),
            FieldName::Te if !value.eq_ignore_ascii_case(b"trailers") => Err(RequestFault::ConnectionSpecific),
            _ => {
                self.table.push_field(name, value, kind);
                Ok(())
            }
        }
    }

    /// Completes a head that was begun: judges its fields together. Content without a length goes to an
    /// HTTP/1.1 back end in chunks.
    pub fn finish(&mut self, content: Content) -> Result<(), RequestFault> {
        let authority = match self.meaning.authority {
            Authority::Target(authority) => Some(authority),
            Authority::Host(_) | Authority::Missing => None,
        };
        self.meaning = Meaning::of(&self.table, self.line.version, authority)?;
        if content == Content::Follows && self.meaning.framing == DeclaredFraming::Absent {
            self.meaning.framing = DeclaredFraming::Chunked;
        }
        Ok(())
    }

    /// Completes a head that was begun and opens `protocol` (RFC 8441 section 4): an HTTP/1.1 back end gets it as an
    /// upgrade, so it has no body.
    pub fn finish_opening(&mut self, protocol: &[u8]) -> Result<(), RequestFault> {
        self.finish(Content::Empty)?;
        if self.meaning.framing != DeclaredFraming::Absent {
            return Err(RequestFault::Connect);
        }
        self.meaning.upgrade = Some(self.table.push_bytes(protocol));
        Ok(())
    }

    /// Says that one of its fields must never be indexed where heads are compressed (RFC 7541 section 7.1.3): then none is.
    pub fn make_confidential(&mut self) {
        self.is_confidential = true;
    }

    /// Whether its fields must never be indexed.
    pub fn is_confidential(&self) -> bool {
        self.is_confidential
    }

    /// Whether it is the opening of a protocol on a stream, which any answer that is a success agrees to.
    pub fn is_opening(&self) -> bool {
        self.line.version == Version::Http2 && self.meaning.upgrade.is_some()
    }

    /// The method as sent.
    pub fn method(&self) -> &[u8] {
        self.table.slice(self.line.method)
    }

    /// The method as recognised.
    pub fn method_kind(&self) -> Method {
        self.line.method_kind
    }

    /// The request target as sent.
    pub fn target(&self) -> &[u8] {
        self.table.slice(self.line.target)
    }

    /// The request target as a back end gets it: path and query, or `*`.
    pub fn path(&self) -> &[u8] {
        self.table.slice(self.line.path)
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The host asked for: the target's authority, else `Host`; `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&[u8]> {
        match self.meaning.authority {
            Authority::Missing => None,
            Authority::Host(span) | Authority::Target(span) => Some(self.table.slice(span)),
        }
    }

    /// Whether [`RequestHead::host`] is written by Elbow instead of passing `Host` on.
    pub(in crate::wire) fn rewrites_host(&self) -> bool {
        !matches!(self.meaning.authority, Authority::Host(_))
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

    /// How the body is delimited; never [`BodyFraming::UntilClose`].
    pub fn framing(&self) -> BodyFraming {
        match self.meaning.framing {
            DeclaredFraming::Absent => BodyFraming::None,
            DeclaredFraming::Length(length) => BodyFraming::Length(length),
            DeclaredFraming::Chunked => BodyFraming::Chunked,
        }
    }

    /// Whether the client wants its connection kept (RFC 9112 section 9.3). An HTTP/2 connection always is.
    pub fn persistence(&self) -> Persistence {
        match self.line.version {
            Version::Http10 => self.meaning.connection.persistence_http10(),
            Version::Http11 => self.meaning.connection.persistence_http11(),
            Version::Http2 => Persistence::KeepAlive,
        }
    }

    /// What `Connection` says.
    pub fn connection(&self) -> ConnectionOptions {
        self.meaning.connection
    }

    /// Whether the client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.meaning.expects_continue
    }

    /// The protocol the client wants to change to, if this is an upgrade Elbow passes on: HTTP/1.1,
    /// `Connection: upgrade`, one protocol in one `Upgrade` line, no body, and no change to another HTTP
    /// (a back end that agreed to h2c would take requests that Elbow never reads).
    pub fn upgrade(&self) -> Option<&[u8]> {
        self.meaning.upgrade.map(|span| self.table.slice(span))
    }

    /// What the answer has to be read with.
    pub fn asked(&self) -> Asked {
        Asked { method: self.line.method_kind, upgrade: self.meaning.upgrade.is_some() }
    }

    fn advance(&mut self, input: &[u8], limits: &HeadLimits) -> Result<HeadStatus, RequestFault> {
        let extent = loop {
            match self.scan.advance(input, limits, HeadKind::Request)? {
                Progress::Partial => return Ok(HeadStatus::Partial),
                Progress::StartLine(line) => {
                    self.line.version = parse_version(input.get(line).unwrap_or_default())?;
                }
                Progress::Complete(extent) => break extent,
            }
        };
        self.scan = HeadScan::default();
        let length = extent.end;
        self.tokenise(input.get(extent).unwrap_or_default())?;
        let authority = self.line.resolve(&mut self.table)?;
        self.meaning = Meaning::of(&self.table, self.line.version, authority)?;
        Ok(HeadStatus::Complete { length })
    }

    fn tokenise(&mut self, head: &[u8]) -> Result<(), RequestFault> {
        let (method, target) = self.table.fill(head, |head, sink| {
            let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
            let mut request = httparse::Request::new(&mut []);
            let status = request.parse_with_uninit_headers(head, &mut headers)?;
            let (Some(method), Some(target)) = (request.method, request.path) else {
                return Err(SyntaxFault::StartLine);
            };
            // The tokeniser and the scan must have seen the same head.
            if status != httparse::Status::Complete(head.len()) {
                return Err(SyntaxFault::FieldName);
            }
            for header in &*request.headers {
                sink.add(header.name.as_bytes(), header.value);
            }
            Ok((sink.span_of(method.as_bytes()), sink.span_of(target.as_bytes())))
        })?;
        self.line.method = method;
        self.line.target = target;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &[u8]) -> Result<RequestHead, RequestFault> {
        let mut head = RequestHead::default();
        match head.parse(input, &HeadLimits::default())? {
            HeadStatus::Complete { .. } => Ok(head),
            HeadStatus::Partial => panic!("partial: {input:?}"),
        }
    }

    #[test]
    fn a_plain_request() {
        let head = parse(b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nEmpty:\r\n\r\nabc").unwrap();
        assert_eq!(head.method(), b"POST");
        assert_eq!((head.target(), head.path()), (&b"/a?b"[..], &b"/a?b"[..]));
        assert_eq!(head.host(), Some(&b"x"[..]));
        assert_eq!(head.framing(), BodyFraming::Length(3));
        let fields: Vec<_> = head.fields().collect();
        assert_eq!(fields, [(&b"Host"[..], &b"x"[..]), (b"Content-Length", b"3"), (b"Empty", b"")]);
    }

    #[test]
    fn the_target_overrules_host() {
        for (target, path, method) in [
            ("http://real/p?q", "/p?q", "GET"),
            ("http://real", "/", "GET"),
            ("http://real?q", "/?q", "GET"),
            ("http://real", "*", "OPTIONS"),
        ] {
            let head = parse(format!("{method} {target} HTTP/1.1\r\nHost: fake\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(head.host(), Some(&b"real"[..]));
            assert_eq!(head.path(), path.as_bytes());
            assert!(head.rewrites_host());
        }
    }

    #[test]
    fn one_head_serves_many_requests() {
        let mut head = RequestHead::default();
        let stream = b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
        let limits = HeadLimits::default();
        let Ok(HeadStatus::Complete { length }) = head.parse(stream, &limits) else { panic!() };
        assert_eq!(head.persistence(), Persistence::Close);
        let rest = stream.len() - length;
        assert_eq!(head.parse(&stream[length..], &limits), Ok(HeadStatus::Complete { length: rest }));
        assert_eq!((head.path(), head.persistence()), (&b"/2"[..], Persistence::KeepAlive));
        assert_eq!(head.fields().count(), 1);
    }

    #[test]
    fn what_is_not_http_is_told_early() {
        for (input, fault) in [
            (&b"\x16\x03\x01"[..], SyntaxFault::StartLine.into()),
            (b"GET /\r\n", SyntaxFault::StartLine.into()),
            (b"PRI * HTTP/2.0\r\n", RequestFault::Version),
            (b"GET / HTTP/1.1\nHost", RequestFault::Syntax(SyntaxFault::BareLineFeed)),
        ] {
            assert_eq!(RequestHead::default().parse(input, &HeadLimits::default()), Err(fault));
        }
    }

    #[test]
    fn upgrades_that_are_passed_on() {
        let upgrade = |fields: &str| {
            parse(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
                .unwrap()
                .upgrade()
                .map(<[u8]>::to_vec)
        };
        let websocket = Some(b"websocket".to_vec());
        assert_eq!(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\n"), websocket);
        assert_eq!(upgrade("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n"), websocket);
        for refused in [
            "Upgrade: websocket\r\n",
            "Connection: upgrade\r\n",
            "Connection: upgrade\r\nUpgrade: h2c\r\n",
            "Connection: upgrade\r\nUpgrade: HTTP/3\r\n",
            "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n",
        ] {
            assert_eq!(upgrade(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_built_head_is_judged_like_a_parsed_one() {
        let mut head = RequestHead::default();
        head.begin(b"POST", Some(b"a.example"), b"/x").unwrap();
        head.push_field(b"accept", b"*/*").unwrap();
        head.finish(Content::Follows).unwrap();
        assert_eq!(head.host(), Some(&b"a.example"[..]));
        assert_eq!(head.framing(), BodyFraming::Chunked);
        assert_eq!(head.version(), Version::Http2);

        let mut refuse = |name: &[u8], value: &[u8]| {
            head.begin(b"GET", Some(b"a"), b"/").unwrap();
            head.push_field(name, value).and_then(|()| head.finish(Content::Empty)).unwrap_err()
        };
        assert_eq!(refuse(b"transfer-encoding", b"chunked"), RequestFault::ConnectionSpecific);
        assert_eq!(refuse(b"te", b"gzip"), RequestFault::ConnectionSpecific);
        assert_eq!(refuse(b"a b", b""), SyntaxFault::FieldName.into());
        assert_eq!(refuse(b":path", b"/"), SyntaxFault::FieldName.into());
        assert_eq!(refuse(b"a", b"b\r\nhost: c"), SyntaxFault::FieldValue.into());
        assert_eq!(refuse(b"content_length", b"1"), RequestFault::FramingLookalike);
        assert_eq!(head.begin(b"GET", Some(b"a"), b"http://b/"), Err(RequestFault::Target));
        for (authority, host, expected) in [
            (None, None, Err(RequestFault::HostMissing)),
            (None, Some("a"), Ok(())),
            (Some("a"), Some("A"), Ok(())),
            (Some("a"), Some("b"), Err(RequestFault::HostInvalid)),
        ] {
            head.begin(b"GET", authority.map(str::as_bytes), b"/").unwrap();
            host.iter().for_each(|host: &&str| head.push_field(b"host", host.as_bytes()).unwrap());
            assert_eq!(head.finish(Content::Empty), expected, "{authority:?} {host:?}");
        }
    }
}
