//! DescribeAccountLimits.

use super::call::Call;
use super::page::Page;
use crate::control::api::answer::Xml;
use crate::control::api::error::ApiError;

/// How much callers may make.
pub(super) fn describe(call: &Call<'_>) -> Result<Xml, ApiError> {
    let page = call.read(Page::read)?;
    let limits = call.around.settings.limits;
    // In the order of their names: pages need one.
    let all = [
        ("classic-listeners", limits.listeners),
        ("classic-load-balancers", limits.load_balancers),
        ("classic-registered-instances", limits.instances),
    ];
    let (limits, next) = page.of(&all, |(name, _)| name, |marker| all.iter().any(|(name, _)| *name == marker))?;
    let mut xml = Xml::default();
    xml.list("Limits", limits, |xml, (name, max)| {
        xml.text("Name", name);
        xml.text("Max", max);
    });
    xml.optional("NextMarker", next);
    Ok(xml)
}
