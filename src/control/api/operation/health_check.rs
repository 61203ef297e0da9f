//! ConfigureHealthCheck.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::answer::Xml;
use crate::control::api::error::ApiError;
use crate::control::api::query::{Reader, count, seconds};
use crate::model::{HealthCheck, HealthTarget};
use std::ops::RangeInclusive;

/// Seconds between two probes; the file may ask for less.
const INTERVAL_S: RangeInclusive<i64> = 5..=300;
/// Seconds that a probe may take.
const TIMEOUT_S: RangeInclusive<i64> = 2..=60;

/// Replaces the health check.
pub(super) fn configure(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, check) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let check = reader.required_structure("HealthCheck", read);
        Some((name?, check?))
    })?;
    let edited = call.edit(&name, |draft| {
        draft.parts.health_check = check;
        Ok(())
    })?;
    Ok(edited.answer(|xml, record| write(xml, &record.health_check)))
}

/// Writes the health check of a load balancer.
pub(super) fn write(xml: &mut Xml, check: &HealthCheck) {
    // Clients read whole seconds. A file's shorter interval shows as one second, not as none.
    let whole_seconds = |milliseconds: u32| milliseconds.div_ceil(1_000);
    xml.element("HealthCheck", |xml| {
        xml.text("Target", check.target());
        xml.text("Interval", whole_seconds(check.interval().as_ms()));
        xml.text("Timeout", whole_seconds(check.timeout().as_ms()));
        xml.text("UnhealthyThreshold", check.unhealthy_threshold());
        xml.text("HealthyThreshold", check.healthy_threshold());
    });
}

fn read(reader: &Reader<'_>) -> Option<HealthCheck> {
    let target = reader.required("Target", str::parse::<HealthTarget>);
    let interval = reader.required("Interval", seconds(INTERVAL_S));
    let timeout = reader.required("Timeout", seconds(TIMEOUT_S));
    let unhealthy = reader.required("UnhealthyThreshold", count);
    let healthy = reader.required("HealthyThreshold", count);
    match HealthCheck::new(target?, interval?, timeout?, healthy?, unhealthy?) {
        Ok(check) => Some(check),
        Err(invalid) => reader.refuse(invalid.to_string()),
    }
}
