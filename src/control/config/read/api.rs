//! `[api]`.

use std::collections::HashSet;

use super::super::draft::ApiSpans;
use super::super::section::{FileRole, Section};
use super::certificate;
use crate::model::{Access, AccessKey, ApiSettings};

/// The settings of the ELB API, and where they stand.
pub(super) fn read(mut section: Section<'_>) -> (ApiSettings, ApiSpans) {
    let default = ApiSettings::new(access_keys(&mut section));
    let settings = ApiSettings {
        address: section.read_or("address", default.address),
        certificate: section.section("certificate").and_then(certificate::read),
        region: section.read_or("region", default.region),
        access_keys: default.access_keys,
        dns_suffix: section.read("dns_suffix"),
        internet_facing_address: section.read_or("internet_facing_address", default.internet_facing_address),
        internal_address: section.read_or("internal_address", default.internal_address),
    };
    let spans = ApiSpans { address: section.span_of("address"), certificate: section.span_of("certificate") };
    section.finish();
    (settings, spans)
}

fn access_keys(section: &mut Section<'_>) -> Vec<AccessKey> {
    let mut ids = HashSet::new();
    let mut access_keys = Vec::new();
    for mut table in section.tables("access_keys") {
        let (id, secret_file) = (table.require("id"), table.require_file("secret_file", FileRole::Secret));
        let access = table.read_or("access", Access::Full);
        if let (Some(id), Some(secret_file)) = (id, secret_file) {
            let key = AccessKey { id, secret_file, access };
            if !ids.insert(key.id.clone()) {
                table.refuse(table.span_of("id"), format!("id: access key {} is listed twice", key.id));
            }
            access_keys.push(key);
        }
        table.finish();
    }
    if section.len_of("access_keys") == 0 {
        let message = "access_keys: expected at least one, or nobody can call the API";
        section.refuse(section.span_of("access_keys"), message);
    }
    access_keys
}
