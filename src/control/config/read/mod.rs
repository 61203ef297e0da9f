//! Step 2: from the table of the file to a draft. One file per table of the configuration; each says which keys there
//! are, of which kind, and what holds when one is absent. A value that is wrong is noted and its default taken, so
//! that reading goes on.

mod api;
mod attributes;
mod certificate;
mod health_check;
mod instance;
mod inventory;
mod limits;
mod listener;
mod load_balancer;
mod node;
pub(super) mod policy;

use toml::Spanned;
use toml::de::DeTable;

use super::draft::{Draft, DraftLoadBalancer};
use super::section::{Reading, Section};
use crate::model::{AdminAddress, LoadBalancerName, Node, Zone};

/// Reads the whole file.
pub(super) fn draft<'a>(table: &'a Spanned<DeTable<'a>>, reading: &'a Reading) -> Draft {
    let mut root = Section::root(table, reading);
    let node = root.section("node").map_or_else(Node::default, node::read);
    let (admin, admin_span) = root.section("admin").map_or((AdminAddress::DEFAULT, 0..0), node::read_admin);
    let (api, api_spans) = root.section("api").map(api::read).unzip();
    let api_spans = api_spans.unwrap_or_default();
    let inventory = root.section("inventory").map(|section| inventory::read(section, &node.zone)).unwrap_or_default();
    let load_balancers = root.section("load_balancers").map(|section| load_balancers(section, &node.zone));
    root.finish();
    let load_balancers = load_balancers.unwrap_or_default();
    Draft { node, admin, admin_span, api, api_spans, inventory, load_balancers }
}

/// The load balancers. One whose name is wrong is read as well, for its other errors.
fn load_balancers(mut section: Section<'_>, node_zone: &Zone) -> Vec<DraftLoadBalancer> {
    let mut load_balancers = Vec::new();
    for (key, name) in section.names(LoadBalancerName::new) {
        let table = section.section(key);
        load_balancers.extend(table.and_then(|table| load_balancer::read(name, table, node_zone)));
    }
    load_balancers
}
