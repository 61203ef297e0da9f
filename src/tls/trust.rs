//! Whom we believe: authorities from a CA file, and for back ends also ELB's public-key policies or, as ELB does by
//! default, anyone. Who a client is, once believed, is `client_auth`'s.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use super::certificate::read_chain;

/// How a back end must prove who it is.
#[derive(Clone, Debug)]
pub enum BackendTrust {
    /// Not at all: ELB's way without a back-end authentication policy. Encrypts, but stops no one in the middle.
    Anyone,
    /// Its certificate's public key is one of these, as ELB's BackendServerAuthenticationPolicy says. Name, issuer
    /// and validity do not matter.
    PublicKeys(Vec<PinnedKey>),
    /// A certificate for the server name, now valid, from one of these authorities (beyond ELB).
    Authorities(Authorities),
}

impl BackendTrust {
    pub(super) fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TrustFault> {
        let algorithms = provider.signature_verification_algorithms;
        match self {
            Self::Anyone => Ok(Arc::new(BelieveAnyone(algorithms))),
            Self::PublicKeys(keys) if keys.is_empty() => Err(TrustFault::NoPublicKey),
            Self::PublicKeys(keys) => Ok(Arc::new(BelieveKeys { keys: keys.clone(), algorithms })),
            Self::Authorities(authorities) => {
                let builder = WebPkiServerVerifier::builder_with_provider(authorities.0.clone(), provider.clone());
                builder.build().map(|verifier| verifier as _).map_err(|_| TrustFault::NoAuthority)
            }
        }
    }
}

/// A public key as ELB's PublicKeyPolicyType holds it: DER of the SubjectPublicKeyInfo (RFC 5280 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedKey(SubjectPublicKeyInfoDer<'static>);

impl PinnedKey {
    /// Reads the base64 of the DER, with or without white space and the PEM lines around it.
    pub fn from_base64(text: &str) -> Result<Self, TrustFault> {
        let body: String =
            text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| TrustFault::BadPublicKey)?;
        match SubjectPublicKeyInfo::from_der(&der) {
            Ok(([], _)) => Ok(Self(der)),
            _ => Err(TrustFault::BadPublicKey),
        }
    }
}

/// Certificate authorities to trust, and nobody else: the system's are not among them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads every certificate of a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustFault> {
        let mut store = RootCertStore::empty();
        for (index, certificate) in read_chain(pem).map_err(|_| TrustFault::NoAuthority)?.into_iter().enumerate() {
            store.add(certificate).map_err(|_| TrustFault::BadAuthority { position: index + 1 })?;
        }
        Ok(Self(Arc::new(store)))
    }

    pub(super) fn store(&self) -> &Arc<RootCertStore> {
        &self.0
    }
}

/// Why a trust setting cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustFault {
    /// Not base64 of a DER SubjectPublicKeyInfo.
    BadPublicKey,
    /// A back-end authentication policy without a public key.
    NoPublicKey,
    /// The CA file holds no certificate.
    NoAuthority,
    /// This certificate of the CA file, counted from 1, cannot be parsed.
    BadAuthority {
        /// Which.
        position: usize,
    },
}

impl fmt::Display for TrustFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPublicKey => f.write_str("not a public key: expected the base64 of a DER SubjectPublicKeyInfo"),
            Self::NoPublicKey => f.write_str("back-end authentication needs at least one public key"),
            Self::NoAuthority => f.write_str("the CA file holds no certificate in PEM"),
            Self::BadAuthority { position } => write!(f, "certificate {position} of the CA file cannot be parsed"),
        }
    }
}

impl std::error::Error for TrustFault {}

/// Believes any certificate, even one it cannot parse. The handshake's signature is not checked either: over an
/// unverified key it would prove nothing.
#[derive(Debug)]
struct BelieveAnyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for BelieveAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Believes whoever holds the private half of one of these keys.
#[derive(Debug)]
struct BelieveKeys {
    keys: Vec<PinnedKey>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for BelieveKeys {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = public_key(end_entity)?;
        match self.keys.iter().any(|PinnedKey(key)| *key == presented) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    /// As the library does it, but over the bare key: its own way refuses X.509 version 1, which many self-signed
    /// certificates of back ends are.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let (_, candidates) = candidates.ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
        candidates
            .iter()
            .find(|algorithm| key.verify_signature(**algorithm, message, signature.signature()).is_ok())
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

fn public_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec())),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}
