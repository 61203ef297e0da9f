//! `{ chain = "...", key = "..." }`, and what is asked of the certificates of others.

use super::super::section::{FileRole, Section};
use crate::model::{CertificateFiles, ClientCertificates, InstanceCertificates};

/// The two files of a certificate.
pub(super) fn read(mut section: Section<'_>) -> Option<CertificateFiles> {
    let (chain, key) = (section.require_file("chain", FileRole::Input), section.require_file("key", FileRole::Input));
    section.finish();
    Some(CertificateFiles { chain: chain?, key: key? })
}

/// `{ verify = "...", ca_file = "..." }`
pub(super) fn of_clients(mut section: Section<'_>) -> Option<ClientCertificates> {
    let (verify, ca_file) = (section.require("verify"), section.require_file("ca_file", FileRole::Input));
    section.finish();
    Some(ClientCertificates { verify: verify?, ca_file: ca_file? })
}

/// `{ ca_file = "...", server_name = "..." }`
pub(super) fn of_instances(mut section: Section<'_>) -> Option<InstanceCertificates> {
    let (ca_file, server_name) = (section.require_file("ca_file", FileRole::Input), section.read("server_name"));
    section.finish();
    Some(InstanceCertificates { ca_file: ca_file?, server_name })
}
