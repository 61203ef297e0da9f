//! Writes heads anew for the other side: what is passed on, what is dropped, what is added.
//!
//! Hop-by-hop fields and what `Connection` nominates are dropped (RFC 9110 section 7.6.1), framing fields are
//! written from the framing that was understood.

mod client_certificate;
pub mod request;
pub mod response;

pub use client_certificate::ClientCertificate;
pub use request::{Expectation, RequestForward, Scheme, visit_request_fields, write_authority, write_request_head};
pub use response::{ResponseForward, Sent, visit_response_fields, write_response_head};

use crate::wire::address::write_decimal;
use crate::wire::connection::{ConnectionOptions, may_be_nominated};
use crate::wire::framing::BodyFraming;
use crate::wire::head::{Field, FieldName, FieldTable};
use crate::wire::token::list_members;

/// Fields that Elbow adds to a head. Names and values must be good ones; they are not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Additions<'a> {
    /// Fields that take the place of any of the same name.
    pub replace: &'a [(&'a [u8], &'a [u8])],
    /// Fields that stand beside any of the same name (`Set-Cookie`).
    pub append: &'a [(&'a [u8], &'a [u8])],
}

impl Additions<'_> {
    /// Whether a field of that name is replaced.
    fn replaces(&self, name: &[u8]) -> bool {
        self.replace.iter().any(|(replaced, _)| name.eq_ignore_ascii_case(replaced))
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.replace.iter().chain(self.append).copied()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|(name, value)| write_field(name, value, out));
    }
}

fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn write_framing(framing: BodyFraming, out: &mut Vec<u8>) {
    match framing {
        BodyFraming::None | BodyFraming::UntilClose => {}
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            write_decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Whether a field that is not hop-by-hop by its own name is nominated by one of the `Connection` lines.
fn is_nominated(table: &FieldTable, options: ConnectionOptions, field: &Field) -> bool {
    if !options.nominates() || field.kind != FieldName::Other {
        return false;
    }
    let name = table.slice(field.name);
    may_be_nominated(name)
        && table.values(FieldName::Connection).flat_map(list_members).any(|option| option.eq_ignore_ascii_case(name))
}
