//! `[load_balancers.NAME.attributes]`.

use super::super::section::{FileRole, Section};
use crate::model::{AccessLog, AccessLogFormat, Attributes, Draining};

/// The attributes; what is not said is ELB's default.
pub(super) fn read(mut section: Section<'_>) -> Attributes {
    let default = Attributes::default();
    let attributes = Attributes {
        idle_timeout: section.read_or("idle_timeout", default.idle_timeout),
        cross_zone: section.read_or("cross_zone", default.cross_zone),
        draining: section.section("draining").map_or(default.draining, draining),
        desync_mitigation: section.read_or("desync_mitigation", default.desync_mitigation),
        access_log: section.section("access_log").and_then(access_log),
        routing: section.read("routing"),
    };
    section.finish();
    attributes
}

fn draining(mut section: Section<'_>) -> Draining {
    let default = Draining::default();
    let draining = Draining {
        enabled: section.require("enabled").unwrap_or(default.enabled),
        timeout: section.read_or("timeout", default.timeout),
    };
    section.finish();
    draining
}

fn access_log(mut section: Section<'_>) -> Option<AccessLog> {
    let path = section.require_file("path", FileRole::Written);
    let format = section.read_or("format", AccessLogFormat::Elb);
    section.finish();
    Some(AccessLog { path: path?, format })
}
