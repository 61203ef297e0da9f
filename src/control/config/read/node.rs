//! `[node]` and `[admin]`.

use std::ops::Range;

use super::super::section::{FileRole, Section};
use crate::model::{AdminAddress, Node};

/// The node.
pub(super) fn read(mut section: Section<'_>) -> Node {
    let default = Node::default();
    let node = Node {
        cores: section.read_or("cores", default.cores),
        zone: section.read_or("zone", default.zone),
        max_connections: section.read_or("max_connections", default.max_connections),
        state_dir: section.path("state_dir").unwrap_or(default.state_dir),
        sticky_key_file: section.file("sticky_key_file", FileRole::Input),
        pid_file: section.file("pid_file", FileRole::Written),
        ticket_key_file: section.file("ticket_key_file", FileRole::TicketKey),
    };
    section.finish();
    node
}

/// The address of the admin pages, and where it stands.
pub(super) fn read_admin(mut section: Section<'_>) -> (AdminAddress, Range<usize>) {
    let address = section.read_or("address", AdminAddress::DEFAULT);
    let span = section.span_of("address");
    section.finish();
    (address, span)
}
