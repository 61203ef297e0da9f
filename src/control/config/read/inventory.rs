//! `[inventory]`.

use super::super::section::Section;
use super::certificate;
use crate::model::{InstanceId, Inventory, InventoryInstance, ResourceName, Zone};

/// What the API may name. Instances without a zone stand in `node_zone`.
pub(super) fn read(mut section: Section<'_>, node_zone: &Zone) -> Inventory {
    let inventory = Inventory {
        instances: named(&mut section, "instances", InstanceId::new, |section| instance(section, node_zone)),
        certificates: named(&mut section, "certificates", ResourceName::new, certificate::read),
        subnets: named(&mut section, "subnets", ResourceName::new, subnet),
        security_groups: named(&mut section, "security_groups", ResourceName::new, security_group),
    };
    section.finish();
    inventory
}

/// The tables of the table at `key`, by their names.
fn named<'a, N, T, C: Default + Extend<(N, T)>>(
    section: &mut Section<'a>,
    key: &'static str,
    name: fn(&str) -> Result<N, crate::model::Invalid>,
    read: impl Fn(Section<'a>) -> Option<T>,
) -> C {
    let mut all = C::default();
    if let Some(mut section) = section.section(key) {
        for (key, name) in section.names(name) {
            let value = section.section(key).and_then(&read);
            all.extend(name.zip(value));
        }
    }
    all
}

fn instance(mut section: Section<'_>, node_zone: &Zone) -> Option<InventoryInstance> {
    let address = section.require("address");
    let zone = section.read_or("zone", node_zone.clone());
    section.finish();
    Some(InventoryInstance { address: address?, zone })
}

fn subnet(mut section: Section<'_>) -> Option<Zone> {
    let zone = section.require("zone");
    section.finish();
    zone
}

fn security_group(mut section: Section<'_>) -> Option<Vec<ipnet::IpNet>> {
    let allow = section.list("allow").into_iter().map(|(net, _)| net).collect();
    section.finish();
    Some(allow)
}
