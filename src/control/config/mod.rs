//! The configuration file: strict TOML in, a [`Configuration`] or every error at once out.
//!
//! The file is lowered in named steps, each in a file or folder of its own:
//!
//! 1. `source` holds the bytes and turns offsets into lines and columns; `syntax` parses them into a table of
//!    spanned values, recovering from errors so that the steps below still see the rest of the file.
//! 2. `read` lowers the table into a draft: values of the model, each checked on its own, and where each stands.
//! 3. `check` looks at the draft as a whole: what must agree, which files are
//!    missing, what deserves a warning.
//! 4. Without errors the draft becomes the configuration.
//!
//! Every step adds [`Problem`]s to one list; a [`Report`] shows them. [`effective()`] is the way back: a
//! configuration as a file with every default filled in. [`from_flags`] is the third door: no file at all.
//!
//! Not here: what the words mean (`model`), loading certificates (`tls`), what a reload changes (`registry`).

mod check;
mod draft;
mod effective;
mod flags;
mod fragment;
mod problem;
mod read;
mod report;
mod section;
mod source;
mod suggestion;
mod syntax;
#[cfg(test)]
mod testing;
mod value;

pub use effective::effective;
pub use flags::{Flags, ListenUrl, from_flags};
pub use fragment::{parse_load_balancer, write_load_balancer};
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

impl ConfigErrors {
    /// The errors as JSON, in the form of [`Report::to_json`]; without a line if the file could not be read.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Invalid(report) => report.to_json(),
            Self::Unreadable { path, error } => {
                let message = format!("cannot be read: {error}");
                let problem = serde_json::json!({ "file": path.to_string_lossy(), "message": message });
                serde_json::json!({ "valid": false, "errors": [problem], "warnings": [] })
            }
        }
    }
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
    lower(source, problems, check::secure).map_err(ConfigErrors::Invalid)
}

/// Checks `text` as if it stood in a file at `path`, to which relative paths in it relate.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, Report> {
    lower(Source::new(path, text.to_owned()), Vec::new(), check::secure)
}

/// For tests: what `text` says, with what is refused because it is not there yet.
#[cfg(test)]
pub(in crate::control) fn for_tests(text: &str) -> Configuration {
    let source = Source::new(Path::new("/etc/elbow/elbow.toml"), text.to_owned());
    lower(source, Vec::new(), |_| Vec::new()).unwrap_or_else(|report| panic!("{report}")).configuration
}

/// All steps, from a source to a configuration. Problems that were `found` before are reported with the others;
/// `secure` looks into certificates and security policies.
fn lower(source: Source, found: Vec<Problem>, secure: fn(&draft::Draft) -> Vec<Problem>) -> Result<Loaded, Report> {
    let (configuration, problems) = {
        let document = syntax::parse(&source);
        let reading = section::Reading::new(source.directory());
        let draft = read::draft(document.table(), &reading);
        let (mut problems, files) = reading.finish();
        if document.is_sound() {
            // What could not be read would only be warned of again, in other words.
            if problems.is_empty() {
                problems.extend(check::warnings(&draft));
                problems.extend(secure(&draft));
            }
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

#[cfg(test)]
mod tests {
    use super::testing::{FULL_FILE, NAMED_FILES};
    use super::*;
    use crate::model::{Cipher, CustomPolicy, PredefinedPolicy, SecurityPolicy, TlsVersion};
    use std::os::unix::fs::PermissionsExt;

    /// A directory with everything that [`FULL_FILE`] reads, and the source of that file in it.
    fn full_file() -> (tempfile::TempDir, Source) {
        let directory = tempfile::tempdir().unwrap();
        for name in NAMED_FILES {
            let path = directory.path().join(name);
            std::fs::write(&path, "a secret of more than thirty-two bytes").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let source = Source::new(&directory.path().join("elbow.toml"), FULL_FILE.to_owned());
        (directory, source)
    }

    #[test]
    fn a_file_with_every_key_is_read_in_full() {
        let (directory, source) = full_file();
        let loaded = lower(source, Vec::new(), |_| Vec::new()).unwrap();
        let warnings: Vec<&str> = loaded.warnings.problems().iter().map(Problem::message).collect();
        assert_eq!(warnings, ["policy app is attached to nothing"]);
        let web = &loaded.configuration.load_balancers["web"];
        let own = directory.path().join("web.crt");
        assert_eq!(web.listeners[1].certificates[0].chain, own);
        let modern = SecurityPolicy::Predefined(PredefinedPolicy::PolicyTls12);
        assert_eq!(web.security_policy(&web.listeners[1]), modern);
        let ids: Vec<&str> = web.instances.iter().map(|instance| instance.id.as_str()).collect();
        assert_eq!(ids, ["10.0.0.11", "[2001:db8::1]:8081", "web-5.example:8080", "web-2"]);
        let exact = CustomPolicy::new(
            [TlsVersion::Tls12].into(),
            Cipher::from_name("ECDHE-RSA-AES128-GCM-SHA256").into_iter().collect(),
            true,
        );
        assert_eq!(web.security_policy(&web.listeners[2]), SecurityPolicy::Custom(exact.unwrap()));
    }

    #[test]
    fn an_empty_file_is_a_configuration_that_serves_nothing() {
        let loaded = parse("", Path::new("elbow.toml")).unwrap();
        assert!(loaded.configuration.load_balancers.is_empty());
        assert_eq!(loaded.warnings.counts(), (0, 1));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart_from_what_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let wrong = directory.path().join("wrong.toml");
        std::fs::write(&wrong, b"a = \"\xff\"").unwrap();
        assert!(matches!(load(&wrong), Err(ConfigErrors::Invalid(_))));
        assert!(matches!(load(directory.path()), Err(ConfigErrors::Unreadable { .. })));
        assert!(matches!(load(&directory.path().join("none")), Err(ConfigErrors::Unreadable { .. })));
    }
}
