//! The one text that caller and server make of a request, over which both sign.

use super::claim::Claim;
use crate::control::api::error::ApiError;
use aws_lc_rs::digest;
use http::{HeaderMap, Method};
use std::fmt::Write;

/// The parts of a request that a signature covers. The path is `/`: nothing else is served.
pub struct SignedRequest<'a> {
    /// `GET` or `POST`.
    pub method: &'a Method,
    /// The query as it stands in the request line, without the question mark.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body, as it was sent.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The canonical request.
    ///
    /// # Errors
    ///
    /// `SignatureDoesNotMatch` when a signed header is not there.
    pub(super) fn canonical(&self, claim: &Claim) -> Result<String, ApiError> {
        let query = canonical_query(self.query);
        let headers = canonical_headers(self.headers, &claim.signed_headers)?;
        let signed = claim.signed_headers.join(";");
        let body = hex(digest::digest(&digest::SHA256, self.body).as_ref());
        Ok(format!("{}\n/\n{query}\n{headers}\n{signed}\n{body}", self.method))
    }
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Every parameter but the signature, encoded in one way and sorted by name, then by value.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (reencode(name), reencode(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A text in the one encoding of canonical requests: only unreserved characters (RFC 3986 section 2.3) stand for
/// themselves, digits of escapes are upper case.
fn reencode(encoded: &str) -> String {
    let mut text = String::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) if let Some(byte) = escaped(*high, *low) => (byte, tail),
            (b'+', tail) => (b' ', tail),
            (byte, tail) => (*byte, tail),
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(text, "%{byte:02X}")),
        }
        rest = tail;
    }
    text
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The signed headers, a line each: several values of one name are joined, white space inside is made single.
fn canonical_headers(headers: &HeaderMap, signed: &[String]) -> Result<String, ApiError> {
    let mut lines = String::new();
    for name in signed {
        let values: Vec<String> = headers.get_all(name).iter().map(|value| single_spaced(value.as_bytes())).collect();
        if values.is_empty() {
            return Err(super::mismatch_because(&format!("the signed header '{name}' is not in the request")));
        }
        let _ = writeln!(lines, "{name}:{}", values.join(","));
    }
    Ok(lines)
}

fn single_spaced(value: &[u8]) -> String {
    String::from_utf8_lossy(value).split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_one_form() {
        for (query, canonical) in [
            ("", ""),
            ("b=2&a=1&a=0", "a=0&a=1&b=2"),
            ("a", "a="),
            ("&a=1&&", "a=1"),
            ("a=%7e%2f%2F/+é", "a=~%2F%2F%2F%20%C3%A9"),
            ("a=%zz%", "a=%25zz%25"),
            ("X-Amz-Signature=x&X-Amz-Date=y", "X-Amz-Date=y"),
            // By the encoded name, then by the value: "a-b" before "a=".
            ("a=1&a-b=2&A=3", "A=3&a=1&a-b=2"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }
}
