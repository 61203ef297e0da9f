//! `{ chain = "...", key = "..." }`.

use super::super::section::{FileRole, Section};
use crate::model::CertificateFiles;

/// The two files of a certificate.
pub(super) fn read(mut section: Section<'_>) -> Option<CertificateFiles> {
    let (chain, key) = (section.require_file("chain", FileRole::Input), section.require_file("key", FileRole::Input));
    section.finish();
    Some(CertificateFiles { chain: chain?, key: key? })
}
