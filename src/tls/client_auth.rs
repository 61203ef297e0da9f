//! Client certificates on a listener: whether to ask for one, and who the client then is.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate::Fingerprint;
use super::distinguished_name::distinguished_name;
use super::trust::{Authorities, TrustFault};

/// Whether a listener asks its clients for a certificate.
#[derive(Clone, Debug, Default)]
pub enum ClientAuth {
    /// No.
    #[default]
    Off,
    /// Yes, and one from these authorities makes the client known; without one it is anonymous.
    Optional(Authorities),
    /// Yes, and without one from these authorities the handshake fails.
    Required(Authorities),
}

impl ClientAuth {
    /// The verifier for the handshake; `None` when no certificate is asked for.
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TrustFault> {
        let builder = |authorities: &Authorities| {
            WebPkiClientVerifier::builder_with_provider(authorities.store().clone(), provider.clone())
        };
        let verifier = match self {
            Self::Off => return Ok(None),
            Self::Optional(authorities) => builder(authorities).allow_unauthenticated().build(),
            Self::Required(authorities) => builder(authorities).build(),
        };
        verifier.map(Some).map_err(|_| TrustFault::NoAuthority)
    }

    /// A digest that differs whenever clients are trusted differently: a resumed session is not verified again, so
    /// a ticket must not travel to a listener with other demands.
    pub(super) fn scope(&self) -> [u8; 32] {
        let (demand, authorities) = match self {
            Self::Off => (b"off".as_slice(), None),
            Self::Optional(authorities) => (b"optional".as_slice(), Some(authorities)),
            Self::Required(authorities) => (b"required".as_slice(), Some(authorities)),
        };
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(demand);
        for root in authorities.into_iter().flat_map(|authorities| &authorities.store().roots) {
            for part in [root.subject.as_ref(), root.subject_public_key_info.as_ref()] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
        }
        let mut scope = [0; 32];
        scope.copy_from_slice(context.finish().as_ref());
        scope
    }
}

/// Who a client proved to be, fit for header fields: printable ASCII only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate's subject (RFC 4514): `CN=web,O=Acme,C=US`.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The serial number in lower-case hex.
    pub serial: String,
    /// SHA-256 over the certificate's DER.
    pub fingerprint: Fingerprint,
}

impl ClientIdentity {
    /// Of a verified certificate; `None` if it cannot be parsed after all.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self {
            subject: distinguished_name(parsed.subject()),
            issuer: distinguished_name(parsed.issuer()),
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            fingerprint: Fingerprint::of(certificate),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::*;
    use crate::tls::{Alpn, BackendTrust, TlsFault, TlsPolicy};
    use rcgen::PKCS_ECDSA_P256_SHA256;

    /// Towards our own listener, as a client that has these files, or none.
    fn client_with(files: Option<&Files>) -> crate::tls::ClientTls {
        let mut tls = client(&BackendTrust::Anyone, None, Alpn::Off);
        if let Some(files) = files {
            let key = files.load().key().clone();
            let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
            Arc::make_mut(&mut tls.config).client_auth_cert_resolver = resolver;
        }
        tls
    }

    #[test]
    fn a_client_is_known_by_its_certificate_also_when_it_comes_back() {
        let authority = TestAuthority::new("Staff");
        let alice = authority.issue(&["alice"], &PKCS_ECDSA_P256_SHA256);
        let stranger = TestAuthority::new("Strangers").issue(&["alice"], &PKCS_ECDSA_P256_SHA256);
        let optional = ClientAuth::Optional(authority.authorities());
        let required = ClientAuth::Required(authority.authorities());
        let cases = [
            (&ClientAuth::Off, Some(&alice), Ok(None)),
            (&optional, Some(&alice), Ok(Some("CN=alice"))),
            (&optional, None, Ok(None)),
            (&optional, Some(&stranger), Err(TlsFault::CertificateUntrusted)),
            (&required, Some(&alice), Ok(Some("CN=alice"))),
            (&required, None, Err(TlsFault::CertificateMissing)),
            (&required, Some(&stranger), Err(TlsFault::CertificateUntrusted)),
        ];
        for policy_name in ["ELBSecurityPolicy-TLS-1-2-2017-01", TlsPolicy::ELBOW_TLS_1_3] {
            for (client_auth, files, expected) in &cases {
                let client_auth = (*client_auth).clone();
                let server = Server { policy: policy(policy_name), client_auth, ..Server::default() }.tls();
                let client = client_with(*files);
                for resumed in [false, true] {
                    let result = connect(&server, &client).map(|(server, _)| {
                        assert_eq!(server.session.is_resumed(), resumed);
                        server.session.client_identity()
                    });
                    let subject = result.as_ref().map(|identity| identity.as_ref().map(|who| who.subject.as_str()));
                    assert_eq!(subject, expected.as_ref().map(|subject| *subject));
                    if let Ok(Some(identity)) = result {
                        assert_eq!(identity.issuer, "CN=Staff");
                        assert_eq!(identity.fingerprint, alice.load().fingerprint());
                        assert_eq!(identity.fingerprint.to_string().len(), 64);
                    }
                }
            }
        }
    }

    #[test]
    fn scopes_differ_where_demands_do() {
        let (staff, others) = (TestAuthority::new("Staff").authorities(), TestAuthority::new("Staff").authorities());
        let demands = [
            ClientAuth::Off,
            ClientAuth::Optional(staff.clone()),
            ClientAuth::Required(staff.clone()),
            ClientAuth::Required(others),
        ];
        for (index, demand) in demands.iter().enumerate() {
            for (other_index, other) in demands.iter().enumerate() {
                assert_eq!(demand.scope() == other.scope(), index == other_index);
            }
        }
    }
}
