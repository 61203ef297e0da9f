//! What a request's fields say to a gateway, judged together once they are all known.

use crate::wire::connection::ConnectionOptions;
use crate::wire::fault::RequestFault;
use crate::wire::framing::DeclaredFraming;
use crate::wire::head::target::is_host;
use crate::wire::head::{FieldName, FieldTable, Span, Version};
use crate::wire::token::is_token;

/// The meaning of one request's fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meaning {
    pub authority: Authority,
    pub framing: DeclaredFraming,
    pub connection: ConnectionOptions,
    pub expects_continue: bool,
    /// The protocol of an upgrade that is passed on.
    pub upgrade: Option<Span>,
}

/// Where the host that is asked for comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Authority {
    /// HTTP/1.0 without `Host`.
    #[default]
    Missing,
    /// The one `Host` line.
    Host(Span),
    /// The target, which overrules `Host` (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1).
    Target(Span),
}

impl Meaning {
    /// Judges the fields of a request of that version; `target` is the authority its target names, if it
    /// does. HTTP/1.1 needs `Host` even then (RFC 9112 section 3.2), HTTP/1.0 never.
    pub fn of(table: &FieldTable, version: Version, target: Option<Span>) -> Result<Self, RequestFault> {
        let mut meaning = Self::default();
        let mut host = None;
        for field in table.fields() {
            let value = table.slice(field.value);
            match field.kind {
                FieldName::Host if host.is_some() => return Err(RequestFault::HostRepeated),
                FieldName::Host if !is_host(value) => return Err(RequestFault::HostInvalid),
                FieldName::Host => host = Some(field.value),
                FieldName::ContentLength => meaning.framing.add_content_length(value)?,
                FieldName::TransferEncoding => {
                    meaning.framing.add_transfer_encoding(value, version)?;
                }
                FieldName::FramingLookalike => return Err(RequestFault::FramingLookalike),
                FieldName::Connection => meaning.connection.add(value),
                FieldName::Expect => {
                    meaning.expects_continue |=
                        version != Version::Http10 && value.eq_ignore_ascii_case(b"100-continue");
                }
                _ => {}
            }
        }
        meaning.authority = match (target, host, version) {
            (_, None, Version::Http11) => return Err(RequestFault::HostMissing),
            // RFC 9113 section 8.3.1; nobody behind shall have to choose.
            (Some(target), Some(host), Version::Http2)
                if !table.slice(host).eq_ignore_ascii_case(table.slice(target)) =>
            {
                return Err(RequestFault::HostInvalid);
            }
            (Some(target), _, _) => Authority::Target(target),
            (None, Some(host), _) => Authority::Host(host),
            (None, None, Version::Http10) => Authority::Missing,
            (None, None, Version::Http2) => return Err(RequestFault::HostMissing),
        };
        // Nobody waits to send nothing.
        meaning.expects_continue &= meaning.framing.has_body();
        if version == Version::Http11 && meaning.connection.upgrade() {
            meaning.upgrade = tunnelled_protocol(table, meaning.framing);
        }
        Ok(meaning)
    }
}

/// The protocol that the request may be upgraded to: one protocol in one `Upgrade` line, no body before it,
/// and no other HTTP.
fn tunnelled_protocol(table: &FieldTable, framing: DeclaredFraming) -> Option<Span> {
    if framing.has_body() {
        return None;
    }
    let mut lines = table.fields().iter().filter(|field| field.kind == FieldName::Upgrade);
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let mut parts = table.slice(only.value).splitn(2, |byte| *byte == b'/');
    let name = parts.next().unwrap_or_default();
    let is_http = [&b"h2c"[..], b"h2", b"http", b"tls"].iter().any(|http| name.eq_ignore_ascii_case(http));
    let is_protocol = is_token(name) && parts.next().is_none_or(is_token);
    (is_protocol && !is_http).then_some(only.value)
}
