//! DescribeLoadBalancerAttributes, ModifyLoadBalancerAttributes.

use super::call::{Call, Done, load_balancer_name};
use crate::control::api::answer::Xml;
use crate::control::api::error::{ApiError, ErrorCode};
use crate::control::api::query::{Reader, Unfit, boolean, number, seconds};
use crate::control::api::state::bucket::{Bucket, BucketPrefix, EmitInterval};
use crate::control::api::state::{Draft, Record};
use crate::model::{DesyncMitigation, Keyword, Seconds};
use std::ops::RangeInclusive;

/// The one attribute that ELB has beside its structures.
const DESYNC_MITIGATION: &str = "elb.http.desyncmitigationmode";

/// Seconds of silence on a connection.
const IDLE_TIMEOUT_S: RangeInclusive<i64> = 1..=4_000;
/// Seconds that an instance has to finish.
const DRAINING_TIMEOUT_S: RangeInclusive<i64> = 1..=3_600;

/// Tells all attributes.
pub(super) fn describe(call: &Call<'_>) -> Result<Xml, ApiError> {
    let name = call.read(load_balancer_name)?;
    let record = call.record(&name)?;
    let mut xml = Xml::default();
    write(&mut xml, record, Sections::ALL);
    Ok(xml)
}

/// Changes those attributes that are named, and tells them alone.
pub(super) fn modify(call: &Call<'_>) -> Result<Done, ApiError> {
    let (name, wanted) = call.read(|reader| {
        let name = load_balancer_name(reader);
        let wanted = reader.structure("LoadBalancerAttributes", Wanted::read);
        Some((name?, wanted?.unwrap_or_default()))
    })?;
    let sections = wanted.sections();
    let edited = call.edit(&name, |draft| wanted.apply(draft))?;
    Ok(edited.answer(|xml, record| {
        xml.text("LoadBalancerName", &record.name);
        write(xml, record, sections);
    }))
}

/// What is to be changed.
#[derive(Default)]
struct Wanted {
    cross_zone: Option<bool>,
    access_log: Option<WantedAccessLog>,
    draining: Option<WantedDraining>,
    idle_timeout: Option<Seconds<1_000, 4_000_000>>,
    additional: Vec<(String, String)>,
}

struct WantedAccessLog {
    enabled: bool,
    emit_interval: Option<EmitInterval>,
    bucket: Option<Bucket>,
    prefix: Option<BucketPrefix>,
}

struct WantedDraining {
    enabled: bool,
    timeout: Option<Seconds<1_000, 3_600_000>>,
}

/// Which structures an answer holds.
#[derive(Clone, Copy)]
struct Sections {
    cross_zone: bool,
    access_log: bool,
    draining: bool,
    idle_timeout: bool,
    additional: bool,
}

impl Sections {
    const ALL: Self = Self { cross_zone: true, access_log: true, draining: true, idle_timeout: true, additional: true };
}

impl Wanted {
    fn read(reader: &Reader<'_>) -> Option<Self> {
        let cross_zone = reader.structure("CrossZoneLoadBalancing", |reader| reader.required("Enabled", boolean));
        let access_log = reader.structure("AccessLog", WantedAccessLog::read);
        let draining = reader.structure("ConnectionDraining", |reader| {
            let enabled = reader.required("Enabled", boolean);
            let timeout = reader.optional("Timeout", seconds(DRAINING_TIMEOUT_S));
            Some(WantedDraining { enabled: enabled?, timeout: timeout? })
        });
        let idle_timeout =
            reader.structure("ConnectionSettings", |reader| reader.required("IdleTimeout", seconds(IDLE_TIMEOUT_S)));
        let additional = reader.list("AdditionalAttributes", |reader| {
            let (key, value) = (reader.text("Key"), reader.text("Value"));
            Some((key?, value?))
        });
        Some(Self {
            cross_zone: cross_zone?,
            access_log: access_log?,
            draining: draining?,
            idle_timeout: idle_timeout?,
            additional: additional?.unwrap_or_default(),
        })
    }

    fn sections(&self) -> Sections {
        Sections {
            cross_zone: self.cross_zone.is_some(),
            access_log: self.access_log.is_some(),
            draining: self.draining.is_some(),
            idle_timeout: self.idle_timeout.is_some(),
            additional: !self.additional.is_empty(),
        }
    }

    fn apply(self, draft: &mut Draft) -> Result<(), ApiError> {
        if let Some(access_log) = self.access_log {
            access_log.apply(draft)?;
        }
        let attributes = &mut draft.parts.attributes;
        attributes.cross_zone = self.cross_zone.unwrap_or(attributes.cross_zone);
        attributes.idle_timeout = self.idle_timeout.unwrap_or(attributes.idle_timeout);
        if let Some(WantedDraining { enabled, timeout }) = self.draining {
            attributes.draining.enabled = enabled;
            // As in ELB, a timeout counts when draining is on.
            attributes.draining.timeout = timeout.filter(|_| enabled).unwrap_or(attributes.draining.timeout);
        }
        for (key, value) in self.additional {
            if key != DESYNC_MITIGATION {
                let message = format!("Load balancer attribute '{key}' does not exist");
                return Err(ApiError::new(ErrorCode::LoadBalancerAttributeNotFound, message));
            }
            attributes.desync_mitigation = DesyncMitigation::from_word(&value).ok_or_else(|| {
                ApiError::validation(format!("{key} cannot be '{value}': expected {}", DesyncMitigation::expected()))
            })?;
        }
        Ok(())
    }
}

impl WantedAccessLog {
    fn read(reader: &Reader<'_>) -> Option<Self> {
        let enabled = reader.required("Enabled", boolean);
        let emit_interval = reader.optional("EmitInterval", emit_interval);
        let bucket = reader.optional("S3BucketName", Bucket::new);
        let prefix = reader.optional("S3BucketPrefix", BucketPrefix::new);
        Some(Self { enabled: enabled?, emit_interval: emit_interval?, bucket: bucket?, prefix: prefix? })
    }

    /// What is not said stays as it was, also while the log is off.
    fn apply(self, draft: &mut Draft) -> Result<(), ApiError> {
        let facts = &mut draft.facts.access_log;
        facts.enabled = self.enabled;
        facts.emit_interval = self.emit_interval.or(facts.emit_interval);
        if self.bucket.is_some() {
            facts.prefix = self.prefix;
        } else {
            facts.prefix = self.prefix.or_else(|| facts.prefix.take());
        }
        facts.bucket = self.bucket.or_else(|| facts.bucket.take());
        if facts.enabled && facts.bucket.is_none() && draft.parts.attributes.access_log.is_none() {
            return Err(ApiError::validation("An access log needs an S3BucketName"));
        }
        Ok(())
    }
}

fn emit_interval(text: &str) -> Result<EmitInterval, Unfit> {
    Ok(EmitInterval::new(number(0..=60)(text)?)?)
}

fn write(xml: &mut Xml, record: &Record, sections: Sections) {
    let attributes = &record.attributes;
    xml.element("LoadBalancerAttributes", |xml| {
        if sections.cross_zone {
            xml.element("CrossZoneLoadBalancing", |xml| xml.text("Enabled", attributes.cross_zone));
        }
        if sections.access_log {
            write_access_log(xml, record);
        }
        if sections.draining {
            xml.element("ConnectionDraining", |xml| {
                xml.text("Enabled", attributes.draining.enabled);
                xml.text("Timeout", attributes.draining.timeout.as_ms() / 1_000);
            });
        }
        if sections.idle_timeout {
            xml.element("ConnectionSettings", |xml| {
                xml.text("IdleTimeout", attributes.idle_timeout.as_ms() / 1_000);
            });
        }
        if sections.additional {
            xml.list("AdditionalAttributes", [attributes.desync_mitigation], |xml, mode| {
                xml.text("Key", DESYNC_MITIGATION);
                xml.text("Value", mode);
            });
        }
    });
}

/// One that was never spoken of is off, and that is all.
fn write_access_log(xml: &mut Xml, record: &Record) {
    let facts = &record.facts().access_log;
    let interval = facts.emit_interval.or_else(|| facts.bucket.is_some().then_some(EmitInterval::Sixty));
    xml.element("AccessLog", |xml| {
        xml.text("Enabled", facts.enabled);
        xml.optional("S3BucketName", facts.bucket.as_ref());
        xml.optional("EmitInterval", interval.map(EmitInterval::minutes));
        xml.optional("S3BucketPrefix", facts.prefix.as_ref());
    });
}
