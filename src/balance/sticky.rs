//! What a sticky cookie says: which instance, in a form that only holders of the key can write, and nobody can read.
//!
//! A token is the HMAC-SHA-256 (RFC 2104) of the instance and of the port it is reached on. Nodes with the same key and
//! the same configuration compute the same tokens, after a restart or a reload too, so nothing has to be remembered or
//! exchanged, and a request costs a look into a table and no cryptography.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;

/// Bytes of a key: as many as the output of the hash (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// The key that tokens are made with.
#[derive(Clone)]
pub struct StickyKey(hmac::Key);

/// What stands in the cookie: 64 upper-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StickyToken([u8; 2 * KEY_BYTES]);

/// A secret too short to be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortSecret {
    /// Its bytes.
    pub length: usize,
}

impl fmt::Display for ShortSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a sticky key has at least {KEY_BYTES} bytes, this one {}", self.length)
    }
}

impl std::error::Error for ShortSecret {}

impl StickyKey {
    /// The key that `secret` is, at least 32 bytes nobody can guess.
    pub fn new(secret: &[u8]) -> Result<StickyKey, ShortSecret> {
        match secret.len() {
            length if length < KEY_BYTES => Err(ShortSecret { length }),
            _ => Ok(StickyKey(hmac::Key::new(hmac::HMAC_SHA256, secret))),
        }
    }

    /// A secret for [`StickyKey::new`]; `None` when the system has no randomness.
    pub fn random_secret() -> Option<[u8; KEY_BYTES]> {
        let mut secret = [0; KEY_BYTES];
        rand::fill(&mut secret).ok().map(|()| secret)
    }

    /// The token of what `parts` name together.
    pub fn token(&self, parts: &[&[u8]]) -> StickyToken {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            // With its length before it, no two lists of parts are the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let mut digits = [0; 2 * KEY_BYTES];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.as_ref()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        StickyToken(digits)
    }
}

impl fmt::Debug for StickyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StickyKey")
    }
}

impl StickyToken {
    /// `value` as a token, if it has the form of one.
    pub fn parse(value: &[u8]) -> Option<StickyToken> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        value.try_into().ok().filter(|digits: &[u8; 2 * KEY_BYTES]| digits.iter().all(is_digit)).map(StickyToken)
    }

    /// Its digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_follows_from_key_and_parts_alone() {
        let key = StickyKey::new(&[7; 32]).expect("long enough");
        let token = key.token(&[b"web", b"a"]);
        assert_eq!(StickyKey::new(&[7; 32]).expect("long enough").token(&[b"web", b"a"]), token);
        for other in [
            key.token(&[b"web", b"b"]),
            key.token(&[b"we", b"ba"]),
            key.token(&[b"weba"]),
            StickyKey::new(&[8; 32]).expect("long enough").token(&[b"web", b"a"]),
        ] {
            assert_ne!(other, token);
        }
        assert_eq!(StickyToken::parse(token.as_bytes()), Some(token));
        assert_eq!(StickyKey::new(&[7; 31]).err(), Some(ShortSecret { length: 31 }));
    }

    #[test]
    fn what_is_no_token_is_told_at_once() {
        let token = StickyKey::new(&[7; 32]).expect("long enough").token(&[b"a"]);
        let good = token.as_bytes();
        assert_eq!(good.len(), 64);
        for bad in [b"".to_vec(), good[1..].to_vec(), good.to_ascii_lowercase(), [good, b"0"].concat()] {
            assert_eq!(StickyToken::parse(&bad), None, "{bad:?}");
        }
    }
}
