//! ApplySecurityGroupsToLoadBalancer. A security group is a named set of client networks.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::error::ApiError;
use crate::control::api::query::Reader;
use crate::control::api::state::resources;
use crate::model::ResourceName;
use ipnet::IpNet;

/// Replaces the security groups.
pub(super) fn apply(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, ids) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let ids = reader.required_list("SecurityGroups", Reader::item_text);
        Some((name?, ids?))
    })?;
    let edited = call.edit(&name, |draft| {
        draft.facts.security_groups = find(call, &ids)?;
        Ok(())
    })?;
    Ok(edited
        .answer(|xml, record| xml.texts("SecurityGroups", record.facts().security_groups.iter().map(|(id, _)| id))))
}

/// The groups of these ids, each once.
pub(super) fn find(call: &Call<'_>, ids: &[String]) -> Result<Vec<(ResourceName, Vec<IpNet>)>, ApiError> {
    let mut groups: Vec<(ResourceName, Vec<IpNet>)> = Vec::new();
    for id in ids {
        let group = resources::security_group(call.around.inventory, id)?;
        if groups.iter().all(|(known, _)| *known != group.0) {
            groups.push(group);
        }
    }
    Ok(groups)
}
