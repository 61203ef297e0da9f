//! Files that the configuration names must be there and readable, or a start or a reload would fail on them later.

use std::fs::{self, File};
use std::path::Path;

use super::super::Problem;
use super::super::section::{FileRole, MentionedFile};
use crate::control::secret;
use crate::registry::check_ticket_key;

/// An error for every file that cannot be read or is no secret, a warning for every file to be written whose directory
/// is not there.
pub(in super::super) fn files(files: &[MentionedFile]) -> Vec<Problem> {
    files.iter().filter_map(problem).collect()
}

fn problem(file: &MentionedFile) -> Option<Problem> {
    let MentionedFile { path, span, object, key, role } = file;
    match role {
        FileRole::Input => {
            let why = unreadable(path)?;
            let message = format!("{key}: cannot read {}: {why}", path.display());
            Some(Problem::error(span.clone(), object.as_str(), message))
        }
        FileRole::Secret => {
            let why = secret::read(path).err()?;
            let message = format!("{key}: {}: {why}", path.display());
            Some(Problem::error(span.clone(), object.as_str(), message))
        }
        FileRole::TicketKey => {
            let why = why_no_ticket_key(path)?;
            Some(Problem::error(span.clone(), object.as_str(), format!("{key}: {}: {why}", path.display())))
        }
        FileRole::Written => {
            let directory = path.parent().filter(|directory| !directory.is_dir())?;
            let message = format!("{key}: the directory {} does not exist", directory.display());
            Some(Problem::warning(span.clone(), object.as_str(), message))
        }
    }
}

fn why_no_ticket_key(path: &Path) -> Option<String> {
    match (secret::open(path), check_ticket_key(path)) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(_), Err(error)) => Some(error.to_string()),
        (Ok(_), Ok(())) => None,
    }
}

/// Why the file cannot be read. It is looked at before it is opened: to open a pipe would wait for its writer.
fn unreadable(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(error.to_string()),
        Ok(metadata) if !metadata.is_file() => Some("not a regular file".to_owned()),
        Ok(_) => File::open(path).err().map(|error| error.to_string()),
    }
}
