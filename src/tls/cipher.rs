//! Protocol versions and ciphers by the names OpenSSL gives them, which are also ELB's and those of the access log
//! (`ECDHE-RSA-AES128-GCM-SHA256`, `TLSv1.2`). Which of them are wanted is `policy`'s.

use crate::model::{Keyword, TlsSuite, TlsVersion};
use rustls::crypto::aws_lc_rs::cipher_suite as suite;
use rustls::{CipherSuite, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, version};

/// A protocol version that a security policy can name, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// SSL 3.0 (RFC 6101): named by old policies, never negotiated.
    SslV3,
    /// TLS 1.0 (RFC 2246): named by old policies, never negotiated.
    TlsV1,
    /// TLS 1.1 (RFC 4346): named by old policies, never negotiated.
    TlsV1_1,
    /// TLS 1.2 (RFC 5246).
    TlsV1_2,
    /// TLS 1.3 (RFC 8446): unknown to Classic ELB.
    TlsV1_3,
}

impl Protocol {
    /// Every version, oldest first.
    pub(super) const ALL: [Self; 5] = [Self::SslV3, Self::TlsV1, Self::TlsV1_1, Self::TlsV1_2, Self::TlsV1_3];

    /// The name in access records: `TLSv1.2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SslV3 => "SSLv3",
            Self::TlsV1 => "TLSv1",
            Self::TlsV1_1 => "TLSv1.1",
            Self::TlsV1_2 => "TLSv1.2",
            Self::TlsV1_3 => "TLSv1.3",
        }
    }

    /// The name of the ELB policy attribute: `Protocol-TLSv1.2`.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::SslV3 => TlsVersion::Ssl3.as_str(),
            Self::TlsV1 => TlsVersion::Tls10.as_str(),
            Self::TlsV1_1 => TlsVersion::Tls11.as_str(),
            Self::TlsV1_2 => TlsVersion::Tls12.as_str(),
            Self::TlsV1_3 => "Protocol-TLSv1.3",
        }
    }

    /// What the TLS library calls it, if it speaks it at all.
    pub(super) fn supported(self) -> Option<&'static SupportedProtocolVersion> {
        match self {
            Self::SslV3 | Self::TlsV1 | Self::TlsV1_1 => None,
            Self::TlsV1_2 => Some(&version::TLS12),
            Self::TlsV1_3 => Some(&version::TLS13),
        }
    }

    pub(super) fn negotiated(version: ProtocolVersion) -> Option<Self> {
        match version {
            ProtocolVersion::TLSv1_2 => Some(Self::TlsV1_2),
            ProtocolVersion::TLSv1_3 => Some(Self::TlsV1_3),
            _ => None,
        }
    }
}

impl From<TlsVersion> for Protocol {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Ssl3 => Self::SslV3,
            TlsVersion::Tls10 => Self::TlsV1,
            TlsVersion::Tls11 => Self::TlsV1_1,
            TlsVersion::Tls12 => Self::TlsV1_2,
        }
    }
}

/// Everything the TLS library can negotiate.
static NEGOTIABLE: [(TlsSuite, SupportedCipherSuite); 9] = [
    (TlsSuite::Tls13Aes128Gcm, suite::TLS13_AES_128_GCM_SHA256),
    (TlsSuite::Tls13Aes256Gcm, suite::TLS13_AES_256_GCM_SHA384),
    (TlsSuite::Tls13Chacha20, suite::TLS13_CHACHA20_POLY1305_SHA256),
    (TlsSuite::EcdsaAes128Gcm, suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (TlsSuite::RsaAes128Gcm, suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    (TlsSuite::EcdsaAes256Gcm, suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (TlsSuite::RsaAes256Gcm, suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (TlsSuite::EcdsaChacha20, suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    (TlsSuite::RsaChacha20, suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The suite behind an OpenSSL cipher name; `None` if it is never negotiated.
pub(super) fn suite_named(name: &str) -> Option<SupportedCipherSuite> {
    NEGOTIABLE.iter().find(|(known, _)| known.as_str() == name).map(|(_, suite)| *suite)
}

/// The name of a negotiated suite.
pub(super) fn suite_name(suite: CipherSuite) -> Option<TlsSuite> {
    NEGOTIABLE.iter().find(|(_, known)| known.suite() == suite).map(|(name, _)| *name)
}

/// The protocol version a suite belongs to.
pub(super) fn suite_protocol(suite: SupportedCipherSuite) -> Protocol {
    match suite {
        SupportedCipherSuite::Tls12(_) => Protocol::TlsV1_2,
        SupportedCipherSuite::Tls13(_) => Protocol::TlsV1_3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;

    #[test]
    fn every_suite_of_the_library_has_a_name_that_leads_back_to_it() {
        assert_eq!(ALL_CIPHER_SUITES.len(), NEGOTIABLE.len());
        for suite in ALL_CIPHER_SUITES {
            let name = suite_name(suite.suite()).expect("a name for every suite");
            assert_eq!(suite_named(name.as_str()).map(|found| found.suite()), Some(suite.suite()));
        }
    }

    #[test]
    fn names_are_those_of_the_library_spelled_openssl_s_way() {
        for (name, suite) in &NEGOTIABLE {
            let library = format!("{:?}", suite.suite());
            let spelled = match suite_protocol(*suite) {
                Protocol::TlsV1_3 => library.replace("TLS13_", "TLS_"),
                _ => library
                    .replace("TLS_", "")
                    .replace("WITH_", "")
                    .replace("POLY1305_SHA256", "POLY1305")
                    .replace("AES_", "AES")
                    .replace('_', "-"),
            };
            assert_eq!(name.as_str(), spelled);
            assert_eq!(name.protocol(), suite_protocol(*suite).name());
        }
    }
}
