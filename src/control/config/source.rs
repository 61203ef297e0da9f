//! The text of a configuration file, and where in it an offset lies.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Problem;

/// A file of 10,000 instances takes about one megabyte. Beyond this, what was named is no configuration.
const LARGEST_FILE_BYTES: u64 = 64 << 20;

/// The text of a file and its name.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    line_starts: Vec<usize>,
}

/// A place in a text: line and column, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Source {
    /// `text` as the content of the file at `path`. A byte order mark at its beginning is no part of it.
    pub fn new(path: &Path, mut text: String) -> Self {
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { path: path.to_owned(), text, line_starts }
    }

    /// `bytes` as a text, and a problem at the first byte that is not UTF-8, which TOML must be.
    pub(super) fn from_bytes(path: &Path, bytes: Vec<u8>) -> (Self, Vec<Problem>) {
        match String::from_utf8(bytes) {
            Ok(text) => (Self::new(path, text), Vec::new()),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let lossy = Self::new(path, String::from_utf8_lossy(error.as_bytes()).into_owned());
                (lossy, vec![Problem::error(at..at + 1, "", "the file is not UTF-8 text")])
            }
        }
    }

    /// The name of the file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The directory that relative paths in the file relate to; absolute, so that what is printed holds anywhere.
    pub fn directory(&self) -> PathBuf {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        std::path::absolute(here).unwrap_or_else(|_| here.to_owned())
    }

    /// Where the byte at `offset` stands; the end of the text for an offset beyond it.
    pub fn position(&self, offset: usize) -> Position {
        let (line, start) = self.line_of(offset);
        let before = &self.text[start..self.text.floor_char_boundary(offset)];
        let characters = before.chars().count();
        Position { line, column: characters + 1 }
    }

    /// The line in which `offset` lies, without its end.
    pub fn line(&self, offset: usize) -> &str {
        let (line, start) = self.line_of(offset);
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// How many bytes into its line `offset` lies.
    pub(super) fn offset_in_line(&self, offset: usize) -> usize {
        offset - self.line_of(offset).1
    }

    /// The number of the line, from 1, and the offset at which it starts.
    fn line_of(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        (line, self.line_starts.get(line - 1).copied().unwrap_or(0))
    }
}

/// The bytes of the file at `path`, at most [`LARGEST_FILE_BYTES`].
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("elbow.toml"), text.to_owned())
    }

    #[test]
    fn positions_count_characters_from_one() {
        let source = source("ab\nçd = 1\r\n\nx");
        for (offset, line, column, text) in [
            (0, 1, 1, "ab"),
            (2, 1, 3, "ab"),
            (3, 2, 1, "çd = 1"),
            (5, 2, 2, "çd = 1"),
            (13, 4, 1, "x"),
            (99, 4, 2, "x"),
        ] {
            assert_eq!((source.position(offset), source.line(offset)), (Position { line, column }, text), "{offset}");
        }
    }

    #[test]
    fn an_empty_text_has_a_first_line() {
        assert_eq!(source("").position(0), Position { line: 1, column: 1 });
        assert_eq!(source("").line(0), "");
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        assert_eq!(source("\u{feff}a = 1").text(), "a = 1");
    }

    #[test]
    fn what_is_not_utf_8_is_said_with_its_place() {
        let (source, problems) = Source::from_bytes(Path::new("x"), b"a = 1\nb = \"\xff\"\n".to_vec());
        assert_eq!(source.position(problems[0].span().start), Position { line: 2, column: 6 });
    }
}
