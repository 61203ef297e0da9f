//! EnableAvailabilityZonesForLoadBalancer, DisableAvailabilityZonesForLoadBalancer, AttachLoadBalancerToSubnets,
//! DetachLoadBalancerFromSubnets. Subnets stand for zones: an attached one's zone is enabled.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::answer::Xml;
use crate::control::api::error::ApiError;
use crate::control::api::query::{Reader, Unfit};
use crate::control::api::state::{Draft, Record, resources};
use crate::model::Zone;
use std::collections::BTreeSet;

/// Enables zones, those that are enabled already among them.
pub(super) fn enable(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, zones) = read_zones(call)?;
    let edited = call.edit(&name, |draft| {
        draft.parts.zones.extend(zones);
        Ok(())
    })?;
    Ok(edited.answer(write_zones))
}

/// Disables zones, and detaches their subnets. One that is not enabled is disabled already; one must stay.
pub(super) fn disable(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, zones) = read_zones(call)?;
    let edited = call.edit(&name, |draft| {
        draft.facts.subnets.retain(|_, zone| !zones.contains(zone));
        draft.parts.zones.retain(|zone| !zones.contains(zone));
        require_a_zone(draft, "Availability Zone")
    })?;
    Ok(edited.answer(write_zones))
}

/// Attaches subnets, those that are attached already among them.
pub(super) fn attach_subnets(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, subnets) = read_subnets(call)?;
    Ok(call.edit(&name, |draft| attach(call, draft, &subnets))?.answer(write_subnets))
}

/// Detaches subnets, and disables their zones. One that is not attached is detached already; one must stay.
pub(super) fn detach_subnets(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, subnets) = read_subnets(call)?;
    let edited = call.edit(&name, |draft| {
        for subnet in &subnets {
            if let Some(zone) = draft.facts.subnets.remove(subnet.as_str()) {
                draft.parts.zones.remove(&zone);
            }
        }
        require_a_zone(draft, "subnet")
    })?;
    Ok(edited.answer(write_subnets))
}

/// Reads a zone. Any name may be one: other nodes stand in zones of theirs.
pub(super) fn zone(text: &str) -> Result<Zone, Unfit> {
    Zone::new(text).map_err(|_| Unfit::Says(format!("Invalid availability zone: '{text}'")))
}

/// Attaches subnets to a draft, and enables their zones.
pub(super) fn attach(call: &Call<'_>, draft: &mut Draft, subnets: &[String]) -> Result<(), ApiError> {
    for subnet in subnets {
        let (id, zone) = resources::subnet(call.around.inventory, subnet)?;
        if draft.facts.subnets.iter().any(|(other, taken)| *other != id && *taken == zone) {
            // Terraform waits and tries again when it finds these words.
            let name = &draft.parts.name;
            return Err(ApiError::conflict(format!("{name} cannot be attached to multiple subnets in the same AZ.")));
        }
        draft.parts.zones.insert(zone.clone());
        draft.facts.subnets.insert(id, zone);
    }
    Ok(())
}

fn require_a_zone(draft: &Draft, what: &str) -> Result<(), ApiError> {
    if draft.parts.zones.is_empty() {
        return Err(ApiError::conflict(format!("The last {what} of load balancer {} must stay", draft.parts.name)));
    }
    Ok(())
}

fn read_zones(call: &Call<'_>) -> Result<(String, BTreeSet<Zone>), ApiError> {
    call.read(|reader| {
        let name = load_balancer_name(reader);
        let zones = reader.required_list("AvailabilityZones", |reader| reader.item(zone));
        Some((name?, zones?.into_iter().collect()))
    })
}

fn read_subnets(call: &Call<'_>) -> Result<(String, Vec<String>), ApiError> {
    call.read(|reader| {
        let name = load_balancer_name(reader);
        let subnets = reader.required_list("Subnets", Reader::item_text);
        Some((name?, subnets?))
    })
}

fn write_zones(xml: &mut Xml, record: &Record) {
    xml.texts("AvailabilityZones", &record.zones);
}

fn write_subnets(xml: &mut Xml, record: &Record) {
    xml.texts("Subnets", record.facts().subnets.keys());
}
