//! Who may call: access keys, their secrets, and what each may do.

use crate::control::secret;
use crate::model::{Access, AccessKey, AccessKeyId};
use std::collections::BTreeMap;
use std::io;

/// The keys of everyone who may call, at least one.
pub struct KeyRing(BTreeMap<AccessKeyId, Key>);

/// What is known of one caller.
pub(super) struct Key {
    pub(super) access: Access,
    /// `AWS4` and the secret: what signing keys are derived from.
    pub(super) seed: Vec<u8>,
}

impl KeyRing {
    /// Reads the secrets.
    ///
    /// # Errors
    ///
    /// No key at all, a file that cannot be read, is empty or too long, or that others than its owner may read or
    /// write. The message names the file.
    pub fn load(keys: &[AccessKey]) -> io::Result<Self> {
        if keys.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no access key, so nobody could call the API"));
        }
        let load = |AccessKey { id, secret_file, access }: &AccessKey| {
            let secret = secret::read(secret_file).map_err(|error| {
                io::Error::new(error.kind(), format!("secret of access key {id} in {}: {error}", secret_file.display()))
            })?;
            Ok((id.clone(), Key { access: *access, seed: format!("AWS4{secret}").into_bytes() }))
        };
        keys.iter().map(load).collect::<io::Result<_>>().map(Self)
    }

    pub(super) fn get(&self, id: &str) -> Option<(&AccessKeyId, &Key)> {
        self.0.get_key_value(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_keys_or_files_there_is_no_ring() {
        assert!(KeyRing::load(&[]).is_err());
        let id = AccessKeyId::new("LOCALKEY").unwrap();
        let key = AccessKey { id, secret_file: "/nonexistent".into(), access: Access::ReadOnly };
        let error = KeyRing::load(&[key]).map(drop).unwrap_err().to_string();
        assert!(error.starts_with("secret of access key LOCALKEY in /nonexistent: "), "{error}");
    }
}
