//! The six policy types of ELB and where each may be attached.

use std::fmt;
use std::sync::Arc;

use super::keyword::keyword;
use super::{CookieName, Count, Invalid, PolicyName, Protocol, SecurityPolicy};

/// A policy: something a listener or an instance port can be told to do beyond its protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// A client stays with its instance for a while, by a cookie of the load balancer.
    LbCookieStickiness {
        /// How long, in seconds; `None`: as long as the browser runs.
        cookie_expiration_period: Option<Count<1, 1_000_000_000>>,
    },
    /// A client stays with its instance as long as the application's cookie lives.
    AppCookieStickiness {
        /// The application's cookie.
        cookie_name: CookieName,
    },
    /// Which TLS protocols and ciphers clients may use.
    SslNegotiation(SecurityPolicy),
    /// Back-end connections begin with a PROXY protocol header.
    ProxyProtocol {
        /// `false` is a policy that does nothing, as in ELB.
        enabled: bool,
        /// The form of the header.
        version: ProxyProtocolVersion,
    },
    /// A public key that back-end authentication may refer to.
    PublicKey(PublicKey),
    /// Instances must show one of these keys.
    BackendServerAuthentication {
        /// Names of `PublicKey` policies of the same load balancer, at least one.
        public_key_policies: Vec<PolicyName>,
    },
}

impl Policy {
    /// Which of the six it is.
    pub const fn policy_type(&self) -> PolicyType {
        match self {
            Self::LbCookieStickiness { .. } => PolicyType::LbCookieStickiness,
            Self::AppCookieStickiness { .. } => PolicyType::AppCookieStickiness,
            Self::SslNegotiation(_) => PolicyType::SslNegotiation,
            Self::ProxyProtocol { .. } => PolicyType::ProxyProtocol,
            Self::PublicKey(_) => PolicyType::PublicKey,
            Self::BackendServerAuthentication { .. } => PolicyType::BackendServerAuthentication,
        }
    }
}

keyword! {
    /// ELB's policy types.
    pub enum PolicyType {
        /// [`Policy::LbCookieStickiness`].
        LbCookieStickiness = "LBCookieStickinessPolicyType",
        /// [`Policy::AppCookieStickiness`].
        AppCookieStickiness = "AppCookieStickinessPolicyType",
        /// [`Policy::SslNegotiation`].
        SslNegotiation = "SSLNegotiationPolicyType",
        /// [`Policy::ProxyProtocol`].
        ProxyProtocol = "ProxyProtocolPolicyType",
        /// [`Policy::PublicKey`].
        PublicKey = "PublicKeyPolicyType",
        /// [`Policy::BackendServerAuthentication`].
        BackendServerAuthentication = "BackendServerAuthenticationPolicyType",
    }
}

impl PolicyType {
    /// Whether it binds a client to an instance; a listener takes one such policy.
    pub const fn is_stickiness(self) -> bool {
        matches!(self, Self::LbCookieStickiness | Self::AppCookieStickiness)
    }

    /// Whether a listener whose clients speak `protocol` takes it.
    pub const fn fits_listener(self, protocol: Protocol) -> bool {
        match self {
            Self::LbCookieStickiness | Self::AppCookieStickiness => {
                matches!(protocol, Protocol::Http | Protocol::Https)
            }
            Self::SslNegotiation => protocol.is_secure(),
            Self::ProxyProtocol | Self::PublicKey | Self::BackendServerAuthentication => false,
        }
    }

    /// Whether an instance port takes it.
    pub const fn fits_instance_port(self) -> bool {
        matches!(self, Self::ProxyProtocol | Self::BackendServerAuthentication)
    }

    /// Where it may be attached, for messages.
    pub const fn attachable_to(self) -> &'static str {
        match self {
            Self::LbCookieStickiness | Self::AppCookieStickiness => "HTTP and HTTPS listeners",
            Self::SslNegotiation => "HTTPS and SSL listeners",
            Self::ProxyProtocol => "instance ports",
            Self::PublicKey => "nothing; back-end server authentication policies refer to it",
            Self::BackendServerAuthentication => "instance ports reached by HTTPS or SSL",
        }
    }
}

/// The form of an outgoing PROXY protocol header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyProtocolVersion {
    /// One line of text: ELB's.
    V1,
    /// Binary; beyond ELB.
    V2,
}

impl ProxyProtocolVersion {
    /// 1 or 2.
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// A public key as ELB takes it: the base64 of a DER SubjectPublicKeyInfo, without the PEM frame. Kept as it was
/// written; two keys that differ in white space only are equal.
#[derive(Clone)]
pub struct PublicKey(Arc<str>);

impl PublicKey {
    /// `text` as a key. Checks that it is base64 of one DER SEQUENCE; whether the key inside makes sense is
    /// found out where it is used.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("expected the base64 text of a public key, without its BEGIN and END lines");
        let der = decode_base64(text).ok_or_else(malformed)?;
        if !is_one_der_sequence(&der) {
            return Err(malformed());
        }
        Ok(Self(text.into()))
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.split_ascii_whitespace().flat_map(str::chars).eq(other.0.split_ascii_whitespace().flat_map(str::chars))
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.0)
    }
}

/// Padded base64 (RFC 4648 section 4) with white space anywhere; `None` if it is not that.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let data = symbols.strip_suffix(b"==").or_else(|| symbols.strip_suffix(b"=")).unwrap_or(&symbols);
    if !symbols.len().is_multiple_of(4) || symbols.len() - data.len() != (4 - data.len() % 4) % 4 {
        return None;
    }
    let mut bytes = Vec::with_capacity(data.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &symbol in data {
        bits = (bits << 6) | sextet(symbol)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Tag SEQUENCE with a definite length that covers the rest exactly (X.690 section 8.1).
fn is_one_der_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, short @ 0..=0x7f, rest @ ..] => rest.len() == usize::from(*short),
        [0x30, 0x81, long, rest @ ..] => rest.len() == usize::from(*long),
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_are_framed_base64() {
        // 30 03 02 01 05: a SEQUENCE of one INTEGER.
        let key = PublicKey::new("MAMC\n AQU=").unwrap();
        assert_eq!(decode_base64(key.as_str()).as_deref(), Some(&[0x30, 0x03, 0x02, 0x01, 0x05][..]));
        assert_eq!(key, PublicKey::new("MAMCAQU=").unwrap());
        for bad in [
            "",
            "MAMCAQU",
            "MAMCAQ==",
            "MAMCAQV=",
            "!AMCAQU=",
            "-----BEGIN PUBLIC KEY-----",
            "AQIDBA==",
            "MAMCAQU=====",
            "====",
        ] {
            assert!(PublicKey::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn attachment_follows_elb() {
        use PolicyType::*;
        for (policy, http, https, tcp, ssl, port) in [
            (LbCookieStickiness, true, true, false, false, false),
            (AppCookieStickiness, true, true, false, false, false),
            (SslNegotiation, false, true, false, true, false),
            (ProxyProtocol, false, false, false, false, true),
            (PublicKey, false, false, false, false, false),
            (BackendServerAuthentication, false, false, false, false, true),
        ] {
            let fits = [Protocol::Http, Protocol::Https, Protocol::Tcp, Protocol::Ssl].map(|p| policy.fits_listener(p));
            assert_eq!((fits, policy.fits_instance_port()), ([http, https, tcp, ssl], port), "{policy}");
        }
    }
}
