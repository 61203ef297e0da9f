//! How large a head may be.

/// More fields than this are refused whatever [`HeadLimits::header_count`] says: it bounds the tokeniser's
/// array on the stack.
pub const MAX_FIELDS: usize = 256;

/// Empty lines tolerated before a request line. RFC 9112 section 2.2 asks for at least one, left behind by
/// clients that end a body with CR LF; a client that sends more is not talking HTTP.
pub(super) const MAX_LEADING_EMPTY_LINES: usize = 4;

/// How large the parts of a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the start line without its CR LF.
    pub request_line: usize,
    /// Bytes of one field line without its CR LF.
    pub header: usize,
    /// Bytes of all field lines with their CR LF.
    pub headers_total: usize,
    /// Number of field lines, at most [`MAX_FIELDS`].
    pub header_count: usize,
}

impl Default for HeadLimits {
    /// The sizes ALB documents; ELB documents none.
    fn default() -> Self {
        Self { request_line: 16384, header: 16384, headers_total: 65536, header_count: 100 }
    }
}
