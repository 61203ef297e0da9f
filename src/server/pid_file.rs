//! The file that says which process is the node, for supervisors that want one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file while this process is the node. Dropping it removes the file, unless it names another process by then.
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file, instead of the one that a process before may have written. It is complete before it has its name.
    /// Where it cannot be written the log says so: it is no reason not to serve.
    pub(super) fn write(path: &Path) -> Option<PidFile> {
        match replace(path) {
            Ok(()) => Some(PidFile(path.to_owned())),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the pid file cannot be written");
                None
            }
        }
    }
}

fn replace(path: &Path) -> io::Result<()> {
    let unnamed = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&unnamed, own())?;
    fs::rename(&unnamed, path)
}

fn own() -> String {
    format!("{}\n", std::process::id())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.0).is_ok_and(|text| text == own()) {
            // Nobody is left to tell.
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_its_process_and_not_when_another_has_written_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("elbow.pid");
        fs::write(&path, "1\n").expect("written");
        let file = PidFile::write(&path).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), own());
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0, "no rests");
        let file = PidFile::write(&path).expect("written");
        fs::write(&path, "1\n").expect("written");
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("there"), "1\n");
        assert!(PidFile::write(&directory.path().join("none/elbow.pid")).is_none());
    }
}
