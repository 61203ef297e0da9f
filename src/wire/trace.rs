//! The trace contexts that requests carry: `X-Amzn-Trace-Id` as AWS defines it for its load balancers, and `traceparent`
//! as W3C does (Trace Context, section 3.2). What a client says is kept and extended by this hop; what cannot be
//! understood is nobody's to change.

/// Hexadecimal digits of a span of W3C's.
const SPAN_DIGITS: usize = 16;

/// The trace that an `X-Amzn-Trace-Id` belongs to: the value of its `Root`.
pub fn amazon_root(field: &[u8]) -> Option<&[u8]> {
    parts(field).find_map(|part| part.strip_prefix(b"Root="))
}

/// An `X-Amzn-Trace-Id` as it goes on: with this hop as its `Self`, in place of any other. `None` when it has no root, and
/// so belongs to no trace.
///
/// `seconds` is the time since the Unix epoch, `id` 24 hexadecimal digits that no other request has.
pub fn extend_amazon(field: &[u8], seconds: u64, id: &[u8]) -> Option<Vec<u8>> {
    amazon_root(field)?;
    let mut extended = format!("Self=1-{:08x}-", seconds & 0xffff_ffff).into_bytes();
    extended.extend_from_slice(id);
    for part in parts(field).filter(|part| !part.starts_with(b"Self=")) {
        extended.push(b';');
        extended.extend_from_slice(part);
    }
    Some(extended)
}

fn parts(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

/// A `traceparent` that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent<'a> {
    trace: &'a [u8],
    flags: u8,
}

impl<'a> Traceparent<'a> {
    /// Reads the value of the field: of version 00 exactly, of later ones what that has.
    pub fn parse(field: &'a [u8]) -> Option<Traceparent<'a>> {
        let mut parts = field.splitn(5, |byte| *byte == b'-');
        let (version, trace) = (digits(parts.next()?, 2)?, digits(parts.next()?, 32)?);
        let (parent, flags) = (digits(parts.next()?, SPAN_DIGITS)?, digits(parts.next()?, 2)?);
        let has_more = parts.next().is_some();
        let is_zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
        let is_invalid = version == b"ff" || (version == b"00" && has_more) || is_zero(trace) || is_zero(parent);
        let flags = std::str::from_utf8(flags).ok().and_then(|flags| u8::from_str_radix(flags, 16).ok())?;
        (!is_invalid).then_some(Traceparent { trace, flags })
    }

    /// The trace, 32 hexadecimal digits.
    pub fn trace(&self) -> &'a [u8] {
        self.trace
    }

    /// As it goes on, in the version that is spoken here: with `span`, 16 hexadecimal digits, as the parent of what
    /// comes. Flags that this version does not know are not passed on.
    pub fn extended(&self, span: &[u8]) -> Vec<u8> {
        /// Sampled, and made at random.
        const KNOWN_FLAGS: u8 = 0b11;
        let flags = format!("{:02x}", self.flags & KNOWN_FLAGS);
        [b"00-", self.trace, b"-", span, b"-", flags.as_bytes()].concat()
    }
}

/// `text` if it is so many lower-case hexadecimal digits.
fn digits(text: &[u8], count: usize) -> Option<&[u8]> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == count && text.iter().all(is_digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &[u8] = b"0123456789abcdef01234567";
    const SPAN: &[u8] = b"0123456789abcdef";
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn amazons_is_extended_by_one_self() {
        let extended =
            |field: &[u8]| extend_amazon(field, 0x6789_1234, ID).map(|field| String::from_utf8(field).expect("ASCII"));
        for (field, rest) in [
            ("Root=1-67891233-abcdef012345678912345678", "Root=1-67891233-abcdef012345678912345678"),
            ("Self=1-1-a;Root=1-2-b", "Root=1-2-b"),
            ("Root=1-2-b;Self=1-1-a; CalledFrom=app;", "Root=1-2-b;CalledFrom=app"),
        ] {
            let expected = format!("Self=1-67891234-0123456789abcdef01234567;{rest}");
            assert_eq!(extended(field.as_bytes()), Some(expected), "{field}");
        }
        for rootless in ["", "Self=1-1-a", "root=1-2-b", ";;"] {
            assert_eq!(extended(rootless.as_bytes()), None, "{rootless}");
        }
    }

    #[test]
    fn w3cs_keeps_its_trace_and_gets_a_new_parent() {
        let extended = |field: &str| Some(Traceparent::parse(field.as_bytes())?.extended(SPAN));
        for (field, flags) in [
            (PARENT.to_owned(), "01"),
            (PARENT.replace("-01", "-00"), "00"),
            (PARENT.replace("-01", "-ff"), "03"),
            (format!("{}-more", PARENT.replacen("00-", "cc-", 1)), "01"),
        ] {
            let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-0123456789abcdef-{flags}");
            assert_eq!(extended(&field), Some(expected.into_bytes()), "{field}");
        }
    }

    #[test]
    fn what_w3c_calls_invalid_is_not_read() {
        for bad in [
            "".to_owned(),
            PARENT.replacen("00-", "ff-", 1),
            PARENT.to_uppercase(),
            format!("{PARENT}-more"),
            format!("{PARENT}-"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT.replace("-01", ""),
            PARENT.replace("-01", "-1"),
            PARENT.replace('-', ""),
        ] {
            assert_eq!(Traceparent::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
