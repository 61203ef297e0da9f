//! Names that some server, by trimming, folding case or normalising delimiters, takes for a framing field.

/// The two fields that frame a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramingField {
    ContentLength,
    TransferEncoding,
}

/// Which framing field `name` may be taken for; the field's own name is taken for itself.
///
/// It is taken for one if its letters are the same in order, whatever their case, with anything but letters and digits
/// around them, blanks and controls between them, and any one byte and more of such in the place of the hyphen.
pub(super) fn resembles(name: &[u8]) -> Option<FramingField> {
    if spells(name, b"transfer-encoding") {
        Some(FramingField::TransferEncoding)
    } else if spells(name, b"content-length") {
        Some(FramingField::ContentLength)
    } else {
        None
    }
}

fn spells(name: &[u8], known: &[u8]) -> bool {
    let mut rest = from_next_letter_or_digit(name);
    for expected in known {
        let after = match expected {
            b'-' => rest.get(1..).map(from_next_letter_or_digit),
            letter => after_letter(from_next_visible(rest), *letter),
        };
        let Some(after) = after else {
            return false;
        };
        rest = after;
    }
    from_next_letter_or_digit(rest).is_empty()
}

/// What follows if `rest` begins with `expected`, in either case, or with the character that becomes it when a server
/// turns UTF-8 text to upper case: long s (U+017F) and dotless i (U+0131).
fn after_letter(rest: &[u8], expected: u8) -> Option<&[u8]> {
    match (expected, rest) {
        (_, [byte, after @ ..]) if byte.to_ascii_lowercase() == expected => Some(after),
        (b's', [0xc5, 0xbf, after @ ..]) | (b'i', [0xc4, 0xb1, after @ ..]) => Some(after),
        _ => None,
    }
}

fn from_next_letter_or_digit(bytes: &[u8]) -> &[u8] {
    let at = bytes.iter().position(u8::is_ascii_alphanumeric).unwrap_or(bytes.len());
    bytes.get(at..).unwrap_or_default()
}

fn from_next_visible(bytes: &[u8]) -> &[u8] {
    let at = bytes.iter().position(|byte| *byte > b' ').unwrap_or(bytes.len());
    bytes.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_taken_for_a_framing_field() {
        for name in [
            "Content-Length",
            "CONTENT_LENGTH",
            "content--length",
            " Content-Length",
            "\x01Content-Length\t",
            "Content Length",
            "Content.Length!",
            "Con tent-Length",
            "contentxlength",
        ] {
            assert_eq!(resembles(name.as_bytes()), Some(FramingField::ContentLength), "{name:?}");
        }
        for name in
            ["Transfer-Encoding", "Tran\u{17f}fer-Encod\u{131}ng", "transfer_encoding\0", "\"transfer-encoding\""]
        {
            assert_eq!(resembles(name.as_bytes()), Some(FramingField::TransferEncoding), "{name:?}");
        }
        for name in ["", "ContentLength", "Content-Lengths", "X-Content-Length", "Content-Type", "Transfer", "TE"] {
            assert_eq!(resembles(name.as_bytes()), None, "{name:?}");
        }
    }
}
