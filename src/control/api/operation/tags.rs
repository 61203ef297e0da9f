//! AddTags, DescribeTags, RemoveTags, and the tags of CreateLoadBalancer.

use super::call::{Call, Done, existing_name};
use super::listeners;
use crate::control::api::answer::Xml;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::Reader;
use crate::control::api::state::{ADDRESS_TAG, Draft, TagKey, TagValue};

/// Tags of a load balancer.
const TAGS_MAX: usize = 50;
/// Load balancers of one DescribeTags.
const DESCRIBED_MAX: usize = 20;

/// A tag as it is sent.
pub(super) type Tag = (TagKey, TagValue);

/// Adds tags, or gives them new values.
pub(super) fn add(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, tags) = call.read(|reader| {
        let name = only_name(reader);
        let tags = reader.required_list("Tags", read);
        Some((name?, tags?))
    })?;
    Ok(call.edit(&name, |draft| retag(call, draft, |draft| set(draft, tags)))?.done())
}

/// Removes tags. A key without a tag has none to remove.
pub(super) fn remove(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, keys) = call.read(|reader| {
        let name = only_name(reader);
        let keys = reader.required_list("Tags", |reader| reader.text("Key"));
        Some((name?, keys?))
    })?;
    let edited = call.edit(&name, |draft| {
        retag(call, draft, |draft| {
            draft.facts.tags.retain(|key, _| !keys.iter().any(|gone| gone == key.as_str()));
            Ok(())
        })
    })?;
    Ok(edited.done())
}

/// Tells the tags of load balancers.
pub(super) fn describe(call: &Call<'_>) -> Result<Xml, ApiError> {
    let names = call.read(|reader| {
        let names = reader.required_list("LoadBalancerNames", |reader| reader.item(existing_name))?;
        if names.len() > DESCRIBED_MAX {
            return reader.refuse(format!("No more than {DESCRIBED_MAX} load balancers can be described at once"));
        }
        Some(names)
    })?;
    let records = names.iter().map(|name| call.record(name)).collect::<Result<Vec<_>, _>>()?;
    let mut xml = Xml::default();
    xml.list("TagDescriptions", records, |xml, record| {
        xml.text("LoadBalancerName", &record.name);
        xml.list("Tags", &record.facts().tags, |xml, (key, value)| {
            xml.text("Key", key);
            xml.text("Value", value);
        });
    });
    Ok(xml)
}

/// Reads one tag of a list. Its value may be absent: it is empty then.
pub(super) fn read(reader: &Reader<'_>) -> Option<Tag> {
    let key = reader.required("Key", TagKey::new);
    let value = reader.optional("Value", TagValue::new);
    Some((key?, value?.unwrap_or_default()))
}

/// Gives a draft these tags beside those it has.
pub(super) fn set(draft: &mut Draft, tags: Vec<Tag>) -> Result<(), ApiError> {
    for (index, (key, _)) in tags.iter().enumerate() {
        if tags.iter().take(index).any(|(earlier, _)| earlier == key) {
            let message = format!("A tag key was specified more than once: '{key}'");
            return Err(ApiError::new(ErrorCode::DuplicateTagKeys, message));
        }
    }
    draft.facts.tags.extend(tags);
    if draft.facts.tags.len() > TAGS_MAX {
        let message = format!("A load balancer cannot have more than {TAGS_MAX} tags");
        return Err(ApiError::new(ErrorCode::TooManyTags, message));
    }
    Ok(())
}

/// Changes tags, and moves the listeners when the tag that says where they are changes.
fn retag(
    call: &Call<'_>,
    draft: &mut Draft,
    change: impl FnOnce(&mut Draft) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let before = draft.facts.tags.get(ADDRESS_TAG).cloned();
    change(draft)?;
    if draft.facts.tags.get(ADDRESS_TAG) != before.as_ref() {
        let address = listeners::address(&draft.facts, call.around.settings)?;
        draft.parts.listeners.iter_mut().for_each(|listener| listener.address = address);
    }
    Ok(())
}

/// The one load balancer whose tags are changed: ELB's list takes no more.
fn only_name(reader: &Reader<'_>) -> Option<String> {
    let mut names = reader.required_list("LoadBalancerNames", |reader| reader.item(existing_name))?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Some(name),
        _ => reader.refuse("Only one load balancer can be tagged at a time"),
    }
}
