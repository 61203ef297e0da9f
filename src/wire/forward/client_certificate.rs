//! What instances are told of a client's certificate.
//!
//! Two families of names, as nobody has standardised subject and fingerprint: those of AWS's application load balancer,
//! whose words Elbow's users know, for the parts of the certificate; and Envoy's `X-Forwarded-Client-Cert`, which
//! frameworks read, for the fingerprint, for which AWS has no name. What clients say under these names is never passed
//! on ([`FieldName::ClientCertificate`](crate::wire::head::FieldName)), whether a listener asks for certificates or not.

/// A client's certificate, verified. Printable ASCII only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject (RFC 4514).
    pub subject: String,
    /// Its issuer, likewise.
    pub issuer: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// SHA-256 over its DER in hexadecimal.
    pub fingerprint: String,
}

impl ClientCertificate {
    /// Hands the fields that tell of it to `visit`.
    pub(super) fn visit(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        visit(b"X-Amzn-Mtls-Clientcert-Subject", self.subject.as_bytes());
        visit(b"X-Amzn-Mtls-Clientcert-Issuer", self.issuer.as_bytes());
        visit(b"X-Amzn-Mtls-Clientcert-Serial-Number", self.serial.as_bytes());
        // Quotes and backslashes inside the subject are escaped by RFC 4514's rules already.
        let both = format!("Hash={};Subject=\"{}\"", self.fingerprint, self.subject);
        visit(b"X-Forwarded-Client-Cert", both.as_bytes());
    }
}
