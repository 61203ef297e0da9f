//! Who may call: access keys, their secrets, and what each may do.

use crate::model::AccessKeyId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a secret; AWS's have 40.
const SECRET_MAX: u64 = 1_024;

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Operations that change nothing.
    ReadOnly,
}

/// An access key before its secret is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The public half.
    pub id: AccessKeyId,
    /// The file that holds the secret half, alone.
    pub secret_file: PathBuf,
    /// What its holder may do.
    pub access: Access,
}

/// The keys of everyone who may call, at least one.
pub struct KeyRing(BTreeMap<AccessKeyId, Key>);

/// What is known of one caller.
pub(super) struct Key {
    pub(super) access: Access,
    /// `AWS4` and the secret: what signing keys are derived from.
    pub(super) seed: Vec<u8>,
}

impl KeyRing {
    /// Reads the secrets. White space around a secret does not belong to it.
    ///
    /// # Errors
    ///
    /// No key at all, a file that cannot be read, is empty or too long, or that others than its owner may read or
    /// write. The message names the file.
    pub fn load(files: &[KeyFile]) -> io::Result<Self> {
        if files.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no access key, so nobody could call the API"));
        }
        let mut keys = BTreeMap::new();
        for KeyFile { id, secret_file, access } in files {
            let secret = read_secret(secret_file).map_err(|error| {
                io::Error::new(error.kind(), format!("secret of access key {id} in {}: {error}", secret_file.display()))
            })?;
            keys.insert(id.clone(), Key { access: *access, seed: format!("AWS4{secret}").into_bytes() });
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, id: &str) -> Option<(&AccessKeyId, &Key)> {
        self.0.get_key_value(id)
    }
}

fn read_secret(path: &Path) -> io::Result<String> {
    let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refuse("not a regular file".to_owned());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return refuse(format!("mode {mode:04o} lets others than its owner (uid {}) in: chmod 600", metadata.uid()));
    }
    let mut text = String::new();
    file.take(SECRET_MAX + 1).read_to_string(&mut text)?;
    match text.trim() {
        "" => refuse("empty".to_owned()),
        _ if text.len() as u64 > SECRET_MAX => refuse(format!("longer than {SECRET_MAX} bytes")),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(content: &[u8], mode: u32) -> Result<Vec<u8>, String> {
        let directory = tempfile::tempdir().unwrap();
        let secret_file = directory.path().join("secret");
        fs::write(&secret_file, content).unwrap();
        fs::set_permissions(&secret_file, fs::Permissions::from_mode(mode)).unwrap();
        let key = KeyFile { id: AccessKeyId::new("LOCALKEY").unwrap(), secret_file, access: Access::Full };
        let ring = KeyRing::load(&[key]).map_err(|error| error.to_string())?;
        Ok(ring.get("LOCALKEY").unwrap().1.seed.clone())
    }

    #[test]
    fn a_secret_is_read_without_the_space_around_it() {
        assert_eq!(load(b" s3cret/+\n", 0o600), Ok(b"AWS4s3cret/+".to_vec()));
        assert_eq!(load(b"s3cret", 0o400), Ok(b"AWS4s3cret".to_vec()));
    }

    #[test]
    fn a_secret_that_others_see_or_that_is_none_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            let error = load(b"s3cret", mode).unwrap_err();
            assert!(error.starts_with("secret of access key LOCALKEY in /"), "{error}");
            assert!(error.contains(&format!("mode {mode:04o} lets others")), "{error}");
        }
        assert!(load(b"\n", 0o600).unwrap_err().ends_with(": empty"));
        assert!(load(&[b'a'; 1_025], 0o600).unwrap_err().ends_with("longer than 1024 bytes"));
        assert!(load(b"\xff", 0o600).is_err());
    }

    #[test]
    fn without_keys_or_files_there_is_no_ring() {
        assert!(KeyRing::load(&[]).is_err());
        let id = AccessKeyId::new("LOCALKEY").unwrap();
        for path in ["/nonexistent", "/"] {
            let key = KeyFile { id: id.clone(), secret_file: path.into(), access: Access::ReadOnly };
            assert!(KeyRing::load(&[key]).is_err_and(|error| error.to_string().contains(path)), "{path}");
        }
    }
}
