//! Why a message was refused: closed sets with stable names, and the answer each deserves.
//!
//! Every request fault ends the client's connection after its answer: once a message could not be read with
//! certainty, nothing behind it can be (RFC 9112 section 2.2).

use crate::wire::answer::Answer;

/// What is wrong with the lines and fields of a head, of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxFault {
    /// More empty lines before the start line than are tolerated.
    LeadingEmptyLines,
    /// A line feed without a carriage return before it.
    BareLineFeed,
    /// A field line that begins with whitespace (RFC 9112 section 5.2).
    ObsoleteFold,
    /// The start line is no request line or no status line (RFC 9112 sections 3 and 4).
    StartLine,
    /// The start line is over its limit.
    StartLineTooLong,
    /// One field line is over its limit.
    FieldTooLong,
    /// All field lines together are over their limit.
    FieldsTooLarge,
    /// More field lines than allowed.
    TooManyFields,
    /// A field name that is not a token, or whitespace before its colon, or no colon.
    FieldName,
    /// A control character in a field value.
    FieldValue,
}

impl From<httparse::Error> for SyntaxFault {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName => Self::FieldName,
            httparse::Error::HeaderValue => Self::FieldValue,
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
                Self::StartLine
            }
        }
    }
}

impl SyntaxFault {
    /// The stable name of this fault.
    pub fn reason(self) -> &'static str {
        match self {
            Self::LeadingEmptyLines => "leading_empty_lines",
            Self::BareLineFeed => "bare_line_feed",
            Self::ObsoleteFold => "obsolete_fold",
            Self::StartLine => "malformed_start_line",
            Self::StartLineTooLong => "start_line_too_long",
            Self::FieldTooLong => "field_too_long",
            Self::FieldsTooLarge => "fields_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::FieldName => "invalid_field_name",
            Self::FieldValue => "invalid_field_value",
        }
    }

    fn answer(self) -> Answer {
        match self {
            Self::StartLineTooLong => Answer::UriTooLong,
            Self::FieldTooLong | Self::FieldsTooLarge | Self::TooManyFields => Answer::HeaderFieldsTooLarge,
            _ => Answer::BadRequest,
        }
    }
}

/// What is wrong with the fields that say how long the body is (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingFault {
    /// `Content-Length` is not a plain decimal number.
    ContentLengthInvalid,
    /// `Content-Length` is over 2^63 - 1.
    ContentLengthTooLarge,
    /// More than one `Content-Length`, equal or not.
    ContentLengthRepeated,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthAndTransferEncoding,
    /// `Transfer-Encoding` is not a list of codings that ends in one `chunked`.
    TransferEncodingInvalid,
    /// More than one `Transfer-Encoding` line.
    TransferEncodingRepeated,
    /// A well-formed transfer coding other than `chunked`.
    TransferEncodingUnsupported,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 section 6.1).
    TransferEncodingInHttp10,
}

impl FramingFault {
    /// The stable name of this fault.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ContentLengthInvalid => "content_length_invalid",
            Self::ContentLengthTooLarge => "content_length_too_large",
            Self::ContentLengthRepeated => "content_length_repeated",
            Self::LengthAndTransferEncoding => "length_and_transfer_encoding",
            Self::TransferEncodingInvalid => "transfer_encoding_invalid",
            Self::TransferEncodingRepeated => "transfer_encoding_repeated",
            Self::TransferEncodingUnsupported => "transfer_encoding_unsupported",
            Self::TransferEncodingInHttp10 => "transfer_encoding_in_http10",
        }
    }

    fn answer(self) -> Answer {
        match self {
            Self::ContentLengthTooLarge => Answer::ContentTooLarge,
            Self::TransferEncodingUnsupported => Answer::NotImplemented,
            _ => Answer::BadRequest,
        }
    }
}

/// Why a request head was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// Its lines or fields are malformed or too large.
    Syntax(SyntaxFault),
    /// Its body cannot be delimited with certainty.
    Framing(FramingFault),
    /// A method of more than 127 characters (ELB).
    MethodTooLong,
    /// `CONNECT`: Elbow is no tunnel.
    Connect,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// The request target has no valid form for this method (RFC 9112 section 3.2).
    Target,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host`, or the authority of the target, is not `host[:port]`.
    HostInvalid,
    /// A name that a back end may take for a framing field (`Content_Length`).
    FramingLookalike,
    /// A connection-specific field where the protocol has none (RFC 9113 section 8.2.2).
    ConnectionSpecific,
}

impl RequestFault {
    /// The stable name of this fault, for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Syntax(fault) => fault.reason(),
            Self::Framing(fault) => fault.reason(),
            Self::MethodTooLong => "method_too_long",
            Self::Connect => "connect_refused",
            Self::Version => "version_not_supported",
            Self::Target => "invalid_target",
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostInvalid => "host_invalid",
            Self::FramingLookalike => "framing_lookalike",
            Self::ConnectionSpecific => "connection_specific_field",
        }
    }

    /// The answer the client gets before its connection is closed.
    pub fn answer(self) -> Answer {
        match self {
            Self::Syntax(fault) => fault.answer(),
            Self::Framing(fault) => fault.answer(),
            Self::MethodTooLong => Answer::MethodNotAllowed,
            Self::Version => Answer::VersionNotSupported,
            Self::Connect
            | Self::Target
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::FramingLookalike
            | Self::ConnectionSpecific => Answer::BadRequest,
        }
    }

    /// The status code of [`RequestFault::answer`].
    pub fn status(self) -> u16 {
        self.answer().status()
    }
}

impl From<SyntaxFault> for RequestFault {
    fn from(fault: SyntaxFault) -> Self {
        Self::Syntax(fault)
    }
}

impl From<FramingFault> for RequestFault {
    fn from(fault: FramingFault) -> Self {
        Self::Framing(fault)
    }
}

impl std::fmt::Display for RequestFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for RequestFault {}

/// Why a response head was refused. The client gets 502, the back-end connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    /// Its lines or fields are malformed or too large.
    Syntax(SyntaxFault),
    /// Its body cannot be delimited with certainty.
    Framing(FramingFault),
    /// A 1xx response that announces a body.
    InterimBody,
    /// 101 to a request that asked for no upgrade.
    UnexpectedUpgrade,
}

impl ResponseFault {
    /// The stable name of this fault, for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Syntax(fault) => fault.reason(),
            Self::Framing(fault) => fault.reason(),
            Self::InterimBody => "interim_body",
            Self::UnexpectedUpgrade => "unexpected_upgrade",
        }
    }
}

impl From<SyntaxFault> for ResponseFault {
    fn from(fault: SyntaxFault) -> Self {
        Self::Syntax(fault)
    }
}

impl From<FramingFault> for ResponseFault {
    fn from(fault: FramingFault) -> Self {
        Self::Framing(fault)
    }
}

impl std::fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for ResponseFault {}

/// Why a body cannot be read to its end. Whoever sent it loses its connection; the other side's message
/// must not be ended as if it were whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// A chunk size that is no hexadecimal number, or is signed, padded or empty.
    ChunkSize,
    /// A chunk size over 2^63 - 1.
    ChunkTooLarge,
    /// A chunk extension with a control character, or over its limit.
    ChunkExtension,
    /// Chunk data not followed by CR LF.
    ChunkEnd,
    /// A trailer line that is no field line.
    Trailer,
    /// Trailers over their limit.
    TrailersTooLarge,
    /// The sender closed before the end of the body.
    Truncated,
}

impl BodyFault {
    /// The stable name of this fault, for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ChunkSize => "chunk_size_invalid",
            Self::ChunkTooLarge => "chunk_too_large",
            Self::ChunkExtension => "chunk_extension_invalid",
            Self::ChunkEnd => "chunk_end_invalid",
            Self::Trailer => "trailer_invalid",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::Truncated => "body_truncated",
        }
    }

    /// The answer to a client whose request body this is, when none has been begun.
    pub fn answer(self) -> Answer {
        match self {
            Self::TrailersTooLarge => Answer::HeaderFieldsTooLarge,
            _ => Answer::BadRequest,
        }
    }
}

impl std::fmt::Display for BodyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BodyFault {}
