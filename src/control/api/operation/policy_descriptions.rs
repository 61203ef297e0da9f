//! DescribeLoadBalancerPolicies, DescribeLoadBalancerPolicyTypes.

use super::call::{Call, existing_name};
use super::policies;
use crate::control::api::answer::Xml;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::policy::{self, schema};
use crate::control::api::query::Reader;
use crate::control::api::state::Record;
use crate::model::{Keyword, Policy, PolicyType, PredefinedPolicy, SecurityPolicy};

/// A policy as it is told.
struct Described {
    name: String,
    kind: PolicyType,
    attributes: Vec<(String, String)>,
}

/// Tells the policies of a load balancer, or the predefined ones when none is named.
pub(super) fn describe(call: &Call<'_>) -> Result<Xml, ApiError> {
    let (name, names) = call.read(|reader| {
        let name = reader.optional("LoadBalancerName", existing_name);
        let names = reader.list("PolicyNames", Reader::item_text);
        Some((name?, names?.unwrap_or_default()))
    })?;
    let policies = match name {
        Some(name) => of_load_balancer(call.record(&name)?, &names)?,
        None => predefined(&names)?,
    };
    let mut xml = Xml::default();
    xml.list("PolicyDescriptions", policies, |xml, policy| {
        xml.text("PolicyName", policy.name);
        xml.text("PolicyTypeName", policy.kind);
        xml.list("PolicyAttributeDescriptions", policy.attributes, |xml, (name, value)| {
            xml.text("AttributeName", name);
            xml.text("AttributeValue", value);
        });
    });
    Ok(xml)
}

/// Tells policy types: those that are named, or all.
pub(super) fn describe_types(call: &Call<'_>) -> Result<Xml, ApiError> {
    let names = call.read(|reader| reader.list("PolicyTypeNames", Reader::item_text))?.unwrap_or_default();
    let kinds = match names.is_empty() {
        true => PolicyType::ALL.to_vec(),
        false => names.iter().map(|name| policies::policy_type(name)).collect::<Result<_, _>>()?,
    };
    let mut xml = Xml::default();
    xml.list("PolicyTypeDescriptions", kinds, |xml, kind| {
        xml.text("PolicyTypeName", kind);
        xml.text("Description", schema::description(kind));
        xml.list("PolicyAttributeTypeDescriptions", schema::attribute_types(kind), |xml, attribute| {
            xml.text("AttributeName", attribute.name);
            xml.text("AttributeType", attribute.kind);
            xml.text("Description", attribute.description);
            xml.optional("DefaultValue", attribute.default);
            xml.text("Cardinality", attribute.cardinality.as_str());
        });
    });
    Ok(xml)
}

/// In the order of their creation.
fn of_load_balancer(record: &Record, names: &[String]) -> Result<Vec<Described>, ApiError> {
    let known = &record.facts().policies;
    let described = known.iter().filter_map(|facts| {
        let policy = record.policy(&facts.name)?;
        Some(Described {
            name: facts.name.to_string(),
            kind: policy.policy_type(),
            attributes: policy::description(&policy, &facts.attributes),
        })
    });
    pick(described.collect(), names, |name| policies::not_found(record, name))
}

fn predefined(names: &[String]) -> Result<Vec<Described>, ApiError> {
    let of_elb = PredefinedPolicy::ALL.iter().filter(|predefined| predefined.is_of_elb());
    let described = of_elb.map(|predefined| Described {
        name: predefined.to_string(),
        kind: PolicyType::SslNegotiation,
        attributes: policy::description(&Policy::SslNegotiation(SecurityPolicy::Predefined(*predefined)), &[]),
    });
    pick(described.collect(), names, |name| {
        ApiError::new(ErrorCode::PolicyNotFound, format!("There is no policy with name {name}"))
    })
}

/// Those that are named; all when none is.
fn pick(
    mut all: Vec<Described>,
    names: &[String],
    missing: impl Fn(&str) -> ApiError,
) -> Result<Vec<Described>, ApiError> {
    if names.is_empty() {
        return Ok(all);
    }
    if let Some(name) = names.iter().find(|name| all.iter().all(|policy| policy.name != **name)) {
        return Err(missing(name));
    }
    all.retain(|policy| names.contains(&policy.name));
    Ok(all)
}
