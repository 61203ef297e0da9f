//! Cookies: what is found is there, and what is cut apart loses nothing that matters; tokens and ids from clients.

use elbow::balance::{StickyKey, StickyToken};
use elbow::telemetry::RequestId;
use elbow::wire::cookie::{SetCookie, values};

use crate::corpus;

/// Any bytes as the value of a `Cookie` or `Set-Cookie` field.
pub fn fuzz_cookies(input: &[u8]) {
    for value in values(input, b"AWSELB") {
        assert!(input.windows(value.len().max(1)).any(|window| value.is_empty() || window == value));
        assert!(!value.contains(&b';'), "a value ends with its pair");
        if let Some(token) = StickyToken::parse(value) {
            assert_eq!(token.as_bytes(), value);
            let key = StickyKey::new(&[7; 32]).expect("long enough");
            assert_ne!(key.token(&[b"web", b"a"]), token, "a key was guessed");
        }
    }
    if let Some(cookie) = SetCookie::parse(input) {
        assert!(!cookie.name.is_empty() && !cookie.name.contains(&b'=') && !cookie.name.contains(&b';'));
        assert!(cookie.attributes().all(|(name, _)| !name.contains(&b';') && !name.contains(&b'=')));
    }
    if let Some(id) = RequestId::given(input) {
        assert_eq!(id.as_bytes(), input);
        assert!(!input.iter().any(|byte| byte.is_ascii_control() || *byte == b' '), "it would split a field");
    }
}

#[test]
fn cookies() {
    corpus::run("cookies", fuzz_cookies);
}
