//! The character classes of RFC 9110 section 5.6 and the comma-separated lists made of them.

/// Which bytes are letters, digits or one of `symbols`.
pub(super) const fn byte_class(symbols: &[u8]) -> [bool; 256] {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < symbols.len() {
        class[symbols[index] as usize] = true;
        index += 1;
    }
    class
}

const TOKEN: [bool; 256] = byte_class(b"!#$%&'*+-.^_`|~");

/// Whether `byte` may stand in a token (RFC 9110 section 5.6.2).
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether `bytes` is a token: at least one byte, all of them token bytes.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether `bytes` may be a field value: visible bytes, SP, HTAB and obs-text, no controls
/// (RFC 9110 section 5.5). Surrounding whitespace is the caller's business.
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

/// `bytes` without the optional whitespace (SP, HTAB) around it.
pub fn trim_whitespace(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1.2).
pub fn list_members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim_whitespace).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_controls_are_no_token_bytes() {
        for byte in 0..=255u8 {
            let separator = b"()<>@,;:\\\"/[]?={} \t".contains(&byte);
            assert_eq!(is_token_byte(byte), byte.is_ascii_graphic() && !separator, "{byte:#x}");
        }
    }

    #[test]
    fn lists_skip_empty_members_and_whitespace() {
        let members: Vec<&[u8]> = list_members(b" a ,, \tb\t,c,").collect();
        assert_eq!(members, [b"a", b"b", b"c"]);
    }

    #[test]
    fn a_field_value_has_no_controls() {
        assert!(is_field_value(b"a\tb \xff"));
        for bad in [b"\0", b"\r", b"\n", b"\x7f", b"\x1b"] {
            assert!(!is_field_value(bad));
        }
    }
}
