//! A server certificate: its chain, its private key, and what is known about it. Reading files and watching them is
//! the control plane's; which certificate a client gets is `resolver`'s.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::distinguished_name::distinguished_name;

/// A certificate chain and the private key that belongs to it, checked against each other. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    validity: Validity,
    subject: String,
    issuer: String,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Reads a PEM chain, leaf first, and a PEM private key (PKCS#8, PKCS#1 or SEC1). Checks that the key is the
    /// leaf's and that each certificate is issued by the next. Validity is data, not an error: see [`Validity`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateFault> {
        let chain = read_chain(chain)?;
        let key = any_supported_type(&read_key(key)?).map_err(|_| CertificateFault::UnsupportedKey)?;
        let parsed =
            chain.iter().enumerate().map(|(index, der)| parse(der, index + 1)).collect::<Result<Vec<_>, _>>()?;
        let (Some(leaf), Some(leaf_der)) = (parsed.first(), chain.first()) else {
            return Err(CertificateFault::NoCertificate);
        };
        if let Some(public_key) = key.public_key() {
            let owner = parsed.iter().position(|certificate| certificate.public_key().raw == public_key.as_ref());
            if owner != Some(0) {
                return Err(CertificateFault::KeyMismatch { owner: owner.map(|index| index + 1) });
            }
        }
        check_order(&parsed)?;
        let parts = Parts {
            names: dns_names(leaf),
            validity: Validity {
                not_before: leaf.validity().not_before.timestamp(),
                not_after: leaf.validity().not_after.timestamp(),
            },
            subject: distinguished_name(leaf.subject()),
            issuer: distinguished_name(leaf.issuer()),
            fingerprint: Fingerprint::of(leaf_der),
            key: Arc::new(CertifiedKey::new(chain, key)),
        };
        Ok(Self(Arc::new(parts)))
    }

    /// The DNS names it is for, in lower case; a wildcard starts with `*.`. Without a subjectAltName, the subject's
    /// common name.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// From when until when it is valid.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The subject's distinguished name.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer's distinguished name.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// SHA-256 over the leaf's DER.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// The kind of key it has.
    pub fn key_kind(&self) -> KeyKind {
        match self.0.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
            SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
            _ => KeyKind::Rsa,
        }
    }

    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.0.key
    }
}

/// Kinds of key, the one to prefer first: ECDSA signs at a fraction of RSA's cost, and Ed25519 is little supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA on a NIST curve.
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// RSA.
    Rsa,
}

/// The time in which a certificate is valid, both ends included, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: i64,
    /// The last second.
    pub not_after: i64,
}

impl Validity {
    /// Seconds left at `now` (seconds since the Unix epoch); negative once expired.
    pub fn seconds_left(self, now: u64) -> i64 {
        self.not_after.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// Whether it is valid at `now`.
    pub fn contains(self, now: u64) -> bool {
        self.seconds_left(now) >= 0 && i64::try_from(now).is_ok_and(|now| now >= self.not_before)
    }
}

/// SHA-256 over a certificate's DER; shown as lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a certificate cannot be used. Positions count from 1, the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The chain is not PEM, or cut short.
    DamagedChain,
    /// The key is not PEM, or cut short.
    DamagedKey,
    /// The chain holds no certificate.
    NoCertificate,
    /// The key file holds no private key.
    NoKey,
    /// The key is protected by a pass phrase.
    EncryptedKey,
    /// The key is of a kind or size we do not do, or damaged.
    UnsupportedKey,
    /// This certificate of the chain cannot be parsed.
    Unreadable {
        /// Which.
        position: usize,
    },
    /// The key is not the leaf's.
    KeyMismatch {
        /// The certificate of the chain whose key it is, if it is any's.
        owner: Option<usize>,
    },
    /// This certificate is not issued by the one that follows it.
    ChainBroken {
        /// Which.
        position: usize,
        /// Who issued it.
        issuer: String,
        /// The subject of the one that follows.
        next: String,
    },
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedChain => f.write_str("the certificate chain is damaged: bad PEM"),
            Self::DamagedKey => f.write_str("the private key is damaged: bad PEM"),
            Self::NoCertificate => f.write_str("no certificate found (expected -----BEGIN CERTIFICATE-----)"),
            Self::NoKey => f.write_str("no private key found (expected PKCS#8, PKCS#1 or SEC1 in PEM)"),
            Self::EncryptedKey => f.write_str("the private key is encrypted; store it without a pass phrase"),
            Self::UnsupportedKey => {
                f.write_str("the private key is damaged or not supported (RSA of 2048 to 8192 bits, ECDSA, Ed25519)")
            }
            Self::Unreadable { position } => write!(f, "certificate {position} of the chain cannot be parsed"),
            Self::KeyMismatch { owner: None } => f.write_str("the private key does not belong to the certificate"),
            Self::KeyMismatch { owner: Some(position) } => {
                write!(f, "the private key belongs to certificate {position} of the chain; put that one first")
            }
            Self::ChainBroken { position, issuer, next } => {
                write!(f, "certificate {position} of the chain was issued by \"{issuer}\", but \"{next}\" follows it")
            }
        }
    }
}

impl std::error::Error for CertificateFault {}

/// Every certificate of a PEM file, in its order.
pub(super) fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| CertificateFault::DamagedChain)?;
    if chain.is_empty() {
        return Err(CertificateFault::NoCertificate);
    }
    Ok(chain)
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(pem) => CertificateFault::EncryptedKey,
        pem::Error::NoItemsFound => CertificateFault::NoKey,
        _ if is_encrypted(pem) => CertificateFault::EncryptedKey,
        _ => CertificateFault::DamagedKey,
    })
}

/// PKCS#8 says so in its label, the older forms in a header (RFC 1421 section 4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    let contains = |part: &[u8]| pem.windows(part.len()).any(|window| window == part);
    contains(b"BEGIN ENCRYPTED PRIVATE KEY") || contains(b"Proc-Type: 4,ENCRYPTED")
}

fn parse(der: &[u8], position: usize) -> Result<X509Certificate<'_>, CertificateFault> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateFault::Unreadable { position }),
    }
}

/// RFC 8446 section 4.4.2: each certificate should certify the one before it. Clients exist that insist.
fn check_order(chain: &[X509Certificate<'_>]) -> Result<(), CertificateFault> {
    for (index, pair) in chain.windows(2).enumerate() {
        if let [certificate, next] = pair
            && certificate.issuer().as_raw() != next.subject().as_raw()
        {
            return Err(CertificateFault::ChainBroken {
                position: index + 1,
                issuer: distinguished_name(certificate.issuer()),
                next: distinguished_name(next.subject()),
            });
        }
    }
    Ok(())
}

fn dns_names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    if let Ok(Some(extension)) = leaf.subject_alternative_name() {
        names.extend(extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }));
    } else {
        let common_names = leaf.subject().iter_common_name();
        names.extend(common_names.filter_map(|name| name.as_str().ok()).map(str::to_ascii_lowercase));
    }
    names.retain(|name| DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).is_ok());
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Files, TestAuthority, WEB, openssl};
    use rcgen::PKCS_ECDSA_P256_SHA256;

    fn fault(chain: &str, key: &str) -> CertificateFault {
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect_err("a fault")
    }

    #[test]
    fn a_good_certificate_tells_what_it_is() {
        let files = WEB.authority.issue_with(&["Web.Test", "*.web.test"], &PKCS_ECDSA_P256_SHA256, |parameters| {
            parameters.not_before = rcgen::date_time_ymd(2025, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(2026, 1, 1);
        });
        let certificate = files.load();
        assert_eq!(certificate.names(), ["web.test", "*.web.test"]);
        assert_eq!(certificate.key_kind(), KeyKind::Ecdsa);
        assert_eq!(certificate.subject(), "CN=Web.Test");
        assert_eq!(certificate.issuer(), "CN=Test Authority");
        let validity = certificate.validity();
        assert_eq!(validity, Validity { not_before: 1_735_689_600, not_after: 1_767_225_600 });
        for (now, valid, left) in [
            (1_735_689_599, false, 31_536_001),
            (1_735_689_600, true, 31_536_000),
            (1_767_225_600, true, 0),
            (1_767_225_601, false, -1),
        ] {
            assert_eq!((validity.contains(now), validity.seconds_left(now)), (valid, left), "{now}");
        }
    }

    #[test]
    fn the_common_name_counts_only_without_alternative_names() {
        let without = WEB.authority.issue_with(&["Old.Test"], &PKCS_ECDSA_P256_SHA256, |parameters| {
            parameters.subject_alt_names.clear();
        });
        assert_eq!(without.load().names(), ["old.test"]);
        let no_host = WEB.authority.issue_with(&["x"], &PKCS_ECDSA_P256_SHA256, |parameters| {
            parameters.subject_alt_names.clear();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, "John Doe");
        });
        assert_eq!(no_host.load().names(), [""; 0]);
    }

    #[test]
    fn every_form_of_key_is_read() {
        let rsa = &WEB.rsa;
        let ecdsa = &WEB.ecdsa;
        let pkcs1 = openssl(&["rsa", "-traditional"], &rsa.key);
        let sec1 = openssl(&["ec"], &ecdsa.key);
        assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY") && sec1.contains("BEGIN EC PRIVATE KEY"));
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        for (chain, key) in [
            (&rsa.chain, &rsa.key),
            (&rsa.chain, &pkcs1),
            (&ecdsa.chain, &ecdsa.key),
            (&ecdsa.chain, &sec1),
            (&ecdsa.chain, &format!("{parameters}{sec1}")),
            (&format!("text around it\n{}", ecdsa.chain), &ecdsa.key),
        ] {
            Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a good pair");
        }
        let rsa = rsa.load();
        assert_eq!(rsa.key_kind(), KeyKind::Rsa);
    }

    #[test]
    fn faults_say_what_to_do() {
        let Files { chain, key } = &WEB.ecdsa;
        let authority = &WEB.authority.pem;
        let strange_authority = TestAuthority::new("Strangers").pem;
        let other = WEB.authority.issue(&["other.test"], &PKCS_ECDSA_P256_SHA256);
        let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:x"], key);
        let old_encrypted = openssl(&["ec", "-aes128", "-passout", "pass:x"], key);
        let cut = |pem: &str| pem.replace("-----END", "");
        let garbled = chain.replacen("MII", "AAA", 1);
        use CertificateFault::*;
        let cases = [
            (fault("", key), NoCertificate),
            (fault(key, key), NoCertificate),
            (fault(&cut(chain), key), DamagedChain),
            (fault(&garbled, key), Unreadable { position: 1 }),
            (fault(chain, ""), NoKey),
            (fault(chain, chain), NoKey),
            (fault(chain, &cut(key)), DamagedKey),
            (fault(chain, &encrypted), EncryptedKey),
            (fault(chain, &old_encrypted), EncryptedKey),
            (fault(chain, &other.key), KeyMismatch { owner: None }),
            (fault(&format!("{authority}{chain}"), key), KeyMismatch { owner: Some(2) }),
            (
                fault(&format!("{chain}{strange_authority}"), key),
                ChainBroken { position: 1, issuer: "CN=Test Authority".into(), next: "CN=Strangers".into() },
            ),
        ];
        for (fault, expected) in cases {
            assert_eq!(fault, expected);
            assert!(!fault.to_string().is_empty());
        }
        Certificate::from_pem(format!("{chain}{authority}").as_bytes(), key.as_bytes()).expect("a whole chain");
    }
}
