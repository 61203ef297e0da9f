//! Where a certificate lies on disk. Reading it is the `tls` room's work.

use std::path::PathBuf;

/// A certificate chain and its private key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateFiles {
    /// The certificate first, then the intermediates.
    pub chain: PathBuf,
    /// The private key of the first certificate.
    pub key: PathBuf,
}
