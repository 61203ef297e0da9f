//! What ELB does when an access log is turned on: it looks whether the bucket is there and can be written.

use super::error::ApiError;
use super::settings::Settings;
use super::state::bucket::{self, Bucket};
use super::state::{Change, Record};
use crate::model::LoadBalancerName;
use std::fs;
use std::io;
use std::path::Path;

/// What is written to find out.
const TEST_FILE: &str = "ELBAccessLogTestFile";

/// Makes the folders of the access log that `change` turns on or moves, if it does so, and writes ELB's test file into
/// them. Waits for the disk.
///
/// # Errors
///
/// `InvalidConfigurationRequest` when the bucket's folder, which the operator makes, is not there or not writable.
pub(super) fn prepare(settings: &Settings, change: &Change) -> Result<(), ApiError> {
    let log = |record: &Record| record.attributes.access_log.clone();
    let (before, after) = (change.before.as_deref().and_then(log), change.after.as_deref());
    let Some(record) = after.filter(|record| log(record).is_some() && log(record) != before) else { return Ok(()) };
    let facts = &record.facts().access_log;
    let Some(name) = &facts.bucket else { return Ok(()) };
    let folder = bucket::account_folder(settings, name, facts.prefix.as_ref());
    open(settings, name, &folder, &record.name).map_err(|error| {
        tracing::warn!(bucket = %name, folder = %folder.display(), %error, "cannot write access logs to this bucket");
        ApiError::conflict(format!("Access Denied for bucket: {name}. Please check S3bucket permission"))
    })
}

fn open(settings: &Settings, bucket: &Bucket, folder: &Path, name: &LoadBalancerName) -> io::Result<()> {
    // Callers do not make buckets.
    if !settings.bucket_directory.join(bucket.as_str()).is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = bucket::log_file(settings, folder.to_owned(), name);
    fs::create_dir_all(file.parent().unwrap_or(folder))?;
    fs::write(folder.join(TEST_FILE), format!("Enable AccessLog for ELB: {name}\n"))
}
