//! `[load_balancers.NAME.health_check]`.

use super::super::section::Section;
use crate::model::HealthCheck;

/// The health check; what it does not say is as in `default`.
pub(super) fn read(mut section: Section<'_>, default: HealthCheck) -> HealthCheck {
    let target = section.read_or("target", default.target().clone());
    let interval = section.read_or("interval", default.interval());
    let timeout = section.read_or("timeout", HealthCheck::default_timeout(interval));
    let healthy_threshold = section.read_or("healthy_threshold", default.healthy_threshold());
    let unhealthy_threshold = section.read_or("unhealthy_threshold", default.unhealthy_threshold());
    let check = HealthCheck::new(target, interval, timeout, healthy_threshold, unhealthy_threshold);
    let check = check.unwrap_or_else(|invalid| {
        section.refuse(section.span_of("timeout"), format!("timeout: {invalid}, found {timeout}"));
        default
    });
    section.finish();
    check
}
