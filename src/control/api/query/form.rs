//! `application/x-www-form-urlencoded`, read strictly: what is not plainly a form is refused, where the URL standard's
//! own decoder would guess.

use crate::control::api::error::{ApiError, ErrorCode};

/// Names and values of one call. ELB's largest, the registration of 1,000 instances, needs a quarter.
pub const PAIRS_MAX: usize = 4_096;

/// The names and values of a form, a query string or a body, in their order. Empty stretches between ampersands
/// count for nothing.
///
/// # Errors
///
/// `MalformedQueryString` when an escape is not `%XX`, when a name is empty, when decoded text is not UTF-8, when there
/// are more than [`PAIRS_MAX`] pairs.
pub fn decode(form: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let mut pairs = Vec::new();
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == PAIRS_MAX {
            return Err(malformed(format!("more than {PAIRS_MAX} parameters")));
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &b""[..]),
        };
        if name.is_empty() {
            return Err(malformed("a parameter without a name"));
        }
        pairs.push((decode_text(name)?, decode_text(value)?));
    }
    Ok(pairs)
}

fn decode_text(encoded: &[u8]) -> Result<String, ApiError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(malformed("a percent sign without two hexadecimal digits")),
            },
            plain => *plain,
        });
    }
    String::from_utf8(decoded).map_err(|_| malformed("text that is not UTF-8"))
}

fn hex_digit(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn malformed(what: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::MalformedQueryString, format!("The query string is malformed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_decode() {
        let pairs = |form: &str| decode(form.as_bytes()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("a=1&b=2"), [pair("a", "1"), pair("b", "2")]);
        assert_eq!(pairs("&&a=1&"), [pair("a", "1")]);
        assert_eq!(pairs("PolicyNames="), [pair("PolicyNames", "")]);
        assert_eq!(pairs("flag"), [pair("flag", "")]);
        assert_eq!(pairs("a=b=c"), [pair("a", "b=c")]);
        assert_eq!(pairs("a+b=%2B%c3%A9+%26"), [pair("a b", "+é &")]);
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let many = "a=1&".repeat(PAIRS_MAX + 1);
        for (form, what) in [
            (&b"a=%"[..], "percent"),
            (b"a=%4", "percent"),
            (b"a=%g0", "percent"),
            (b"a=%+1", "percent"),
            (b"%zz=1", "percent"),
            (b"a=%ff", "UTF-8"),
            (b"a=\xc3", "UTF-8"),
            (b"=1", "without a name"),
            (many.as_bytes(), "4096"),
        ] {
            let error = decode(form).unwrap_err();
            assert_eq!(error.code, ErrorCode::MalformedQueryString);
            assert!(error.message.contains(what), "{form:?}: {error}");
        }
        assert_eq!(decode("a=1&".repeat(PAIRS_MAX).as_bytes()).map(|pairs| pairs.len()), Ok(PAIRS_MAX));
    }

    proptest! {
        /// Whatever is encoded comes back.
        #[test]
        fn decoding_undoes_encoding(pairs: Vec<(String, String)>) {
            let named: Vec<_> = pairs.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let form: Vec<_> = named.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
            prop_assert_eq!(decode(form.join("&").as_bytes()), Ok(named));
        }
    }
}
