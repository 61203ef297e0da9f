//! One load balancer as the API knows it: what the model says of it, and the facts that only the API has.

use super::bucket;
use super::facts::Facts;
use super::resources;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::settings::Settings;
use crate::model::{
    AccessLog, AccessLogFormat, Conflict, Inventory, LoadBalancer, LoadBalancerName, LoadBalancerParts, Zone,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::ops::Deref;

/// A load balancer whose parts agree. Its parts can be read as fields; to change it, take a [`Draft`], change that and
/// [settle](Record::settle) it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    content: Content,
    facts: Facts,
    origin: Origin,
}

/// Where a load balancer comes from, and so who may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file; the API shows it.
    File,
    /// A call of the API.
    Api,
    /// The configuration file once; the API took it over. What the file says of it counts no longer.
    Imported,
}

/// What is being made of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the model says.
    pub parts: LoadBalancerParts,
    /// What the API knows beside.
    pub facts: Facts,
}

/// What names in a load balancer refer to.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// How ELB's words map onto this installation.
    pub settings: &'a Settings,
    /// What callers may name.
    pub inventory: &'a Inventory,
    /// The zone of literal instances.
    pub node_zone: &'a Zone,
}

/// ELB lets a load balancer lose its last listener, between two steps of a change. The model has no such thing, because
/// there is nothing to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Serving(LoadBalancer),
    WithoutListeners(LoadBalancerParts),
}

impl Record {
    /// The record that a draft describes. What the draft names follows the inventory; what the inventory no longer has
    /// stays as it was last known.
    ///
    /// # Errors
    ///
    /// What the parts disagree on, in ELB's words.
    pub fn settle(mut draft: Draft, origin: Origin, around: Surroundings<'_>) -> Result<Self, ApiError> {
        draft.follow(around);
        Ok(Self { content: Content::new(draft.parts)?, facts: draft.facts, origin })
    }

    /// A load balancer of the configuration file, with what the API shows where the file has no word.
    pub fn of_file(load_balancer: LoadBalancer, around: Surroundings<'_>) -> Self {
        let facts = Facts::of_file(&load_balancer, around);
        Self { content: Content::Serving(load_balancer), facts, origin: Origin::File }
    }

    /// The same load balancer, from now on the API's.
    pub fn imported(self) -> Self {
        Self { origin: Origin::Imported, ..self }
    }

    /// A draft to change.
    pub fn draft(&self) -> Draft {
        Draft { parts: self.deref().clone(), facts: self.facts.clone() }
    }

    /// What there is to serve; nothing without listeners.
    pub fn serving(&self) -> Option<&LoadBalancer> {
        match &self.content {
            Content::Serving(load_balancer) => Some(load_balancer),
            Content::WithoutListeners(_) => None,
        }
    }

    /// What only the API knows.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where it comes from.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl Deref for Record {
    type Target = LoadBalancerParts;

    fn deref(&self) -> &LoadBalancerParts {
        match &self.content {
            Content::Serving(load_balancer) => load_balancer,
            Content::WithoutListeners(parts) => parts,
        }
    }
}

impl Content {
    fn new(parts: LoadBalancerParts) -> Result<Self, ApiError> {
        let name = parts.name.clone();
        let idle = parts.listeners.is_empty().then(|| parts.clone());
        let mut conflicts = match LoadBalancer::new(parts) {
            Ok(load_balancer) => return Ok(Self::Serving(load_balancer)),
            Err(conflicts) => conflicts,
        };
        conflicts.retain(|(_, conflict)| *conflict != Conflict::NoListener);
        match (idle, conflicts.as_slice()) {
            (Some(parts), []) => Ok(Self::WithoutListeners(parts)),
            (_, conflicts) => Err(refusal(&name, conflicts.iter().map(|(_, conflict)| conflict))),
        }
    }
}

impl Draft {
    /// Brings what is named up to date with the inventory and the settings.
    fn follow(&mut self, around: Surroundings<'_>) {
        self.follow_instances(around.inventory);
        self.follow_certificates(around.inventory);
        self.follow_subnets(around.inventory);
        self.follow_security_groups(around.inventory);
        self.follow_access_log(around.settings);
    }

    fn follow_instances(&mut self, inventory: &Inventory) {
        for instance in &mut self.parts.instances {
            if let Some(known) = inventory.instances.get(&instance.id) {
                instance.host = known.address.host.clone();
                instance.port = known.address.port;
                instance.zone = known.zone.clone();
            }
        }
    }

    fn follow_certificates(&mut self, inventory: &Inventory) {
        let listeners = &mut self.parts.listeners;
        self.facts.certificates.retain(|port, _| listeners.iter().any(|listener| listener.port == *port));
        for listener in listeners {
            let arn = self.facts.certificates.get(&listener.port);
            let Some(files) = arn.and_then(|arn| resources::certificate(inventory, arn).ok()) else { continue };
            // A listener from the file may have more certificates behind the one that ELB knows.
            match listener.certificates.first_mut() {
                Some(first) => first.clone_from(files),
                None => listener.certificates.push(files.clone()),
            }
        }
    }

    fn follow_subnets(&mut self, inventory: &Inventory) {
        for (id, zone) in &mut self.facts.subnets {
            if let Some(now) = inventory.subnets.get(id).filter(|now| *now != zone) {
                self.parts.zones.remove(zone);
                zone.clone_from(now);
            }
        }
        self.parts.zones.extend(self.facts.subnets.values().cloned());
    }

    fn follow_security_groups(&mut self, inventory: &Inventory) {
        for (id, allow) in &mut self.facts.security_groups {
            if let Some(now) = inventory.security_groups.get(id) {
                allow.clone_from(now);
            }
        }
        if self.facts.security_groups.is_empty() {
            return;
        }
        let allow: Vec<IpNet> = self.facts.security_groups.iter().flat_map(|(_, allow)| allow).copied().collect();
        // For a listener an empty list allows everyone; a group without rules allows nobody.
        let deny = if allow.is_empty() { everyone() } else { Vec::new() };
        for listener in &mut self.parts.listeners {
            listener.allow.clone_from(&allow);
            listener.deny.clone_from(&deny);
        }
    }

    fn follow_access_log(&mut self, settings: &Settings) {
        let facts = &self.facts.access_log;
        let log = &mut self.parts.attributes.access_log;
        match &facts.bucket {
            _ if !facts.enabled => *log = None,
            Some(bucket) => {
                let folder = bucket::account_folder(settings, bucket, facts.prefix.as_ref());
                let path = bucket::log_file(settings, folder, &self.parts.name);
                *log = Some(match log.take() {
                    Some(log) => AccessLog { path, ..log },
                    None => AccessLog::unrotated(path, AccessLogFormat::Elb),
                });
            }
            // A path that the file named.
            None => {}
        }
    }
}

fn everyone() -> Vec<IpNet> {
    vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]
}

/// What a load balancer's parts disagree on, with the code of the first.
fn refusal<'a>(name: &LoadBalancerName, conflicts: impl Iterator<Item = &'a Conflict>) -> ApiError {
    let errors: Vec<ApiError> = conflicts.map(|conflict| error_of(name, conflict)).collect();
    let code = errors.first().map_or(ErrorCode::InvalidConfigurationRequest, |error| error.code);
    let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
    ApiError::new(code, messages.join("; "))
}

fn error_of(name: &LoadBalancerName, conflict: &Conflict) -> ApiError {
    let (code, message) = match conflict {
        Conflict::UnknownPolicy(policy) => {
            (ErrorCode::PolicyNotFound, format!("There is no policy with name {policy} for load balancer {name}"))
        }
        Conflict::DuplicateInstance(_) | Conflict::DuplicateEndpoint(_) => {
            (ErrorCode::InvalidInstance, conflict.to_string())
        }
        Conflict::CertificateMissing | Conflict::CertificateUnused(_) => {
            (ErrorCode::ValidationError, conflict.to_string())
        }
        Conflict::NoListener
        | Conflict::NoZone
        | Conflict::DuplicateListener { .. }
        | Conflict::AddressInUse { .. }
        | Conflict::MixedInstancePort(_)
        | Conflict::MixedInstanceHttp(_)
        | Conflict::Http2WithoutHttp(_)
        | Conflict::TlsKeyUnused(..)
        | Conflict::InstancesWithoutTls(_)
        | Conflict::MixedInstanceCertificates(_)
        | Conflict::AuthenticatedTwice(..)
        | Conflict::ReservedPolicyName(_)
        | Conflict::DuplicatePolicy(_)
        | Conflict::PolicyMisplaced(..)
        | Conflict::PolicyKindTwice(..)
        | Conflict::AuthenticationWithoutTls(..)
        | Conflict::NotAPublicKey(_) => (ErrorCode::InvalidConfigurationRequest, conflict.to_string()),
    };
    ApiError::new(code, message)
}
