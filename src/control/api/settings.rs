//! How ELB's words map onto this installation: what the operator says about the API beside its address and its keys.

use crate::model::{ApiSettings, HostName, Invalid, Node, Region};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The region in credential scopes and ARNs.
    pub region: Region,
    /// Whose load balancers these are, in ARNs and in paths of access logs.
    pub account: AccountId,
    /// What the DNS names of load balancers end in; `None`: the region and `elb.internal`.
    pub dns_suffix: Option<HostName>,
    /// Where listeners of `internet-facing` load balancers are.
    pub internet_facing_address: IpAddr,
    /// Where listeners of `internal` load balancers are.
    pub internal_address: IpAddr,
    /// The directory whose folders stand for S3 buckets.
    pub bucket_directory: PathBuf,
    /// How much there may be.
    pub limits: AccountLimits,
}

impl Settings {
    /// The settings of `api` on `node`. What they do not say: access logs lie beside the state; limits are ELB's.
    pub fn new(api: &ApiSettings, node: &Node) -> Self {
        Self {
            region: api.region.clone(),
            account: AccountId::default(),
            dns_suffix: api.dns_suffix.clone(),
            internet_facing_address: api.internet_facing_address,
            internal_address: api.internal_address,
            bucket_directory: node.state_dir.join("buckets"),
            limits: AccountLimits::default(),
        }
    }
}

/// An account: twelve digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// `text` as an account.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new("an account is twelve digits"))
    }
}

/// Nobody's at AWS.
impl Default for AccountId {
    fn default() -> Self {
        Self("000000000000".into())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How much the callers of the API may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// Load balancers.
    pub load_balancers: usize,
    /// Listeners of one load balancer.
    pub listeners: usize,
    /// Instances of one load balancer.
    pub instances: usize,
}

/// ELB's.
impl Default for AccountLimits {
    fn default() -> Self {
        Self { load_balancers: 20, listeners: 100, instances: 1_000 }
    }
}
