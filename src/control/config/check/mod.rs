//! Step 3: the draft as a whole. What must agree, which files are missing, what deserves a warning. None of these
//! changes anything; each answers a list of problems.

mod disagreements;
mod files;
mod secure;
mod warnings;

pub(super) use disagreements::disagreements;
pub(super) use files::files;
pub(super) use secure::secure;
pub(super) use warnings::warnings;
