//! What only the API knows of a load balancer: the names that were given for things, where the model has the things
//! themselves, and what has no meaning beyond being asked for again.

use super::Surroundings;
use super::bucket::{Bucket, BucketPrefix, EmitInterval};
use super::tag::{TagKey, TagValue};
use crate::control::api::policy;
use crate::model::{CertificateFiles, LoadBalancerParts, PolicyName, Port, PredefinedPolicy, ResourceName, Zone};
use ipnet::IpNet;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The API's side of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// When it was created.
    pub created: Timestamp,
    /// Who may reach it.
    pub scheme: Scheme,
    /// The attached subnets, no two of one zone, with the zones they stand for.
    pub subnets: BTreeMap<ResourceName, Zone>,
    /// The security groups, in the order they were named, with the clients they allow. Without any, the access rules
    /// of listeners are left alone.
    pub security_groups: Vec<(ResourceName, Vec<IpNet>)>,
    /// The ARNs of listeners' certificates, as they were given, by the listener's port.
    pub certificates: BTreeMap<Port, String>,
    /// The policies in the order of their creation, with the predefined ones that were ever attached.
    pub policies: Vec<PolicyFacts>,
    /// What was said about the access log.
    pub access_log: AccessLogFacts,
    /// Names and values that callers attach.
    pub tags: BTreeMap<TagKey, TagValue>,
}

/// Who may reach a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Everyone.
    InternetFacing,
    /// The private network.
    Internal,
}

impl Scheme {
    /// ELB's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InternetFacing => "internet-facing",
            Self::Internal => "internal",
        }
    }

    /// The scheme of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::InternetFacing, Self::Internal].into_iter().find(|scheme| scheme.as_str() == word)
    }
}

/// A policy as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFacts {
    /// Its name.
    pub name: PolicyName,
    /// Its attributes as they were sent; ELB gives them back unchanged. None of a predefined policy.
    pub attributes: Vec<(String, String)>,
}

/// The access log in ELB's words. What they say is kept while the log is off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessLogFacts {
    /// Whether it is written.
    pub enabled: bool,
    /// How often ELB would publish a file; `None`: never said. It is kept and changes nothing: a line is in the file at
    /// once.
    pub emit_interval: Option<EmitInterval>,
    /// Where it goes; `None`: never said, or to a path that the configuration file named.
    pub bucket: Option<Bucket>,
    /// Where in the bucket.
    pub prefix: Option<BucketPrefix>,
}

impl Facts {
    /// The facts of a load balancer that has just been created.
    pub fn new(created: Timestamp, scheme: Scheme) -> Self {
        Self {
            created,
            scheme,
            subnets: BTreeMap::new(),
            security_groups: Vec::new(),
            certificates: BTreeMap::new(),
            policies: Vec::new(),
            access_log: AccessLogFacts::default(),
            tags: BTreeMap::new(),
        }
    }

    /// What is shown of a load balancer of the configuration file, where the file has no word: created at the beginning
    /// of time, reachable by everyone.
    pub fn of_file(parts: &LoadBalancerParts, around: Surroundings<'_>) -> Self {
        let own = parts
            .policies
            .iter()
            .map(|(name, policy)| PolicyFacts { name: name.clone(), attributes: policy::attributes(policy) });
        let mut facts = Self { policies: own.collect(), ..Self::new(Timestamp::UNIX_EPOCH, Scheme::InternetFacing) };
        facts.access_log.enabled = parts.attributes.access_log.is_some();
        for listener in &parts.listeners {
            facts.note_predefined(&listener.policies);
            if let Some(files) = listener.certificates.first() {
                facts.certificates.insert(listener.port, arn_of_file(parts, listener.port, files, around));
            }
        }
        facts
    }

    /// Adds the predefined policies among `names`: one that was ever attached stays listed.
    pub fn note_predefined(&mut self, names: &[PolicyName]) {
        for name in names {
            let known = self.policies.iter().any(|policy| policy.name == *name);
            if !known && PredefinedPolicy::from_name(name.as_str()).is_some() {
                self.policies.push(PolicyFacts { name: name.clone(), attributes: Vec::new() });
            }
        }
    }
}

/// The ARN of a certificate that the configuration file names: the one by which callers can name it, else one that only
/// says where it is used.
fn arn_of_file(parts: &LoadBalancerParts, port: Port, files: &CertificateFiles, around: Surroundings<'_>) -> String {
    let known = around.inventory.certificates.iter().find(|(_, known)| *known == files);
    let resource = known.map_or_else(|| format!("file/{}-{port}", parts.name), |(name, _)| name.to_string());
    format!("arn:aws:iam::{}:server-certificate/{resource}", around.settings.account)
}
