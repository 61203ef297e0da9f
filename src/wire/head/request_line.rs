//! The request line: method, target and version (RFC 9112 section 3), as places in a head's bytes.

use crate::wire::fault::{RequestFault, SyntaxFault};
use crate::wire::head::target::TargetForm;
use crate::wire::head::{FieldTable, Method, Span, Version};
use crate::wire::token::is_token;

/// The longest method; a longer one is answered 405, as ELB does.
const MAX_METHOD: usize = 127;

/// The parts of one request line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RequestLine {
    pub method: Span,
    pub method_kind: Method,
    /// The target as sent.
    pub target: Span,
    /// The target as a back end gets it: path and query, or `*`.
    pub path: Span,
    pub version: Version,
}

impl RequestLine {
    /// Judges a line whose method, target and version are known: finds method kind and path. Returns the authority if
    /// the target names one, which overrules `Host` (RFC 9112 section 3.2.2).
    pub fn resolve(&mut self, table: &mut FieldTable) -> Result<Option<Span>, RequestFault> {
        self.method_kind = check_method(table.slice(self.method))?;
        let Span { end, .. } = self.target;
        let target = table.slice(self.target);
        let TargetForm::Absolute { authority, path } = TargetForm::parse(self.method_kind, target)? else {
            self.path = self.target;
            return Ok(None);
        };
        let path_start = end - path.len() as u32;
        let authority = Span { start: path_start - authority.len() as u32, end: path_start };
        self.path = match path.first() {
            Some(b'/') => Span { start: path_start, end },
            Some(_) => {
                let path = [b"/", path].concat();
                table.push_bytes(&path)
            }
            None if self.method_kind == Method::Options => table.push_bytes(b"*"),
            None => table.push_bytes(b"/"),
        };
        Ok(Some(authority))
    }
}

/// Recognises a method that is a token of bearable length.
pub(super) fn check_method(method: &[u8]) -> Result<Method, RequestFault> {
    if !is_token(method) {
        Err(SyntaxFault::StartLine.into())
    } else if method.len() > MAX_METHOD {
        Err(RequestFault::MethodTooLong)
    } else {
        Ok(Method::classify(method))
    }
}

/// The version at the end of a request line. Another version of HTTP is told from no HTTP at all.
pub(super) fn parse_version(request_line: &[u8]) -> Result<Version, RequestFault> {
    let version = request_line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(RequestFault::Version),
        _ => Err(SyntaxFault::StartLine.into()),
    }
}
