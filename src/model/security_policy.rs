//! What an SSL negotiation policy says: ELB's predefined policies by name, or protocols and ciphers of one's own.
//! What a name stands for in a handshake is the `tls` room's.

use std::collections::BTreeSet;
use std::fmt;

use super::keyword::keyword;
use super::{Invalid, Keyword};

/// The content of an SSL negotiation policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityPolicy {
    /// One of ELB's.
    Predefined(PredefinedPolicy),
    /// Protocols and ciphers chosen one by one, at least one of each.
    Custom(CustomPolicy),
}

/// A policy of chosen protocols and ciphers; neither set is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomPolicy {
    versions: BTreeSet<TlsVersion>,
    ciphers: BTreeSet<Cipher>,
    server_order: bool,
}

impl CustomPolicy {
    /// A policy with these protocols and ciphers. With `server_order` the load balancer's first cipher that the
    /// client offers is taken ([`Cipher`]s are ordered so), else the client's order counts.
    pub fn new(versions: BTreeSet<TlsVersion>, ciphers: BTreeSet<Cipher>, server_order: bool) -> Result<Self, Invalid> {
        if versions.is_empty() || ciphers.is_empty() {
            return Err(Invalid::new(
                "an SSL negotiation policy needs a reference security policy, or at least one protocol and one cipher",
            ));
        }
        Ok(Self { versions, ciphers, server_order })
    }

    /// The protocols, oldest first.
    pub const fn versions(&self) -> &BTreeSet<TlsVersion> {
        &self.versions
    }

    /// The ciphers, in order of preference.
    pub const fn ciphers(&self) -> &BTreeSet<Cipher> {
        &self.ciphers
    }

    /// Whether the load balancer's order of ciphers counts.
    pub const fn server_order(&self) -> bool {
        self.server_order
    }
}

keyword! {
    /// The predefined security policies: ELB's, newest first, as DescribeLoadBalancerPolicies lists them, then ours.
    pub enum PredefinedPolicy {
        /// ELB's default of a new secure listener.
        Policy201608 = "ELBSecurityPolicy-2016-08",
        /// TLS 1.2 only.
        PolicyTls12 = "ELBSecurityPolicy-TLS-1-2-2017-01",
        /// TLS 1.1 and 1.2.
        PolicyTls11 = "ELBSecurityPolicy-TLS-1-1-2017-01",
        /// As 2016-08 with triple DES.
        Policy201505 = "ELBSecurityPolicy-2015-05",
        /// With finite-field Diffie-Hellman and triple DES.
        Policy201503 = "ELBSecurityPolicy-2015-03",
        /// With finite-field Diffie-Hellman.
        Policy201502 = "ELBSecurityPolicy-2015-02",
        /// With RC4.
        Policy201410 = "ELBSecurityPolicy-2014-10",
        /// With RC4 and SSL 3.
        Policy201401 = "ELBSecurityPolicy-2014-01",
        /// SSL 3 and TLS 1.0 only, client's order.
        Policy201108 = "ELBSecurityPolicy-2011-08",
        /// A sample: five old ciphers.
        SampleElbDefault = "ELBSample-ELBDefaultCipherPolicy",
        /// A sample: nearly every cipher of an old OpenSSL.
        SampleOpenSslDefault = "ELBSample-OpenSSLDefaultCipherPolicy",
        /// Ours, and the default: TLS 1.3, and TLS 1.2 as fallback.
        ElbowTls12 = "Elbow-TLS-1-2-2026",
        /// Ours: TLS 1.3 only.
        ElbowTls13 = "Elbow-TLS-1-3-2026",
    }
}

impl PredefinedPolicy {
    /// What ELB gives a secure listener that is made through its API.
    pub const ELB_DEFAULT: Self = Self::Policy201608;

    /// What a secure listener without an SSL negotiation policy uses. ELB's default knows no TLS 1.3.
    pub const DEFAULT: Self = Self::ElbowTls12;

    /// How the names of predefined policies begin; nobody else's may.
    pub const RESERVED_PREFIXES: [&'static str; 3] = ["ELBSecurityPolicy-", "ELBSample-", "Elbow-"];

    /// Whether ELB has it: its attributes can all be said in ELB's words.
    pub fn is_of_elb(self) -> bool {
        !matches!(self, Self::ElbowTls12 | Self::ElbowTls13)
    }

    /// The policy of this name, in exactly this spelling, as policy names are compared.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|policy| policy.as_str() == name)
    }
}

keyword! {
    /// The protocol attributes of an SSL negotiation policy.
    pub enum TlsVersion {
        /// SSL 3.0.
        Ssl3 = "Protocol-SSLv3",
        /// TLS 1.0.
        Tls10 = "Protocol-TLSv1",
        /// TLS 1.1.
        Tls11 = "Protocol-TLSv1.1",
        /// TLS 1.2.
        Tls12 = "Protocol-TLSv1.2",
    }
}

/// A cipher by its OpenSSL name, ordered by ELB's preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cipher(u8);

impl Cipher {
    /// The cipher of this name, in exactly this spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|cipher| cipher.name() == name)
    }

    /// The OpenSSL name, which is also the attribute's name in a policy.
    pub fn name(self) -> &'static str {
        CIPHERS[usize::from(self.0)]
    }

    /// Every cipher, in order of preference.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CIPHERS.len() as u8).map(Self)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The 88 cipher attributes of an SSL negotiation policy, in ELB's order of preference.
const CIPHERS: [&str; 88] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
    "DHE-DSS-AES128-SHA",
    "CAMELLIA128-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "DES-CBC3-SHA",
    "ECDHE-RSA-RC4-SHA",
    "RC4-SHA",
    "ECDHE-ECDSA-RC4-SHA",
    "DHE-DSS-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES256-SHA256",
    "DHE-DSS-AES256-SHA256",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "CAMELLIA256-SHA",
    "EDH-DSS-DES-CBC3-SHA",
    "DHE-DSS-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES128-SHA256",
    "DHE-DSS-AES128-SHA256",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
    "ADH-AES128-GCM-SHA256",
    "ADH-AES128-SHA",
    "ADH-AES128-SHA256",
    "ADH-AES256-GCM-SHA384",
    "ADH-AES256-SHA",
    "ADH-AES256-SHA256",
    "ADH-CAMELLIA128-SHA",
    "ADH-CAMELLIA256-SHA",
    "ADH-DES-CBC3-SHA",
    "ADH-DES-CBC-SHA",
    "ADH-RC4-MD5",
    "ADH-SEED-SHA",
    "DES-CBC-SHA",
    "DHE-DSS-SEED-SHA",
    "DHE-RSA-SEED-SHA",
    "EDH-DSS-DES-CBC-SHA",
    "EDH-RSA-DES-CBC-SHA",
    "IDEA-CBC-SHA",
    "RC4-MD5",
    "SEED-SHA",
    "DES-CBC3-MD5",
    "DES-CBC-MD5",
    "RC2-CBC-MD5",
    "PSK-AES256-CBC-SHA",
    "PSK-3DES-EDE-CBC-SHA",
    "KRB5-DES-CBC3-SHA",
    "KRB5-DES-CBC3-MD5",
    "PSK-AES128-CBC-SHA",
    "PSK-RC4-SHA",
    "KRB5-RC4-SHA",
    "KRB5-RC4-MD5",
    "KRB5-DES-CBC-SHA",
    "KRB5-DES-CBC-MD5",
    "EXP-EDH-RSA-DES-CBC-SHA",
    "EXP-EDH-DSS-DES-CBC-SHA",
    "EXP-ADH-DES-CBC-SHA",
    "EXP-DES-CBC-SHA",
    "EXP-RC2-CBC-MD5",
    "EXP-KRB5-RC2-CBC-SHA",
    "EXP-KRB5-DES-CBC-SHA",
    "EXP-KRB5-RC2-CBC-MD5",
    "EXP-KRB5-DES-CBC-MD5",
    "EXP-ADH-RC4-MD5",
    "EXP-RC4-MD5",
    "EXP-KRB5-RC4-SHA",
    "EXP-KRB5-RC4-MD5",
];
