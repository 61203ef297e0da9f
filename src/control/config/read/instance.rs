//! An instance: an element of `instances`, `"host"`, `"host:port"` or a table.

use toml::de::DeValue;

use super::super::section::Element;
use crate::model::{DEFAULT_WEIGHT, Endpoint, Instance, InstanceId, Weight, Zone};

/// The instance; `None` if it is wrong. It stands in `node_zone` unless it says otherwise, and is called by its
/// address unless it has a name.
pub(super) fn read(element: Element<'_>, node_zone: &Zone) -> Option<Instance> {
    match element.value.get_ref() {
        DeValue::Table(_) => {}
        DeValue::String(_) => return instance(None, element.read()?, node_zone.clone(), DEFAULT_WEIGHT),
        _ => {
            element.refuse("expected \"host\", \"host:port\" or a table");
            return None;
        }
    }
    let mut section = element.into_section()?;
    let endpoint = section.require("address");
    let id = section.read("id");
    let zone = section.read_or("zone", node_zone.clone());
    let weight = section.read_or("weight", DEFAULT_WEIGHT);
    section.finish();
    instance(id, endpoint?, zone, weight)
}

fn instance(id: Option<InstanceId>, endpoint: Endpoint, zone: Zone, weight: Weight) -> Option<Instance> {
    let id = id.or_else(|| InstanceId::new(&endpoint.to_string()).ok())?;
    let Endpoint { host, port } = endpoint;
    Some(Instance { id, host, port, zone, weight })
}
