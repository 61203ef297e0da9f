//! Certificates made on the spot.

use super::openssl;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An authority and a folder with what it has issued.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate chain and its key, PEM files.
#[derive(Debug, Clone)]
pub struct CertificatePaths {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        Authority::named("End-to-end Authority")
    }

    pub fn named(name: &str) -> Authority {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("a file");
        Authority { issuer: Issuer::new(parameters, key), folder }
    }

    /// Its own certificate, for clients that verify.
    pub fn path(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for `name`, written to files called `file`.
    pub fn issue(&self, file: &str, name: &str, kind: &'static SignatureAlgorithm) -> CertificatePaths {
        let mut parameters = CertificateParams::new(vec![name.to_string()]).expect("a good name");
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(kind).expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = self.folder.path().join(format!("{file}.crt"));
        let paths = CertificatePaths { key: chain.with_extension("key"), chain };
        std::fs::write(&paths.chain, certificate.pem()).expect("a file");
        std::fs::write(&paths.key, key.serialize_pem()).expect("a file");
        paths
    }
}

impl CertificatePaths {
    /// As an element of `certificates` in a configuration file.
    pub fn text(&self) -> String {
        format!("{{ chain = {:?}, key = {:?} }}", self.chain.display().to_string(), self.key.display().to_string())
    }
}

/// SHA-256 over the DER of a certificate, as openssl computes it.
pub fn fingerprint_of_certificate(certificate: &CertificatePaths) -> String {
    let chain = certificate.chain.display().to_string();
    let told = openssl(&["x509", "-in", &chain, "-noout", "-fingerprint", "-sha256"], "");
    let hex = told.trim().rsplit('=').next().unwrap_or_default();
    hex.replace(':', "").to_ascii_lowercase()
}
