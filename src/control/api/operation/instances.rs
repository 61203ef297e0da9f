//! RegisterInstancesWithLoadBalancer, DeregisterInstancesFromLoadBalancer, DescribeInstanceHealth.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::answer::Xml;
use crate::control::api::error::ApiError;
use crate::control::api::query::Reader;
use crate::control::api::state::{Record, resources};
use crate::health::{Condition, ReasonCode, Report, ServiceState};
use crate::model::{Instance, InstanceId};
use std::collections::{HashMap, HashSet};

/// An instance that is known and not registered.
const NOT_REGISTERED: Report = Report {
    state: ServiceState::OutOfService,
    reason_code: ReasonCode::Instance,
    description: "Instance is not currently registered with the LoadBalancer.",
};

/// Registers instances: all or none. Those that are registered already stay as they are.
pub(super) fn register(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, ids) = read_ids(call)?;
    let edited = call.edit(&name, |draft| {
        let instances = &mut draft.parts.instances;
        let mut registered: HashSet<InstanceId> = instances.iter().map(|instance| instance.id.clone()).collect();
        for id in &ids {
            if !registered.contains(id.as_str()) {
                let instance = find(call, id)?;
                registered.insert(instance.id.clone());
                instances.push(instance);
            }
        }
        let limit = call.around.settings.limits.instances;
        if instances.len() > limit {
            return Err(ApiError::validation(format!("A load balancer cannot have more than {limit} instances")));
        }
        Ok(())
    })?;
    Ok(edited.answer(write_ids))
}

/// Deregisters instances: all or none. One that is known and not registered is deregistered already.
pub(super) fn deregister(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, ids) = read_ids(call)?;
    let edited = call.edit(&name, |draft| {
        let instances = &mut draft.parts.instances;
        let gone: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let registered: HashSet<&str> = instances.iter().map(|instance| instance.id.as_str()).collect();
        for id in gone.iter().filter(|id| !registered.contains(**id)) {
            find(call, id)?;
        }
        instances.retain(|instance| !gone.contains(instance.id.as_str()));
        Ok(())
    })?;
    Ok(edited.answer(write_ids))
}

/// Tells the health of instances: of those that are named, or of all that are registered.
pub(super) fn describe_health(call: &Call<'_>) -> Result<Xml, ApiError> {
    let (name, ids) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let ids = reader.list("Instances", instance_id);
        Some((name?, ids?.unwrap_or_default()))
    })?;
    let record = call.record(&name)?;
    let probed: HashMap<InstanceId, Report> = (call.health)(&record.name).into_iter().collect();
    let registered: HashMap<&str, &Instance> =
        record.instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
    let named: Vec<&str> = match ids.is_empty() {
        true => record.instances.iter().map(|instance| instance.id.as_str()).collect(),
        false => ids.iter().map(String::as_str).collect(),
    };
    let mut reports = Vec::with_capacity(named.len());
    for id in named {
        let report = match (registered.get(id), probed.get(id)) {
            (Some(instance), _) if !record.zones.contains(&instance.zone) => Report::ZONE_NOT_ENABLED,
            (_, Some(report)) => *report,
            (Some(_), None) => Report::from(Condition::Registering),
            (None, None) => find(call, id).map(|_| NOT_REGISTERED)?,
        };
        reports.push((id, report));
    }
    let mut xml = Xml::default();
    xml.list("InstanceStates", reports, |xml, (id, report)| {
        xml.text("InstanceId", id);
        xml.text("State", state(report.state));
        xml.text("ReasonCode", reason_code(report.reason_code));
        xml.text("Description", report.description);
    });
    Ok(xml)
}

/// The machine that an id means.
fn find(call: &Call<'_>, id: &str) -> Result<Instance, ApiError> {
    let id = InstanceId::new(id).map_err(|_| resources::unknown_instance(id))?;
    resources::instance(call.around.inventory, call.around.node_zone, &id)
}

fn read_ids(call: &Call<'_>) -> Result<(String, Vec<String>), ApiError> {
    call.read(|reader| {
        let name = load_balancer_name(reader);
        let ids = reader.required_list("Instances", instance_id);
        Some((name?, ids?))
    })
}

/// Reads one instance of a list: a structure with one member.
fn instance_id(reader: &Reader<'_>) -> Option<String> {
    reader.text("InstanceId")
}

fn write_ids(xml: &mut Xml, record: &Record) {
    xml.list("Instances", &record.instances, |xml, instance| xml.text("InstanceId", &instance.id));
}

const fn state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::InService => "InService",
        ServiceState::OutOfService => "OutOfService",
    }
}

const fn reason_code(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::NotApplicable => "N/A",
        ReasonCode::Elb => "ELB",
        ReasonCode::Instance => "Instance",
    }
}
