//! S3 buckets: folders of a local directory. Bucket and prefix come from callers and become parts of a path, so they
//! cannot be anything that leads elsewhere.

use crate::control::api::settings::Settings;
use crate::model::{Invalid, LoadBalancerName};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The name of a bucket: S3's rule, so no slash, and no dot at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket(Arc<str>);

impl Bucket {
    /// `text` as a bucket.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = |byte: u8| edge(&byte) || byte == b'-' || byte == b'.';
        let edges = text.as_bytes().first().is_some_and(edge) && text.as_bytes().last().is_some_and(edge);
        if edges && (3..=63).contains(&text.len()) && text.bytes().all(inner) && !text.contains("..") {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new(format!("The bucket name '{text}' is not valid")))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Folders inside a bucket, without a slash at either end and without ELB's own `AWSLogs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPrefix(Arc<str>);

impl BucketPrefix {
    /// `text` as a prefix.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let folder = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(plain);
        if text.len() <= 256 && !text.contains("AWSLogs") && text.split('/').all(folder) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new(format!("The bucket prefix '{text}' is not valid")))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How often ELB publishes an access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmitInterval {
    /// Every five minutes.
    Five,
    /// Every hour: ELB's default.
    Sixty,
}

impl EmitInterval {
    /// The interval of so many minutes.
    pub fn new(minutes: i64) -> Result<Self, Invalid> {
        match minutes {
            5 => Ok(Self::Five),
            60 => Ok(Self::Sixty),
            _ => Err(Invalid::new("EmitInterval must be either 5 minutes or 60 minutes")),
        }
    }

    /// In minutes.
    pub const fn minutes(self) -> u8 {
        match self {
            Self::Five => 5,
            Self::Sixty => 60,
        }
    }
}

/// Where access logs under `prefix` of `bucket` lie: ELB's folders of an account.
pub fn account_folder(settings: &Settings, bucket: &Bucket, prefix: Option<&BucketPrefix>) -> PathBuf {
    let mut folder = settings.bucket_directory.join(bucket.as_str());
    folder.extend(prefix.map(BucketPrefix::as_str));
    folder.join("AWSLogs").join(settings.account.to_string())
}

/// The access log of a load balancer in [`account_folder`].
pub fn log_file(settings: &Settings, account_folder: PathBuf, name: &LoadBalancerName) -> PathBuf {
    account_folder.join("elasticloadbalancing").join(settings.region.as_str()).join(format!("{name}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_prefixes_lead_nowhere_else() {
        for good in ["my-logs", "logs.example.org", "abc", "0-9"] {
            assert!(Bucket::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "..", "...", "a..b", ".abc", "abc.", "a/b", "Abc", "a\0b", &"a".repeat(64)] {
            assert!(Bucket::new(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b.c/d_e", "prod-1"] {
            assert!(BucketPrefix::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "a/../b", ".", "..", "AWSLogs", "x/AWSLogs/y", "a b", "a\0"] {
            assert!(BucketPrefix::new(bad).is_err(), "{bad:?}");
        }
    }
}
