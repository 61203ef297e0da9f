//! Floor 1: the words of the domain, always valid. No I/O, no protocol bytes.
//!
//! A value of these types cannot be wrong on its own: ranges live in types ([`Count`], [`Seconds`], [`Port`]),
//! names check their spelling, and what must agree *between* values is checked where they come together, in
//! [`LoadBalancer::new`] and [`Configuration::new`], which answer every [`Conflict`] at once. The configuration file
//! and the ELB API are two doors to these same constructors; each door says a conflict in its own words.
//!
//! To change something, take it apart (`into_parts`), change the parts, build it again.
//!
//! Not here: reading files, DNS, whether an instance is healthy (`health`), what a cipher can do (`tls`).

mod address;
mod agreement;
mod api;
mod attributes;
mod bounded;
mod certificate;
mod configuration;
mod conflict;
mod fault;
mod health_check;
mod instance;
mod inventory;
mod keyword;
mod limits;
mod listener;
mod load_balancer;
mod name;
mod node;
mod outlier;
mod policy;
mod protocol;
mod security_policy;
mod tls_suite;

pub use address::{Endpoint, Host, HostName, Port};
pub use api::{Access, AccessKey, ApiSettings};
pub use attributes::{
    AccessLog, AccessLogFormat, Attributes, DesyncMitigation, Draining, Rotation, Routing, SlowStart,
};
pub use bounded::{Count, Seconds};
pub use certificate::CertificateFiles;
pub use configuration::{Configuration, ConfigurationParts, address_conflicts, addresses_overlap};
pub use conflict::{Conflict, Place};
pub use fault::{Fault, Phase, Reach, Reason, Side};
pub use health_check::{HealthCheck, HealthPath, HealthTarget, Interval, Threshold, Timeout};
pub use instance::{DEFAULT_WEIGHT, Instance, Weight};
pub use inventory::{Inventory, InventoryInstance};
pub use keyword::Keyword;
pub use limits::{TrafficLimits, Unlimited};
pub use listener::{ClientCertificates, ClientVerification, InstanceCertificates, InstanceHttp, Listener, UnknownName};
pub use load_balancer::{LoadBalancer, LoadBalancerParts};
pub use name::{AccessKeyId, CookieName, InstanceId, LoadBalancerName, PolicyName, Region, ResourceName, Zone};
pub use node::{AdminAddress, CoreList, Cores, Node};
pub use outlier::{EjectionCause, EjectionTime, FailuresInARow, OutlierDetection};
pub use policy::{Policy, PolicyType, ProxyProtocolVersion, PublicKey};
pub use protocol::{Layer, Protocol, ProtocolPair};
pub use security_policy::{Cipher, CustomPolicy, PredefinedPolicy, SecurityPolicy, TlsVersion};
pub use tls_suite::TlsSuite;

use std::borrow::Cow;
use std::fmt;

/// Why a text or a number is not the word it was meant to be. The message says what was expected, without a full
/// stop, so that a caller can put a place before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// An error with this message.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
