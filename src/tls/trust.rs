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
#[derive(Clone, Debug, PartialEq)]
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

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.0.roots == other.0.roots
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::*;
    use crate::tls::{Alpn, Certificate, TlsFault, TlsPolicy};
    use rcgen::PKCS_ECDSA_P256_SHA256;

    /// The public key of a PEM private key, as a PublicKeyPolicyType has it.
    fn public_key_of(private_key: &str) -> String {
        let pem = openssl(&["pkey", "-pubout"], private_key);
        pem.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n")
    }

    /// A self-signed certificate of X.509 version 1, which `openssl x509 -req` makes without further options.
    fn version_1(files: &Files) -> Certificate {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key.pem");
        std::fs::write(&path, &files.key).expect("written");
        let path = path.to_str().expect("a plain path");
        let request = openssl(&["req", "-new", "-subj", "/CN=instance", "-key", path], "");
        let chain = openssl(&["x509", "-req", "-signkey", path], &request);
        assert!(openssl(&["x509", "-noout", "-text"], &chain).contains("Version: 1"));
        Files { chain, key: files.key.clone() }.load()
    }

    #[test]
    fn a_public_key_is_read_with_and_without_frame_and_white_space() {
        let pem = openssl(&["pkey", "-pubout"], &WEB.rsa.key);
        let body = public_key_of(&WEB.rsa.key);
        let key = PinnedKey::from_base64(&body).expect("a key");
        for text in [pem, body.replace('\n', ""), format!("  {} \r\n", body.replace('\n', "\r\n  "))] {
            assert_eq!(PinnedKey::from_base64(&text), Ok(key.clone()));
        }
        for text in ["", "AAAA", "no base64", &body[..40]] {
            assert_eq!(PinnedKey::from_base64(text), Err(TrustFault::BadPublicKey), "{text}");
        }
    }

    #[test]
    fn only_the_holder_of_a_pinned_key_is_believed_whatever_its_certificate_says() {
        let mine = WEB.authority.issue(&["mine.test"], &PKCS_ECDSA_P256_SHA256);
        let pinned = |files: &[&Files]| {
            let keys = files.iter().map(|files| PinnedKey::from_base64(&public_key_of(&files.key)).expect("a key"));
            BackendTrust::PublicKeys(keys.collect())
        };
        let good = [pinned(&[&mine, &WEB.rsa]), pinned(&[&WEB.rsa, &mine])];
        for policy_name in ["ELBSecurityPolicy-TLS-1-2-2017-01", TlsPolicy::ELBOW_TLS_1_3] {
            for certificate in [mine.load(), version_1(&mine), WEB.rsa.load(), version_1(&WEB.rsa)] {
                let server =
                    Server { policy: policy(policy_name), certificates: vec![certificate], ..Server::default() };
                for trust in &good {
                    connect(&server.tls(), &client(trust, None, Alpn::Off)).expect("believed");
                }
                let fault = connect(&server.tls(), &client(&pinned(&[&WEB.ecdsa]), None, Alpn::Off)).map(|_| ());
                assert_eq!(fault, Err(TlsFault::PublicKeyUnknown));
            }
        }
    }

    /// Somebody who shows the pinned certificate without having its key.
    #[test]
    fn a_copied_certificate_is_not_enough() {
        use rustls::server::ResolvesServerCert;
        use rustls::sign::CertifiedKey;

        #[derive(Debug)]
        struct Impostor(Arc<CertifiedKey>);
        impl ResolvesServerCert for Impostor {
            fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
                Some(self.0.clone())
            }
        }

        let thief = WEB.authority.issue(&["thief.test"], &PKCS_ECDSA_P256_SHA256).load();
        let stolen = CertifiedKey::new(WEB.ecdsa.load().key().cert.clone(), thief.key().key.clone());
        let impostor = Arc::new(Impostor(Arc::new(stolen)));
        let key = PinnedKey::from_base64(&public_key_of(&WEB.ecdsa.key)).expect("a key");
        for policy_name in ["ELBSecurityPolicy-TLS-1-2-2017-01", TlsPolicy::ELBOW_TLS_1_3] {
            let mut server = Server { policy: policy(policy_name), ..Server::default() }.tls();
            Arc::make_mut(&mut server.0).cert_resolver = impostor.clone();
            let trust = BackendTrust::PublicKeys(vec![key.clone()]);
            let fault = connect(&server, &client(&trust, None, Alpn::Off)).map(|_| ());
            assert_eq!(fault, Err(TlsFault::CertificateInvalid));
            connect(&server, &client(&BackendTrust::Anyone, None, Alpn::Off)).expect("anyone is believed");
        }
    }

    #[test]
    fn an_address_may_be_the_name_to_insist_on() {
        let server = WEB.authority.issue(&["127.0.0.1", "::1"], &PKCS_ECDSA_P256_SHA256);
        let server = Server { certificates: vec![server.load()], ..Server::default() };
        let trust = BackendTrust::Authorities(WEB.authority.authorities());
        for (name, expected) in
            [("127.0.0.1", Ok(())), ("::1", Ok(())), ("127.0.0.2", Err(TlsFault::CertificateWrongName))]
        {
            assert_eq!(connect(&server.tls(), &client(&trust, Some(name), Alpn::Off)).map(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn authorities_come_from_a_file_with_something_in_it() {
        let garbled = WEB.authority.pem.replacen("MII", "AAA", 1);
        let two = format!("{}{garbled}", WEB.authority.pem);
        for (pem, expected) in [
            ("", TrustFault::NoAuthority),
            (WEB.ecdsa.key.as_str(), TrustFault::NoAuthority),
            (two.as_str(), TrustFault::BadAuthority { position: 2 }),
        ] {
            assert_eq!(Authorities::from_pem(pem.as_bytes()).err(), Some(expected));
        }
    }
}
