//! Tags: names and values that callers attach to a load balancer, in ELB's alphabet.

use crate::model::Invalid;
use std::fmt;
use std::sync::Arc;

/// The tag by which a caller chooses the local address of a load balancer's listeners: ELB has no word for it.
pub const ADDRESS_TAG: &str = "elbow:address";

/// The name of a tag: 1 to 128 characters, unique within its load balancer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagKey(Arc<str>);

impl TagKey {
    /// `text` as a key.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.to_ascii_lowercase().starts_with("aws:") {
            return Err(Invalid::new("Tag keys beginning with aws: are reserved"));
        }
        if text.is_empty() {
            return Err(Invalid::new("A tag key has at least one character"));
        }
        check(text, 128, "tag key").map(|()| Self(text.into()))
    }

    /// The key as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TagKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The value of a tag: up to 256 characters, perhaps none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagValue(Arc<str>);

impl TagValue {
    /// `text` as a value.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        check(text, 256, "tag value").map(|()| Self(text.into()))
    }

    /// The value as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn check(text: &str, longest: usize, what: &str) -> Result<(), Invalid> {
    if text.chars().count() > longest {
        return Err(Invalid::new(format!("A {what} cannot be longer than {longest} characters")));
    }
    if text.chars().all(|char| char.is_alphanumeric() || " _.:/=+-@".contains(char)) {
        return Ok(());
    }
    Err(Invalid::new(format!("A {what} holds letters, digits, spaces and _ . : / = + - @ only")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_elbs() {
        for good in ["a", "Name", "k8s.io/cluster:owned=@x y+z-_", "größe", &"é".repeat(128)] {
            assert!(TagKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "aws:x", "AWS:x", "a<b", "a&b", "a\nb", "a\0", "é,", &"a".repeat(129)] {
            assert!(TagKey::new(bad).is_err(), "{bad:?}");
        }
        assert!(TagValue::new("").is_ok() && TagValue::new(&"a".repeat(256)).is_ok());
        assert!(TagValue::new(&"a".repeat(257)).is_err() && TagValue::new("</Value>").is_err());
    }
}
