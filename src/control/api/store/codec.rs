//! A record as bytes: JSON that holds the load balancer in the words of the configuration file, and beside it the facts
//! that only the API has. What reads a file reads this, and whoever looks into the store can read it too.

use crate::control::api::state::bucket::{Bucket, BucketPrefix, EmitInterval};
use crate::control::api::state::{AccessLogFacts, Draft, Facts, Origin, PolicyFacts, Record, Scheme, TagKey, TagValue};
use crate::control::config;
use crate::model::{Invalid, PolicyName, Port, ResourceName, Zone};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The bytes of a record.
///
/// # Errors
///
/// None that is known: JSON has words for all that a record holds.
pub fn encode(record: &Record) -> Result<Vec<u8>, Invalid> {
    serde_json::to_vec(&Written::of(record)).map_err(|error| Invalid::new(error.to_string()))
}

/// The record that bytes describe, to be settled.
///
/// # Errors
///
/// What is wrong with them, in a sentence.
pub fn decode(bytes: &[u8]) -> Result<(Draft, Origin), Invalid> {
    let written: Written = serde_json::from_slice(bytes).map_err(|error| Invalid::new(error.to_string()))?;
    let parts = config::parse_load_balancer(&written.load_balancer);
    let parts = parts.map_err(|report| Invalid::new(report.to_string()))?;
    let origin = match written.origin {
        WrittenOrigin::Api => Origin::Api,
        WrittenOrigin::Imported => Origin::Imported,
    };
    Ok((Draft { parts, facts: written.facts.read()? }, origin))
}

/// What a record holds as a tree of names and values, to be compared.
pub fn tree(draft: &Draft) -> Value {
    let section: Option<Value> = toml::from_str(&config::write_load_balancer(&draft.parts)).ok();
    let facts = serde_json::to_value(WrittenFacts::of(&draft.facts)).unwrap_or_default();
    // The one entry of `load_balancers`, whatever its name.
    let name = draft.parts.name.as_str();
    let section = section.and_then(|mut file| file.get_mut("load_balancers")?.get_mut(name).map(Value::take));
    serde_json::json!({ "load_balancer": section, "facts": facts })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    origin: WrittenOrigin,
    load_balancer: String,
    facts: WrittenFacts,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenOrigin {
    Api,
    Imported,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFacts {
    created_ms: i64,
    scheme: String,
    subnets: BTreeMap<String, String>,
    security_groups: Vec<(String, Vec<String>)>,
    certificates: BTreeMap<String, String>,
    policies: Vec<(String, Vec<(String, String)>)>,
    access_log: WrittenAccessLog,
    tags: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAccessLog {
    enabled: bool,
    emit_interval: Option<u8>,
    bucket: Option<String>,
    prefix: Option<String>,
}

impl Written {
    fn of(record: &Record) -> Self {
        Self {
            origin: match record.origin() {
                Origin::Imported => WrittenOrigin::Imported,
                Origin::Api | Origin::File => WrittenOrigin::Api,
            },
            load_balancer: config::write_load_balancer(record),
            facts: WrittenFacts::of(record.facts()),
        }
    }
}

impl WrittenFacts {
    fn of(facts: &Facts) -> Self {
        let text = |value: &dyn ToString| value.to_string();
        let group = |(id, allow): &(ResourceName, Vec<IpNet>)| (text(id), allow.iter().map(|net| text(net)).collect());
        Self {
            created_ms: facts.created.as_millisecond(),
            scheme: facts.scheme.as_str().to_owned(),
            subnets: facts.subnets.iter().map(|(id, zone)| (text(id), text(zone))).collect(),
            security_groups: facts.security_groups.iter().map(group).collect(),
            certificates: facts.certificates.iter().map(|(port, arn)| (text(port), arn.clone())).collect(),
            policies: facts.policies.iter().map(|known| (text(&known.name), known.attributes.clone())).collect(),
            access_log: WrittenAccessLog {
                enabled: facts.access_log.enabled,
                emit_interval: facts.access_log.emit_interval.map(EmitInterval::minutes),
                bucket: facts.access_log.bucket.as_ref().map(|bucket| text(bucket)),
                prefix: facts.access_log.prefix.as_ref().map(|prefix| text(prefix)),
            },
            tags: facts.tags.iter().map(|(key, value)| (text(key), text(value))).collect(),
        }
    }

    fn read(self) -> Result<Facts, Invalid> {
        Ok(Facts {
            created: Timestamp::from_millisecond(self.created_ms).map_err(|error| Invalid::new(error.to_string()))?,
            scheme: Scheme::from_word(&self.scheme).ok_or_else(|| Invalid::new("no such scheme"))?,
            subnets: pairs(self.subnets, ResourceName::new, Zone::new)?,
            security_groups: self.security_groups.into_iter().map(security_group).collect::<Result<_, _>>()?,
            certificates: pairs(self.certificates, str::parse::<Port>, |arn| Ok(arn.to_owned()))?,
            policies: self.policies.into_iter().map(policy).collect::<Result<_, _>>()?,
            access_log: self.access_log.read()?,
            tags: pairs(self.tags, TagKey::new, TagValue::new)?,
        })
    }
}

impl WrittenAccessLog {
    fn read(self) -> Result<AccessLogFacts, Invalid> {
        Ok(AccessLogFacts {
            enabled: self.enabled,
            emit_interval: self.emit_interval.map(|minutes| EmitInterval::new(minutes.into())).transpose()?,
            bucket: self.bucket.as_deref().map(Bucket::new).transpose()?,
            prefix: self.prefix.as_deref().map(BucketPrefix::new).transpose()?,
        })
    }
}

fn pairs<K: Ord, V>(
    written: BTreeMap<String, String>,
    key: impl Fn(&str) -> Result<K, Invalid>,
    value: impl Fn(&str) -> Result<V, Invalid>,
) -> Result<BTreeMap<K, V>, Invalid> {
    written.iter().map(|(name, text)| Ok((key(name)?, value(text)?))).collect()
}

fn security_group((id, allow): (String, Vec<String>)) -> Result<(ResourceName, Vec<IpNet>), Invalid> {
    let nets = allow.iter().map(|net| net.parse().map_err(|_| Invalid::new(format!("{net} is no network"))));
    Ok((ResourceName::new(&id)?, nets.collect::<Result<_, _>>()?))
}

fn policy((name, attributes): (String, Vec<(String, String)>)) -> Result<PolicyFacts, Invalid> {
    Ok(PolicyFacts { name: PolicyName::new(&name)?, attributes })
}
