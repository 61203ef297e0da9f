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

use super::draft::Draft;
use super::section::{Reading, Section};
use crate::model::{AdminAddress, LoadBalancerName, Node};

/// Reads the whole file.
pub(super) fn draft<'a>(table: &'a Spanned<DeTable<'a>>, reading: &'a Reading) -> Draft {
    let mut root = Section::root(table, reading);
    let node = root.section("node").map_or_else(Node::default, node::read);
    let admin = root.section("admin").map_or(AdminAddress::DEFAULT, node::read_admin);
    let api = root.section("api").map(api::read);
    let inventory = root.section("inventory").map(|section| inventory::read(section, &node.zone)).unwrap_or_default();
    let mut load_balancers = Vec::new();
    if let Some(mut section) = root.section("load_balancers") {
        for (key, name) in section.names(LoadBalancerName::new) {
            load_balancers.extend(section.section(key).map(|section| load_balancer::read(name, section, &node.zone)));
        }
    }
    let admin_span = root.span_of("admin");
    root.finish();
    Draft { node, admin, admin_span, api, inventory, load_balancers }
}
