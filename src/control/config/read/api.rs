//! `[api]`.

use std::collections::HashSet;

use super::super::section::{FileRole, Section};
use crate::model::{AccessKey, ApiSettings, Region};

/// The settings of the ELB API.
pub(super) fn read(mut section: Section<'_>) -> ApiSettings {
    let address = section.read_or("address", ApiSettings::DEFAULT_ADDRESS);
    let region = section.read_or("region", Region::default());
    let mut ids = HashSet::new();
    let mut access_keys = Vec::new();
    for mut table in section.tables("access_keys") {
        let (id, secret_file) = (table.require("id"), table.require_file("secret_file", FileRole::Input));
        if let (Some(id), Some(secret_file)) = (id, secret_file) {
            let key = AccessKey { id, secret_file };
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
    section.finish();
    ApiSettings { address, region, access_keys }
}
