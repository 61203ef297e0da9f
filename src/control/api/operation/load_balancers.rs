//! CreateLoadBalancer, DeleteLoadBalancer, DescribeLoadBalancers.

use super::call::{Call, Done, existing_name, load_balancer_name};
use super::listeners::{self, ListenerRequest};
use super::page::Page;
use super::{Change, description, security_groups, tags, zones};
use crate::control::api::answer::Xml;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::Reader;
use crate::control::api::state::{Draft, Facts, Origin, Record, Scheme};
use crate::model::{
    Attributes, HealthCheck, LoadBalancerName, LoadBalancerParts, Port, ProtocolPair, TrafficLimits, Zone,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Creates a load balancer. The same call again changes nothing and gets the same answer.
pub(super) fn create(call: &Call<'_>) -> Result<Done, ApiError> {
    let creation = call.read(Creation::read)?;
    let name = creation.name.clone();
    let draft = creation.draft(call)?;
    let mut result = Xml::default();
    if let Some(existing) = call.state.get(name.as_str()) {
        require_same(existing, &draft)?;
        result.text("DNSName", description::dns_name(call.around.settings, existing));
        return Ok(Done { result, change: None });
    }
    let limit = call.around.settings.limits.load_balancers;
    if call.state.of_api().count() >= limit {
        let message = format!("Exceeded quota of account: no more than {limit} load balancers");
        return Err(ApiError::new(ErrorCode::TooManyLoadBalancers, message));
    }
    let record = Arc::new(Record::settle(draft, Origin::Api, call.around)?);
    result.text("DNSName", description::dns_name(call.around.settings, &record));
    Ok(Done { result, change: Some(Change { name, before: None, after: Some(record) }) })
}

/// Deletes a load balancer. One that is not there is deleted already.
pub(super) fn delete(call: &Call<'_>) -> Result<Done, ApiError> {
    let name = call.read(load_balancer_name)?;
    let change = match call.own_record(&name) {
        Ok(record) => Some(Change { name: record.name.clone(), before: Some(Arc::clone(record)), after: None }),
        Err(error) if error.code == ErrorCode::LoadBalancerNotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Done { result: Xml::default(), change })
}

/// Tells all there is to know of load balancers: of those that are named, or of all.
pub(super) fn describe(call: &Call<'_>) -> Result<Xml, ApiError> {
    let (names, page) = call.read(|reader| {
        let names = reader.list("LoadBalancerNames", |reader| reader.item(existing_name));
        let page = Page::read(reader);
        Some((names?.unwrap_or_default(), page?))
    })?;
    for name in &names {
        call.record(name)?;
    }
    let wanted = |record: &&Arc<Record>| names.is_empty() || names.iter().any(|name| *name == record.name.as_str());
    let records: Vec<&Arc<Record>> = call.state.iter().filter(wanted).collect();
    let is_name = |marker: &str| LoadBalancerName::new(marker).is_ok();
    let (records, next) = page.of(&records, |record| record.name.as_str(), is_name)?;
    let mut xml = Xml::default();
    xml.list("LoadBalancerDescriptions", records, |xml, record| description::write(xml, record, call.around.settings));
    xml.optional("NextMarker", next);
    Ok(xml)
}

/// A load balancer as it is asked for.
struct Creation {
    name: LoadBalancerName,
    listeners: Vec<ListenerRequest>,
    zones: Vec<Zone>,
    subnets: Vec<String>,
    security_groups: Vec<String>,
    scheme: Option<String>,
    tags: Vec<tags::Tag>,
}

impl Creation {
    fn read(reader: &Reader<'_>) -> Option<Self> {
        let name = reader.required("LoadBalancerName", LoadBalancerName::new);
        let listeners = reader.required_list("Listeners", listeners::read);
        let zones = reader.list("AvailabilityZones", |reader| reader.item(zones::zone));
        let subnets = reader.list("Subnets", Reader::item_text);
        let security_groups = reader.list("SecurityGroups", Reader::item_text);
        let scheme = reader.optional_text("Scheme");
        let tags = reader.list("Tags", tags::read);
        Some(Self {
            name: name?,
            listeners: listeners?,
            zones: zones?.unwrap_or_default(),
            subnets: subnets?.unwrap_or_default(),
            security_groups: security_groups?.unwrap_or_default(),
            scheme: scheme?,
            tags: tags?.unwrap_or_default(),
        })
    }

    /// What would be created, with ELB's defaults.
    fn draft(self, call: &Call<'_>) -> Result<Draft, ApiError> {
        let scheme = match self.scheme.as_deref() {
            None => Scheme::InternetFacing,
            Some(word) => Scheme::from_word(word).ok_or_else(|| {
                let message = format!("Scheme '{word}' is not valid: expected internet-facing or internal");
                ApiError::new(ErrorCode::InvalidScheme, message)
            })?,
        };
        let parts = LoadBalancerParts {
            name: self.name,
            zones: self.zones.iter().cloned().collect(),
            listeners: Vec::new(),
            instances: Vec::new(),
            health_check: HealthCheck::of_port(Port::HTTP),
            attributes: Attributes::default(),
            limits: TrafficLimits::default(),
            policies: BTreeMap::new(),
            backend_policies: BTreeMap::new(),
        };
        let mut draft = Draft { parts, facts: Facts::new(call.now, scheme) };
        match (self.zones.is_empty(), self.subnets.is_empty()) {
            (true, true) => {
                return Err(ApiError::validation("Either AvailabilityZones or SubnetIds must be specified"));
            }
            (false, false) => {
                return Err(ApiError::validation("Only one of SubnetIds or AvailabilityZones may be specified"));
            }
            _ => zones::attach(call, &mut draft, &self.subnets)?,
        }
        tags::set(&mut draft, self.tags)?;
        listeners::add(call, &mut draft, self.listeners)?;
        if let Some(first) = draft.parts.listeners.first() {
            draft.parts.health_check = HealthCheck::of_port(first.instance_port);
        }
        draft.facts.security_groups = security_groups::find(call, &self.security_groups)?;
        Ok(draft)
    }
}

/// Whether a creation would make what exists.
fn require_same(existing: &Record, wanted: &Draft) -> Result<(), ApiError> {
    let different = |what: &str| {
        let name = &existing.name;
        let message = match existing.origin() {
            Origin::File => format!("Load Balancer named {name} already exists, in the configuration file."),
            _ => format!("Load Balancer named {name} already exists and it is configured with different {what}."),
        };
        Err(ApiError::new(ErrorCode::DuplicateLoadBalancerName, message))
    };
    if existing.origin() == Origin::File
        || Settled::of(existing, existing.facts()) != Settled::of(&wanted.parts, &wanted.facts)
    {
        return different("parameters");
    }
    if existing.facts().tags != wanted.facts.tags {
        return different("tags");
    }
    Ok(())
}

/// What CreateLoadBalancer settles, tags aside.
#[derive(PartialEq)]
struct Settled<'a> {
    listeners: BTreeMap<Port, (ProtocolPair, Port, Option<&'a str>)>,
    zones: &'a BTreeSet<Zone>,
    subnets: Vec<&'a str>,
    security_groups: Vec<&'a str>,
    scheme: Scheme,
}

impl<'a> Settled<'a> {
    fn of(parts: &'a LoadBalancerParts, facts: &'a Facts) -> Self {
        let certificate = |port: Port| facts.certificates.get(&port).map(String::as_str);
        let listeners = parts
            .listeners
            .iter()
            .map(|listener| (listener.port, (listener.protocols, listener.instance_port, certificate(listener.port))));
        Self {
            listeners: listeners.collect(),
            zones: &parts.zones,
            subnets: facts.subnets.keys().map(|id| id.as_str()).collect(),
            security_groups: facts.security_groups.iter().map(|(id, _)| id.as_str()).collect(),
            scheme: facts.scheme,
        }
    }
}
