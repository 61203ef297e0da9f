//! The configuration file: strict TOML in, a [`Configuration`] or every error at once out.
//!
//! The file is lowered in named steps, each in a file or folder of its own:
//!
//! 1. [`source`] holds the bytes and turns offsets into lines and columns; [`syntax`] parses them into a table of
//!    spanned values, recovering from errors so that the steps below still see the rest of the file.
//! 2. [`read`] lowers the table into a draft: values of the model, each checked on its own, and where each stands.
//! 3. [`check`] looks at the draft as a whole: what must agree, what is not supported yet, which files are
//!    missing, what deserves a warning.
//! 4. Without errors the draft becomes the configuration.
//!
//! Every step adds [`Problem`]s to one list; a [`Report`] shows them. [`effective`] is the way back: a
//! configuration as a file with every default filled in. [`flags`] is the third door: no file at all.
//!
//! Not here: what the words mean (`model`), loading certificates (`tls`), what a reload changes (`registry`).

mod check;
mod draft;
mod effective;
mod flags;
mod problem;
mod read;
mod report;
mod section;
mod source;
mod suggestion;
mod syntax;
mod value;

pub use effective::effective;
pub use flags::{Flags, ListenUrl, from_flags};
pub use problem::{Problem, Severity};
pub use report::{Paint, Report};
pub use source::{Position, Source};

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::model::Configuration;

/// A configuration and what is doubtful about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What the file says.
    pub configuration: Configuration,
    /// Warnings only; may be empty, must be shown.
    pub warnings: Report,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigErrors {
    /// The file could not be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is wrong: every error, and the warnings too.
    Invalid(Report),
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(formatter, "{}: cannot be read: {error}", path.display())
            }
            Self::Invalid(report) => report.fmt(formatter),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads and checks the file at `path`.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let bytes = source::read_file(path).map_err(|error| ConfigErrors::Unreadable { path: path.to_owned(), error })?;
    let (source, problems) = Source::from_bytes(path, bytes);
    lower(source, problems, check::NOT_YET).map_err(ConfigErrors::Invalid)
}

/// Checks `text` as if it stood in a file at `path`, to which relative paths in it relate.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Report> {
    lower(Source::new(path, text.to_owned()), Vec::new(), check::NOT_YET)
}

/// All steps, from a source to a configuration. Problems that were `found` before are reported with the others;
/// what is listed in `not_yet` is refused.
fn lower(source: Source, found: Vec<Problem>, not_yet: &[check::NotYet]) -> Result<Loaded, Report> {
    let (configuration, problems) = {
        let document = syntax::parse(&source);
        let reading = section::Reading::new(source.directory());
        let draft = read::draft(document.table(), &reading);
        let (mut problems, files) = reading.finish();
        if document.is_sound() {
            // What could not be read would only be warned of again, in other words.
            if problems.is_empty() {
                problems.extend(check::warnings(&draft));
            }
            problems.extend(check::unsupported(document.table(), not_yet));
            problems.extend(check::files(&files));
            problems.extend(check::disagreements(&draft));
        } else {
            problems = syntax::credible(problems, &document, &source);
        }
        problems.extend(found);
        problems.extend(document.into_problems());
        let is_good = !problems.iter().any(Problem::is_error);
        (is_good.then(|| draft.build()).flatten(), problems)
    };
    let report = Report::new(source, problems);
    match configuration {
        Some(configuration) => Ok(Loaded { configuration, warnings: report }),
        None => Err(report),
    }
}
