//! Files that hold a secret, alone.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Bytes of a secret; AWS's have 40.
const LENGTH_MAX: u64 = 1_024;

/// The secret in the file at `path`. White space around it does not belong to it.
///
/// # Errors
///
/// The file cannot be read, is empty or too long, or others than its owner may read or write it.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let mut text = String::new();
    open(path)?.take(LENGTH_MAX + 1).read_to_string(&mut text)?;
    match text.trim() {
        "" => refuse("empty".to_owned()),
        _ if text.len() as u64 > LENGTH_MAX => refuse(format!("longer than {LENGTH_MAX} bytes")),
        secret => Ok(secret.to_owned()),
    }
}

/// The file at `path`, to be read.
///
/// # Errors
///
/// It cannot be read, or others than its owner may read or write it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    // Looked at before it is opened: to open a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return refuse("not a regular file".to_owned());
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return refuse(format!("mode {mode:04o} lets others than its owner (uid {}) in: chmod 600", metadata.uid()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read_with(content: &[u8], mode: u32) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_read_without_the_space_around_it() {
        assert_eq!(read_with(b" s3cret/+\n", 0o600).as_deref(), Ok("s3cret/+"));
        assert_eq!(read_with(b"s3cret", 0o400).as_deref(), Ok("s3cret"));
    }

    #[test]
    fn a_secret_that_others_see_or_that_is_none_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            let error = read_with(b"s3cret", mode).unwrap_err();
            assert!(error.starts_with(&format!("mode {mode:04o} lets others")), "{error}");
        }
        assert_eq!(read_with(b"\n", 0o600).unwrap_err(), "empty");
        assert_eq!(read_with(&[b'a'; 1_025], 0o600).unwrap_err(), "longer than 1024 bytes");
        assert!(read_with(b"\xff", 0o600).is_err());
        assert!(read(Path::new("/")).is_err() && read(Path::new("/nonexistent")).is_err());
    }
}
