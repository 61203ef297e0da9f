//! Names that people choose: each kind is a type of its own, so that one cannot be passed for another.

use super::Invalid;

/// Declares a name: a checked text that is cheap to clone, compares and hashes like `str` and prints as written.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $check:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// `text` as this kind of name, or what is wrong with it.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> Result<(), Invalid> = $check;
                check(text).map(|()| Self(text.into()))
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of a load balancer: ELB's rule, so that a name that works here works there.
    LoadBalancerName, |text| {
        if text.len() > 32 {
            return Err(Invalid::new("LoadBalancer name cannot be longer than 32 characters"));
        }
        let inside = !text.is_empty() && !text.starts_with('-') && !text.ends_with('-');
        if inside && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Ok(());
        }
        Err(Invalid::new("a load balancer name is 1 to 32 letters, digits and hyphens, with no hyphen at either end"))
    }
}

name! {
    /// What an instance is called in status, metrics, logs and the API; unique within its load balancer. An
    /// instance that is written as an address alone is called by that address.
    InstanceId, |text| visible(text, 255, "an instance id")
}

name! {
    /// An availability zone: a rack, a room, a site. Nodes and instances each live in one.
    Zone, |text| visible(text, 64, "a zone")
}

/// The zone of nodes that name none, and of instances beside them.
impl Default for Zone {
    fn default() -> Self {
        Self("default".into())
    }
}

name! {
    /// The name of a policy, unique within its load balancer over all policy types.
    PolicyName, |text| {
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=255).contains(&text.len()) && text.bytes().all(alphabet) {
            return Ok(());
        }
        Err(Invalid::new("a policy name is 1 to 255 letters, digits and hyphens"))
    }
}

name! {
    /// The name of an application's cookie: an RFC 6265 section 4.1.1 token.
    CookieName, |text| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if (1..=255).contains(&text.len()) && text.bytes().all(token) {
            return Ok(());
        }
        Err(Invalid::new("a cookie name is 1 to 255 characters of an HTTP token"))
    }
}

name! {
    /// What the inventory calls a certificate, a subnet or a security group.
    ResourceName, |text| visible(text, 128, "a name in the inventory")
}

name! {
    /// What the API's credentials and DNS names call this installation, in the manner of `us-east-1`.
    Region, |text| {
        let alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(alphabet) {
            return Ok(());
        }
        Err(Invalid::new("a region is 1 to 64 lower-case letters, digits and hyphens"))
    }
}

/// The region that clients assume most often.
impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".into())
    }
}

name! {
    /// The public half of an API access key.
    AccessKeyId, |text| {
        if (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(());
        }
        Err(Invalid::new("an access key id is 1 to 128 letters, digits and underscores"))
    }
}

/// Names that stand as one word in log lines and as a metric label: visible ASCII, no quote, comma or backslash.
fn visible(text: &str, longest: usize, what: &str) -> Result<(), Invalid> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',');
    if (1..=longest).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(());
    }
    Err(Invalid::new(format!("{what} is 1 to {longest} visible characters without space, quote, comma or backslash")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_balancer_names_follow_elb() {
        let longest = "a".repeat(32);
        for good in ["web", "a", "Web-2", "0", longest.as_str()] {
            assert!(LoadBalancerName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-web", "web-", "we b", "w_b", "wéb", "a.b"] {
            assert!(LoadBalancerName::new(bad).is_err(), "{bad}");
        }
        let long = LoadBalancerName::new(&"a".repeat(33)).unwrap_err();
        assert_eq!(long.to_string(), "LoadBalancer name cannot be longer than 32 characters");
    }

    #[test]
    fn names_that_would_break_a_log_line_or_a_label_are_refused() {
        for bad in ["", "a b", "a\"b", "a\\b", "a,b", "a\nb", "é"] {
            assert!(InstanceId::new(bad).is_err() && Zone::new(bad).is_err(), "{bad:?}");
        }
        for good in ["10.0.0.1:80", "[::1]:80", "web-2", "i-0aa11bb22cc33dd44"] {
            assert_eq!(InstanceId::new(good).map(|id| id.to_string()).as_deref(), Ok(good));
        }
    }

    #[test]
    fn cookie_names_are_tokens() {
        assert!(CookieName::new("JSESSIONID").is_ok());
        for bad in ["", "a=b", "a;b", "a b", "\"a\""] {
            assert!(CookieName::new(bad).is_err(), "{bad}");
        }
    }
}
