//! Creating policies, deleting them, and attaching them to listeners and instance ports.

use super::call::{Call, Done, load_balancer_name};
use super::listeners;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::policy::{self, schema};
use crate::control::api::query::{Reader, number};
use crate::control::api::state::{Draft, PolicyFacts};
use crate::model::{Keyword, LoadBalancerParts, Policy, PolicyName, PolicyType};

/// Policies of one load balancer.
const POLICIES_MAX: usize = 100;
/// Seconds that a cookie of the load balancer lives: the model's most, 31 years.
const EXPIRATION_MAX_S: i64 = 1_000_000_000;

/// CreateAppCookieStickinessPolicy.
pub(super) fn create_app_cookie_stickiness(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, policy, cookie) = call.read(|reader| {
        let (name, policy, cookie) = (load_balancer_name(reader), policy_name(reader), reader.text("CookieName"));
        Some((name?, policy?, cookie?))
    })?;
    let attributes = vec![(schema::COOKIE_NAME.to_owned(), cookie)];
    define(call, &name, policy, PolicyType::AppCookieStickiness, attributes)
}

/// CreateLBCookieStickinessPolicy.
pub(super) fn create_lb_cookie_stickiness(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, policy, period) = call.read(|reader| {
        let (name, policy) = (load_balancer_name(reader), policy_name(reader));
        let period = reader.optional(schema::EXPIRATION, number(0..=EXPIRATION_MAX_S));
        Some((name?, policy?, period?))
    })?;
    let attributes = period.map(|period| (schema::EXPIRATION.to_owned(), period.to_string()));
    define(call, &name, policy, PolicyType::LbCookieStickiness, attributes.into_iter().collect())
}

/// CreateLoadBalancerPolicy.
pub(super) fn create(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, policy, kind, attributes) = call.read(|reader| {
        let (name, policy, kind) = (load_balancer_name(reader), policy_name(reader), reader.text("PolicyTypeName"));
        let attributes = reader.list("PolicyAttributes", |reader| {
            let (name, value) = (reader.text("AttributeName"), reader.optional_text("AttributeValue"));
            Some((name?, value?.unwrap_or_default()))
        });
        Some((name?, policy?, kind?, attributes?.unwrap_or_default()))
    })?;
    define(call, &name, policy, policy_type(&kind)?, attributes)
}

/// DeleteLoadBalancerPolicy. One that is not there is deleted already; one that is in use stays.
pub(super) fn delete(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, policy) = call.read(|reader| {
        let (name, policy) = (load_balancer_name(reader), reader.text("PolicyName"));
        Some((name?, policy?))
    })?;
    let edited = call.edit(&name, |draft| {
        if is_used(&draft.parts, &policy) {
            return Err(ApiError::conflict(format!(
                "You cannot delete policy [{policy}] since it is enabled or referred by other enabled policy."
            )));
        }
        draft.parts.policies.remove(policy.as_str());
        draft.facts.policies.retain(|known| known.name.as_str() != policy);
        Ok(())
    })?;
    Ok(edited.done())
}

/// SetLoadBalancerPoliciesOfListener: replaces all policies of a listener.
pub(super) fn set_of_listener(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, port, names) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let port = reader.required("LoadBalancerPort", listeners::listener_port);
        Some((name?, port?, read_names(reader)?))
    })?;
    let edited = call.edit(&name, |draft| {
        let names = existing(&draft.parts, &names)?;
        draft.facts.note_predefined(&names);
        listeners::find(&mut draft.parts, port)?.policies = names;
        Ok(())
    })?;
    Ok(edited.done())
}

/// SetLoadBalancerPoliciesForBackendServer: replaces all policies of an instance port, which no listener need use.
pub(super) fn set_for_instance_port(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, port, names) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let port = reader.required("InstancePort", listeners::port_number);
        Some((name?, port?, read_names(reader)?))
    })?;
    let edited = call.edit(&name, |draft| {
        let names = existing(&draft.parts, &names)?;
        match names.is_empty() {
            true => drop(draft.parts.backend_policies.remove(&port)),
            false => drop(draft.parts.backend_policies.insert(port, names)),
        }
        Ok(())
    })?;
    Ok(edited.done())
}

/// The policy type of this name.
pub(super) fn policy_type(name: &str) -> Result<PolicyType, ApiError> {
    PolicyType::ALL.iter().copied().find(|kind| kind.as_str() == name).ok_or_else(|| {
        ApiError::new(ErrorCode::PolicyTypeNotFound, format!("There is no policy type with name {name}"))
    })
}

/// The error for a policy that is not there.
pub(super) fn not_found(parts: &LoadBalancerParts, policy: &str) -> ApiError {
    let message = format!("There is no policy with name {policy} for load balancer {}", parts.name);
    ApiError::new(ErrorCode::PolicyNotFound, message)
}

/// Adds a policy. The same one again changes nothing.
fn define(
    call: &Call<'_>,
    load_balancer: &str,
    name: PolicyName,
    kind: PolicyType,
    attributes: Vec<(String, String)>,
) -> Result<Done, ApiError> {
    let edited = call.edit(load_balancer, |draft| {
        let policy = policy::policy(kind, &attributes)?;
        if let Some(known) = draft.parts.policies.get(&name) {
            return if *known == policy { Ok(()) } else { Err(duplicate(&name)) };
        }
        add(draft, name, policy, attributes)
    })?;
    Ok(edited.done())
}

fn add(draft: &mut Draft, name: PolicyName, policy: Policy, attributes: Vec<(String, String)>) -> Result<(), ApiError> {
    if draft.parts.policies.len() >= POLICIES_MAX {
        let message = format!("A load balancer cannot have more than {POLICIES_MAX} policies");
        return Err(ApiError::new(ErrorCode::TooManyPolicies, message));
    }
    draft.parts.policies.insert(name.clone(), policy);
    draft.facts.policies.push(PolicyFacts { name, attributes });
    Ok(())
}

fn duplicate(name: &PolicyName) -> ApiError {
    let message = format!("Policy already exists with the same name {name} but different type or attributes");
    ApiError::new(ErrorCode::DuplicatePolicyName, message)
}

/// Whether a listener, an instance port or another policy names it.
fn is_used(parts: &LoadBalancerParts, policy: &str) -> bool {
    let has = |names: &[PolicyName]| names.iter().any(|name| name.as_str() == policy);
    let refers = |policy: &Policy| match policy {
        Policy::BackendServerAuthentication { public_key_policies } => has(public_key_policies),
        _ => false,
    };
    parts.listeners.iter().any(|listener| has(&listener.policies))
        || parts.backend_policies.values().any(|names| has(names))
        || parts.policies.values().any(refers)
}

fn policy_name(reader: &Reader<'_>) -> Option<PolicyName> {
    reader.required("PolicyName", PolicyName::new)
}

/// Reads `PolicyNames`: given empty, or not given at all, it is no policy.
fn read_names(reader: &Reader<'_>) -> Option<Vec<String>> {
    let names = reader.list("PolicyNames", Reader::item_text)?;
    Some(names.unwrap_or_default())
}

/// The policies of these names, of which a text that cannot be a name is none.
fn existing(parts: &LoadBalancerParts, names: &[String]) -> Result<Vec<PolicyName>, ApiError> {
    names.iter().map(|name| PolicyName::new(name).map_err(|_| not_found(parts, name))).collect()
}
