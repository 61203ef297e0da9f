//! One file of an access log: how far it has grown, when it is put aside, and what is kept of those before it.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_uring::fs::{File, OpenOptions, StatxBuilder, rename};

use crate::model::Rotation;

/// Owner and group may read: requests are private.
const MODE: u32 = 0o640;

/// An open file that lines are appended to.
pub(super) struct LogFile {
    file: File,
    /// Which file it is, whatever it is called by now: device and inode.
    identity: (u32, u32, u64),
    size: u64,
    /// When it was last written to, before it was opened; else when it was opened.
    begun: SystemTime,
}

impl LogFile {
    /// Opens the file at `path`, or makes it.
    pub async fn open(path: &Path) -> io::Result<LogFile> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(MODE).open(path).await?;
        let facts = file.statx().await?;
        let written = Duration::from_secs(u64::try_from(facts.stx_mtime.tv_sec).unwrap_or(0));
        Ok(LogFile {
            file,
            identity: (facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino),
            size: facts.stx_size,
            begun: if facts.stx_size > 0 { UNIX_EPOCH + written } else { SystemTime::now() },
        })
    }

    /// Appends whole lines.
    pub async fn append(&mut self, lines: Vec<u8>) -> io::Result<()> {
        let length = lines.len() as u64;
        // The file is opened to append: the offset means nothing (open(2), O_APPEND).
        self.file.write_all_at(lines, 0).await.0?;
        self.size += length;
        Ok(())
    }

    /// Whether it is to be put aside at `now`. An empty one never is.
    pub fn is_due(&self, rotation: &Rotation, now: SystemTime) -> bool {
        let has_grown = rotation.size.is_some_and(|size| self.size >= size.get().into());
        let is_of_before = rotation.interval.is_some_and(|interval| {
            let period = |at: SystemTime| {
                at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() / u128::from(interval.as_ms())
            };
            period(self.begun) != period(now)
        });
        self.size > 0 && (has_grown || is_of_before)
    }

    /// Gives the file at `path` the name `path.1`, and each that was put aside before the next number; the one with the
    /// number `keep` is overwritten. Nothing is renamed when the file at `path` is not this one any more, because
    /// somebody else has put this one aside.
    pub async fn put_aside(&self, path: &Path, keep: u32) -> io::Result<()> {
        let facts = StatxBuilder::new().pathname(path)?.statx().await;
        match facts {
            Ok(facts) if (facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino) == self.identity => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        for number in (1..keep).rev() {
            match rename(numbered(path, number), numbered(path, number + 1)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        rename(path, numbered(path, 1)).await
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Count, Seconds};

    /// What the log and the files put aside hold, as far as they are there.
    fn files(path: &Path) -> Vec<String> {
        let all = std::iter::once(path.to_owned()).chain((1..5).map(|number| numbered(path, number)));
        all.map_while(|path| std::fs::read_to_string(path).ok()).collect()
    }

    #[test]
    fn files_move_up_by_one_and_the_last_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        tokio_uring::start(async {
            for text in ["one", "two", "three", "four"] {
                let mut file = LogFile::open(&path).await.expect("opened");
                file.append(text.into()).await.expect("appended");
                file.put_aside(&path, 3).await.expect("renamed");
            }
            let _ = LogFile::open(&path).await.expect("opened");
            assert_eq!(files(&path), ["", "four", "three", "two"]);
        });
    }

    #[test]
    fn a_file_that_somebody_else_has_put_aside_is_left_where_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        tokio_uring::start(async {
            let mut file = LogFile::open(&path).await.expect("opened");
            file.append(b"one".to_vec()).await.expect("appended");
            std::fs::rename(&path, numbered(&path, 1)).expect("renamed");
            file.put_aside(&path, 3).await.expect("nothing to do");
            std::fs::write(&path, "another's").expect("written");
            file.put_aside(&path, 3).await.expect("nothing to do");
            assert_eq!(files(&path), ["another's", "one"]);
        });
    }

    #[test]
    fn it_is_due_by_size_and_by_the_clock_and_never_empty() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.log");
        tokio_uring::start(async {
            let by_size = Rotation { size: Some(Count::of(4_096)), ..Rotation::default() };
            let hourly = Rotation { interval: Some(Seconds::of_ms(3_600_000)), ..Rotation::default() };
            let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
            let mut file = LogFile::open(&path).await.expect("opened");
            file.begun = at(2 * 3_600 - 1);
            assert!(!file.is_due(&hourly, at(2 * 3_600)), "it is empty");
            file.append(vec![b'x'; 4_095]).await.expect("appended");
            assert!(!file.is_due(&hourly, at(2 * 3_600 - 1)) && file.is_due(&hourly, at(2 * 3_600)));
            assert!(!file.is_due(&Rotation::default(), at(u32::MAX.into())) && !file.is_due(&by_size, at(0)));
            let mut file = LogFile::open(&path).await.expect("opened again");
            assert!(!file.is_due(&hourly, SystemTime::now()) && !file.is_due(&by_size, SystemTime::now()));
            assert!(file.is_due(&hourly, SystemTime::now() + Duration::from_secs(3_600)));
            file.append(b"x".to_vec()).await.expect("appended");
            assert!(file.is_due(&by_size, SystemTime::now()));
        });
    }
}
