//! The bytes of one head and where its fields lie in them.

use crate::wire::fault::SyntaxFault;
use crate::wire::head::FieldName;

/// A capacity above this is given back when a head is cleared, so that one large head does not make its
/// connection expensive for good. Ordinary heads with cookies are below it.
const KEPT_BYTES: usize = 8192;
/// The same for the list of fields.
const KEPT_FIELDS: usize = 128;

const CRLF_LENGTH: u32 = 2;

/// A range of a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value without surrounding whitespace.
    pub value: Span,
    /// The name as recognised.
    pub kind: FieldName,
    /// Whether the bytes read `name: value CR LF`, just as they would be serialised.
    canonical: bool,
}

/// The bytes of one head and its fields in order. Spans point into the bytes; offsets fit 32 bits because
/// heads are bounded by [`crate::wire::head::HeadLimits`] or by the HTTP/2 header list limit.
#[derive(Clone, Debug, Default)]
pub struct FieldTable {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl FieldTable {
    /// Forgets everything; keeps capacity up to a bound.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.fields.clear();
        self.fields.shrink_to(KEPT_FIELDS);
    }

    /// Takes the bytes of a whole head and has `tokenise` list the fields found in them.
    pub(super) fn fill<T>(
        &mut self,
        head: &[u8],
        tokenise: impl FnOnce(&[u8], &mut FieldSink<'_>) -> Result<T, SyntaxFault>,
    ) -> Result<T, SyntaxFault> {
        self.fields.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(head);
        let mut sink = FieldSink { bytes: &self.bytes, fields: &mut self.fields };
        tokenise(&self.bytes, &mut sink)
    }

    /// Appends bytes that are no field, such as a start line's parts.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        span(start, self.bytes.len())
    }

    /// Appends a field as it would be serialised.
    pub(super) fn push_field(&mut self, name: &[u8], value: &[u8], kind: FieldName) {
        let name = self.push_bytes(name);
        self.bytes.extend_from_slice(b": ");
        let value = self.push_bytes(value);
        self.bytes.extend_from_slice(b"\r\n");
        self.fields.push(Field { name, value, kind, canonical: true });
    }

    /// The bytes of a span; empty if it is not one of this table's.
    pub fn slice(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// The values of every line of that kind, in order.
    pub fn values(&self, kind: FieldName) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.kind == kind).map(|field| self.slice(field.value))
    }

    /// Writes the fields that `keep` chooses as field lines.
    pub(in crate::wire) fn write_fields(&self, keep: impl Fn(&Field) -> bool, out: &mut Vec<u8>) {
        // Canonical lines that stand next to each other are written in one piece.
        let mut run = Span::default();
        for field in self.fields.iter().filter(|field| keep(field)) {
            if field.canonical && field.name.start == run.end {
                run.end = field.value.end + CRLF_LENGTH;
                continue;
            }
            out.extend_from_slice(self.slice(run));
            if field.canonical {
                run = Span { start: field.name.start, end: field.value.end + CRLF_LENGTH };
            } else {
                run = Span::default();
                self.write_line(field, out);
            }
        }
        out.extend_from_slice(self.slice(run));
    }

    fn write_line(&self, field: &Field, out: &mut Vec<u8>) {
        for part in [self.slice(field.name), b": ", self.slice(field.value), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

/// Lists the fields a tokeniser finds within the bytes of a [`FieldTable`].
pub(super) struct FieldSink<'a> {
    bytes: &'a [u8],
    fields: &'a mut Vec<Field>,
}

impl FieldSink<'_> {
    /// Adds a field whose name and value lie within the table's bytes.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> FieldName {
        let kind = FieldName::classify(name);
        let name = self.span_of(name);
        // An empty value may point anywhere; it is taken to stand behind the colon.
        let value =
            if value.is_empty() { Span { start: name.end + 1, end: name.end + 1 } } else { self.span_of(value) };
        let canonical = value.start == name.end + 2
            && self.bytes.get(name.end as usize + 1) == Some(&b' ')
            && self.bytes.get(value.end as usize..value.end as usize + 2) == Some(b"\r\n");
        self.fields.push(Field { name, value, kind, canonical });
        kind
    }

    /// Where `part`, a slice of the table's bytes, lies.
    pub fn span_of(&self, part: &[u8]) -> Span {
        let start = part.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        span(start, start.wrapping_add(part.len()))
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
