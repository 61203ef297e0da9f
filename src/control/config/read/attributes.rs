//! `[load_balancers.NAME.attributes]`.

use super::super::section::{FileRole, Section};
use crate::model::{AccessLog, AccessLogFormat, Attributes, Draining, OutlierDetection, Rotation};

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
        slow_start: section.read_or("slow_start", default.slow_start),
        outlier_detection: section.section("outlier_detection").map(outlier_detection),
        proxy_status: section.read_or("proxy_status", default.proxy_status),
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
    let path = section.require_file("path", FileRole::Log);
    let format = section.read_or("format", AccessLogFormat::Elb);
    let default = Rotation::default();
    let rotation = Rotation {
        size: section.read_or("rotate_size", default.size),
        interval: section.read_or("rotate_interval", default.interval),
        keep: section.read_or("keep", default.keep),
    };
    section.finish();
    Some(AccessLog { path: path?, format, rotation })
}

/// What is not said is the default; the longest time is never less than the first.
fn outlier_detection(mut section: Section<'_>) -> OutlierDetection {
    let default = OutlierDetection::default();
    let base_ejection_time = section.read_or("base_ejection_time", default.base_ejection_time);
    let max_ejection_time = section.read("max_ejection_time");
    if max_ejection_time.is_some_and(|max| max < base_ejection_time) {
        let message = format!("max_ejection_time: expected at least base_ejection_time, {base_ejection_time} seconds");
        section.refuse(section.span_of("max_ejection_time"), message);
    }
    let detection = OutlierDetection {
        consecutive_5xx: section.read_or("consecutive_5xx", default.consecutive_5xx),
        consecutive_connect_failures: section
            .read_or("consecutive_connect_failures", default.consecutive_connect_failures),
        base_ejection_time,
        max_ejection_time: max_ejection_time.unwrap_or(default.max_ejection_time.max(base_ejection_time)),
        max_ejection_percent: section.read_or("max_ejection_percent", default.max_ejection_percent),
    };
    section.finish();
    detection
}
