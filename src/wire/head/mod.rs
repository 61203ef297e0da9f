//! The heads of HTTP messages: start line and fields, parsed once, owned, with one meaning.
//!
//! A head owns its bytes, so it outlives the receive buffer; it is reused from message to message and keeps its
//! allocations up to a bound. [`request`] and [`response`] hold what differs, [`fields`] keeps the lines and
//! [`field_name`] knows the names Elbow acts upon. Inside, `scan` finds where a head ends, `request_line` and `target`
//! take the first line apart, and `meaning` judges a request's fields together.

pub mod field_name;
pub mod fields;
pub mod limits;
mod meaning;
pub mod method;
pub mod request;
mod request_line;
pub mod response;
mod scan;
mod target;

pub use field_name::FieldName;
pub use fields::{Field, FieldTable, Span};
pub use limits::HeadLimits;
pub use method::Method;
pub use request::{Content, RequestHead};
pub use response::{Asked, Reply, ResponseHead};

/// The version of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2: heads built by an HTTP/2 front end, never parsed here.
    Http2,
}

impl Version {
    /// As in a start line or a log line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// How far parsing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadStatus {
    /// The input ends inside the head. Call again with the same bytes and more behind them.
    Partial,
    /// The head is whole and took this many bytes of the input.
    Complete {
        /// Bytes of the input up to and including the empty line.
        length: usize,
    },
}
