//! The certificates and keys of secure listeners as they were last read from their files, and the process's ticket keys.
//!
//! Reads files and remembers which state of them it has read; when to look again is its caller's to know.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{CertificateFiles, Configuration};
use crate::tls::{Certificate, CertificateFault, TicketRing};

/// No certificate chain comes near this; a wrong path might lead to a log or a disk image.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What secure listeners need beside their configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keyring {
    certificates: HashMap<CertificateFiles, Held>,
    tickets: Arc<TicketRing>,
}

#[derive(Debug, Clone)]
struct Held {
    certificate: Certificate,
    /// The files as they were when they were last looked into.
    seen: [FileState; 2],
    /// Whether the certificate is what they held then; else they were no good.
    is_theirs: bool,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    Missing,
    There { device: u64, inode: u64, length: u64, modified: (i64, i64) },
}

/// What became of a pair of files that had changed.
#[derive(Debug)]
pub enum Refreshed {
    /// New connections are shown this one.
    Replaced(CertificateFiles, Certificate),
    /// The files are no good: the certificate before stays.
    Kept(CertificateFiles, CertificateError),
}

impl Keyring {
    /// A keyring without certificates.
    pub fn new(tickets: Arc<TicketRing>) -> Keyring {
        Keyring { certificates: HashMap::new(), tickets }
    }

    /// A keyring with exactly the certificates that `configuration` names; those that are held already and whose files
    /// have not changed are not read again.
    ///
    /// # Errors
    /// Every pair of files that is no good.
    pub fn for_configuration(
        &self,
        configuration: &Configuration,
    ) -> Result<Keyring, Vec<(CertificateFiles, CertificateError)>> {
        let mut next = Keyring::new(self.tickets.clone());
        let mut errors = Vec::new();
        let listeners = configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
        for files in listeners.flat_map(|listener| &listener.certificates) {
            if next.certificates.contains_key(files) {
                continue;
            }
            let seen = states(files);
            let held = self.certificates.get(files).filter(|held| held.is_theirs && held.seen == seen);
            let certificate = held.map_or_else(|| read_certificate(files), |held| Ok(held.certificate.clone()));
            match certificate {
                Ok(certificate) => {
                    drop(next.certificates.insert(files.clone(), Held { certificate, seen, is_theirs: true }))
                }
                Err(error) => errors.push((files.clone(), error)),
            }
        }
        if errors.is_empty() { Ok(next) } else { Err(errors) }
    }

    /// Reads again what has changed since it was last looked into. Each change is told once.
    pub fn refresh(&mut self) -> Vec<Refreshed> {
        let mut refreshed = Vec::new();
        for (files, held) in &mut self.certificates {
            let seen = states(files);
            if held.seen == seen {
                continue;
            }
            held.seen = seen;
            let read = read_certificate(files);
            held.is_theirs = read.is_ok();
            refreshed.push(match read {
                Ok(certificate) => {
                    held.certificate = certificate.clone();
                    Refreshed::Replaced(files.clone(), certificate)
                }
                Err(error) => Refreshed::Kept(files.clone(), error),
            });
        }
        refreshed
    }

    /// The certificate in these files, if they are held.
    pub(super) fn certificate(&self, files: &CertificateFiles) -> Option<&Certificate> {
        self.certificates.get(files).map(|held| &held.certificate)
    }

    pub(super) fn tickets(&self) -> &Arc<TicketRing> {
        &self.tickets
    }
}

/// Why a pair of files is no certificate.
#[derive(Debug)]
pub enum CertificateError {
    /// One of them cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What they hold is no good.
    Fault(CertificateFault),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(formatter, "cannot read {}: {error}", path.display()),
            Self::Fault(fault) => fault.fmt(formatter),
        }
    }
}

impl std::error::Error for CertificateError {}

/// Reads and checks a certificate chain and its key.
///
/// # Errors
/// Why they are no good.
pub fn read_certificate(files: &CertificateFiles) -> Result<Certificate, CertificateError> {
    let (chain, key) = (read(&files.chain)?, read(&files.key)?);
    Certificate::from_pem(&chain, &key).map_err(CertificateError::Fault)
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::Error::other("not a regular file of at most 1 MiB")));
    }
    fs::read(path).map_err(unreadable)
}

fn states(files: &CertificateFiles) -> [FileState; 2] {
    [state(&files.chain), state(&files.key)]
}

fn state(path: &Path) -> FileState {
    match fs::metadata(path) {
        Ok(metadata) => FileState::There {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        },
        Err(_) => FileState::Missing,
    }
}
