//! Where something can be reached: ports, hosts and the two together.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;
use std::sync::Arc;

use super::Invalid;

/// A TCP port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

impl Port {
    /// HTTP's: 80.
    pub const HTTP: Self = Self::of(80);
    /// HTTPS's: 443.
    pub const HTTPS: Self = Self::of(443);

    /// For constants: port 0 does not compile when evaluated in a `const`.
    pub const fn of(number: u16) -> Self {
        match NonZeroU16::new(number) {
            Some(port) => Self(port),
            None => panic!("port 0"),
        }
    }

    /// `number` as a port.
    pub fn new(number: i64) -> Result<Self, Invalid> {
        u16::try_from(number)
            .ok()
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or_else(|| Invalid::new("expected a port from 1 to 65535"))
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Digits only: no sign, no space, no leading zero.
impl FromStr for Port {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        Self::new(text.parse().ok().filter(|_| digits).unwrap_or(0))
    }
}

/// A machine: by its address or by a name to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name.
    Name(HostName),
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => HostName::new(text).map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

/// A host name as in RFC 1123 section 2.1: labels of letters, digits and hyphens, 253 characters in all. The last
/// label is not a number, so that a mistyped IPv4 address is not taken for a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// `text` as a host name.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let last_is_number =
            text.rsplit('.').next().is_none_or(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if text.len() > 253 || last_is_number || !text.split('.').all(is_label) {
            return Err(Invalid::new("expected an IP address or a host name"));
        }
        Ok(Self(text.into()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// `host` or `host:port`; an IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// Its port, when one was named.
    pub port: Option<Port>,
}

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(rest) = text.strip_prefix('[') {
            return bracketed(rest);
        }
        match text.split_once(':') {
            Some((host, port)) if is_number(port) => Ok(Self { host: host.parse()?, port: Some(port.parse()?) }),
            Some((_, rest)) if !rest.contains(':') => Err(Invalid::new("expected \"host\" or \"host:port\"")),
            _ => Ok(Self { host: text.parse()?, port: None }),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What follows `[`: an IPv6 address, `]`, and perhaps a port.
fn bracketed(rest: &str) -> Result<Endpoint, Invalid> {
    let malformed = || Invalid::new("expected an IPv6 address in brackets, with or without a port");
    let (address, after) = rest.split_once(']').ok_or_else(malformed)?;
    let address: Ipv6Addr = address.parse().map_err(|_| malformed())?;
    let port = match after.strip_prefix(':') {
        Some(port) => Some(port.parse()?),
        None if after.is_empty() => None,
        None => return Err(malformed()),
    };
    Ok(Endpoint { host: Host::Ip(address.into()), port })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (host, None) => host.fmt(formatter),
            (Host::Ip(IpAddr::V6(address)), Some(port)) => write!(formatter, "[{address}]:{port}"),
            (host, Some(port)) => write!(formatter, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_and_print_the_same() {
        for text in ["10.0.0.1", "10.0.0.1:80", "::1", "[::1]:80", "web-1.internal", "web:8080", "a_b.example:1"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("[::1]".parse::<Endpoint>().map(|endpoint| endpoint.to_string()).as_deref(), Ok("::1"));
    }

    #[test]
    fn what_is_no_endpoint() {
        let cases = [
            ("", "expected an IP address or a host name"),
            ("10.0.0.300", "expected an IP address or a host name"),
            ("10.0.0.1:", "expected \"host\" or \"host:port\""),
            ("10.0.0.1:0", "expected a port from 1 to 65535"),
            ("10.0.0.1:+80", "expected \"host\" or \"host:port\""),
            ("10.0.0.1:080", "expected a port from 1 to 65535"),
            ("10.0.0.1:65536", "expected a port from 1 to 65535"),
            ("web 1", "expected an IP address or a host name"),
            ("-web", "expected an IP address or a host name"),
            ("web..example", "expected an IP address or a host name"),
            ("http://web", "expected \"host\" or \"host:port\""),
            ("http://web:80", "expected an IP address or a host name"),
            ("[::1", "expected an IPv6 address in brackets, with or without a port"),
            ("[10.0.0.1]:80", "expected an IPv6 address in brackets, with or without a port"),
            ("[::1]80", "expected an IPv6 address in brackets, with or without a port"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().to_string(), message, "{text}");
        }
    }
}
