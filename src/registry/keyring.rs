//! What secure listeners need beside their configuration, as it was last read from its files: certificates and their
//! keys, the authorities that others' certificates must come from, and the keys of session tickets.
//!
//! Reads files and remembers which state of them it has read; when to look again is its caller's to know.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::hash::Hash;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{CertificateFiles, Configuration, Listener};
use crate::tls::{Authorities, Certificate, CertificateFault, TicketFault, TicketRing, TrustFault, WallClock};

/// No certificate chain and no bundle of authorities comes near this; a wrong path might lead to a log or a disk image.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What secure listeners need beside their configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keyring {
    certificates: HashMap<CertificateFiles, Held<Certificate>>,
    authorities: HashMap<PathBuf, Held<Authorities>>,
    tickets: Tickets,
}

/// What came from files.
#[derive(Debug, Clone)]
struct Held<T> {
    value: T,
    /// The files as they were when they were last looked into.
    seen: Vec<FileState>,
    /// Whether the value is what they held then; else they were no good.
    is_theirs: bool,
}

/// The ticket keys, and the secret that they are derived from; without one they are random.
#[derive(Clone)]
struct Tickets {
    ring: Arc<TicketRing>,
    secret: Option<Vec<u8>>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    Missing,
    There { device: u64, inode: u64, length: u64, modified: (i64, i64) },
}

/// What became of files that had changed.
#[derive(Debug)]
pub enum Refreshed {
    /// New connections are shown this certificate.
    Replaced(CertificateFiles, Certificate),
    /// The files are no good: the certificate before stays.
    Kept(CertificateFiles, KeyFileError),
    /// New connections go by the authorities in this file.
    AuthoritiesReplaced(PathBuf),
    /// The file is no good: the authorities before stay.
    AuthoritiesKept(PathBuf, KeyFileError),
}

impl Refreshed {
    /// Whether something has changed for new connections.
    pub(super) fn is_news(&self) -> bool {
        matches!(self, Self::Replaced(..) | Self::AuthoritiesReplaced(_))
    }
}

impl Keyring {
    /// A keyring with ticket keys and nothing else.
    pub fn new(tickets: Arc<TicketRing>) -> Keyring {
        let tickets = Tickets { ring: tickets, secret: None };
        Keyring { certificates: HashMap::new(), authorities: HashMap::new(), tickets }
    }

    /// A keyring with exactly what `configuration` names; what is held already and whose files have not changed is not
    /// read again. The ticket keys stay unless their secret is another one.
    ///
    /// # Errors
    /// All files that are no good.
    pub fn for_configuration(&self, configuration: &Configuration) -> Result<Keyring, Vec<KeyringError>> {
        let listeners = || configuration.load_balancers.values().flat_map(|balancer| &balancer.listeners);
        let mut errors = Vec::new();
        let certificates = collected(
            listeners().flat_map(|listener| &listener.certificates),
            |files| hold(self.certificates.get(files), states(files), || read_certificate(files)),
            |files, error| errors.push(KeyringError { path: files.chain, error }),
        );
        let authorities = collected(
            listeners().flat_map(ca_files),
            |path| hold(self.authorities.get(path), vec![state(path)], || read_authorities(path)),
            |path, error| errors.push(KeyringError { path, error }),
        );
        let path = configuration.node.ticket_key_file.as_deref();
        match self.tickets.following(path) {
            Ok(tickets) if errors.is_empty() => Ok(Keyring { certificates, authorities, tickets }),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(KeyringError { path: path.unwrap_or(Path::new("")).to_owned(), error });
                Err(errors)
            }
        }
    }

    /// Reads again what has changed since it was last looked into. Each change is told once.
    pub fn refresh(&mut self) -> Vec<Refreshed> {
        let certificates = self.certificates.iter_mut().filter_map(|(files, held)| {
            let read = held.refresh(states(files), || read_certificate(files))?;
            Some(match read {
                Ok(certificate) => Refreshed::Replaced(files.clone(), certificate),
                Err(error) => Refreshed::Kept(files.clone(), error),
            })
        });
        let authorities = self.authorities.iter_mut().filter_map(|(path, held)| {
            let read = held.refresh(vec![state(path)], || read_authorities(path))?;
            Some(match read {
                Ok(_) => Refreshed::AuthoritiesReplaced(path.clone()),
                Err(error) => Refreshed::AuthoritiesKept(path.clone(), error),
            })
        });
        certificates.chain(authorities).collect()
    }

    /// The certificate in these files, if they are held.
    pub(super) fn certificate(&self, files: &CertificateFiles) -> Option<&Certificate> {
        self.certificates.get(files).map(|held| &held.value)
    }

    /// The authorities in this file, if it is held.
    pub(super) fn authorities(&self, path: &Path) -> Option<&Authorities> {
        self.authorities.get(path).map(|held| &held.value)
    }

    pub(super) fn tickets(&self) -> &Arc<TicketRing> {
        &self.tickets.ring
    }
}

impl<T: Clone> Held<T> {
    /// Takes over what the files hold now, if they have changed and are good. Answers what was read.
    fn refresh<E>(&mut self, seen: Vec<FileState>, read: impl FnOnce() -> Result<T, E>) -> Option<Result<T, E>> {
        if self.seen == seen {
            return None;
        }
        self.seen = seen;
        let read = read();
        self.is_theirs = read.is_ok();
        if let Ok(value) = &read {
            self.value = value.clone();
        }
        Some(read)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tickets").field("ring", &self.ring).finish_non_exhaustive()
    }
}

impl Tickets {
    /// The keys that the secret in the file at `path` gives, or random ones; the same ones where they are so already.
    fn following(&self, path: Option<&Path>) -> Result<Tickets, KeyFileError> {
        let secret = path.map(read).transpose()?;
        if secret == self.secret {
            return Ok(self.clone());
        }
        let ring = match &secret {
            Some(secret) => TicketRing::fleet(secret, WallClock::System),
            None => TicketRing::random(WallClock::System),
        };
        Ok(Tickets { ring: Arc::new(ring.map_err(KeyFileError::Tickets)?), secret })
    }
}

/// The files of authorities that a listener names.
fn ca_files(listener: &Listener) -> impl Iterator<Item = &PathBuf> {
    let of_clients = listener.client_certificates.iter().map(|clients| &clients.ca_file);
    of_clients.chain(listener.instance_certificates.iter().map(|instances| &instances.ca_file))
}

/// Each of `names` once with what `hold` finds there.
fn collected<'a, K: Clone + Eq + Hash + 'a, T>(
    names: impl Iterator<Item = &'a K>,
    hold: impl Fn(&K) -> Result<Held<T>, KeyFileError>,
    mut fail: impl FnMut(K, KeyFileError),
) -> HashMap<K, Held<T>> {
    let mut found = HashMap::new();
    for name in names {
        if found.contains_key(name) {
            continue;
        }
        match hold(name) {
            Ok(held) => drop(found.insert(name.clone(), held)),
            Err(error) => fail(name.clone(), error),
        }
    }
    found
}

/// What is `known`, if the files are as they were then, else what they hold.
fn hold<T: Clone>(
    known: Option<&Held<T>>,
    seen: Vec<FileState>,
    read: impl FnOnce() -> Result<T, KeyFileError>,
) -> Result<Held<T>, KeyFileError> {
    match known.filter(|held| held.is_theirs && held.seen == seen) {
        Some(held) => Ok(held.clone()),
        None => Ok(Held { value: read()?, seen, is_theirs: true }),
    }
}

/// A file of keys or certificates that a configuration names and that is no good.
#[derive(Debug)]
pub struct KeyringError {
    /// Which; of a certificate, the file of its chain.
    pub path: PathBuf,
    /// Why.
    pub error: KeyFileError,
}

impl fmt::Display for KeyringError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.error {
            KeyFileError::Unreadable { .. } => self.error.fmt(formatter),
            KeyFileError::Certificate(fault) => write!(formatter, "certificate {path}: {fault}"),
            KeyFileError::Authorities(fault) => write!(formatter, "CA file {path}: {fault}"),
            KeyFileError::Tickets(fault) => write!(formatter, "session tickets, {path}: {fault}"),
        }
    }
}

/// Why a file of keys or certificates is no good.
#[derive(Debug)]
pub enum KeyFileError {
    /// It, or the one that belongs to it, cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It holds no good certificate.
    Certificate(CertificateFault),
    /// It holds no good authorities.
    Authorities(TrustFault),
    /// It makes no ticket keys.
    Tickets(TicketFault),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(formatter, "cannot read {}: {error}", path.display()),
            Self::Certificate(fault) => fault.fmt(formatter),
            Self::Authorities(fault) => fault.fmt(formatter),
            Self::Tickets(fault) => fault.fmt(formatter),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// Reads and checks a certificate chain and its key.
///
/// # Errors
/// Why they are no good.
pub fn read_certificate(files: &CertificateFiles) -> Result<Certificate, KeyFileError> {
    let (chain, key) = (read(&files.chain)?, read(&files.key)?);
    Certificate::from_pem(&chain, &key).map_err(KeyFileError::Certificate)
}

/// Reads and checks a file of authorities.
///
/// # Errors
/// Why it is no good.
pub fn read_authorities(path: &Path) -> Result<Authorities, KeyFileError> {
    Authorities::from_pem(&read(path)?).map_err(KeyFileError::Authorities)
}

/// Reads and checks a secret for session tickets.
///
/// # Errors
/// Why it is no good.
pub fn check_ticket_key(path: &Path) -> Result<(), KeyFileError> {
    TicketRing::fleet(&read(path)?, WallClock::System).map(drop).map_err(KeyFileError::Tickets)
}

fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let unreadable = |error| KeyFileError::Unreadable { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(unreadable(io::Error::other("not a regular file of at most 1 MiB")));
    }
    fs::read(path).map_err(unreadable)
}

fn states(files: &CertificateFiles) -> Vec<FileState> {
    vec![state(&files.chain), state(&files.key)]
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
