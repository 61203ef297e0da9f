//! A TOML value as a value of the model.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::suggestion::did_you_mean;
use crate::model::{
    AccessKeyId, AdminAddress, CookieName, CoreList, Cores, Count, Endpoint, HealthTarget, Host, HostName, InstanceId,
    Invalid, Keyword, LoadBalancerName, PolicyName, Port, ProxyProtocolVersion, PublicKey, Region, ResourceName,
    Seconds, Zone,
};

/// What can be read from a TOML value.
pub(super) trait FromValue: Sized {
    /// The value, or what was expected instead.
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch>;
}

/// Why a value is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// What was expected.
    pub expected: String,
    /// A remark: "did you mean".
    pub hint: Option<String>,
}

impl From<Invalid> for Mismatch {
    fn from(invalid: Invalid) -> Self {
        Self { expected: invalid.to_string(), hint: None }
    }
}

fn expected<T>(what: &str) -> Result<T, Mismatch> {
    Err(Mismatch { expected: format!("expected {what}"), hint: None })
}

/// What a value is, for "found ..." in messages: short values as they are, long ones by their kind.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => format!("\"{text}\""),
        DeValue::String(text) => format!("\"{}…\"", text.chars().take(59).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(array) if array.len() <= 8 && array.iter().all(|value| is_plain(value.get_ref())) => {
            let values: Vec<String> = array.iter().map(|value| describe(value.get_ref())).collect();
            format!("[{}]", values.join(", "))
        }
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn is_plain(value: &DeValue<'_>) -> bool {
    !matches!(value, DeValue::Array(_) | DeValue::Table(_))
}

impl FromValue for bool {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        value.as_bool().map_or_else(|| expected("true or false"), Ok)
    }
}

impl FromValue for String {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        text(value).map(str::to_owned)
    }
}

impl<K: Keyword> FromValue for K {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        let written = value.as_str().unwrap_or_default();
        K::from_word(written).ok_or_else(|| Mismatch {
            expected: format!("expected {}", K::expected()),
            hint: did_you_mean(written, K::ALL.iter().map(|word| word.as_str())),
        })
    }
}

impl<const MIN: u32, const MAX: u32> FromValue for Count<MIN, MAX> {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        Ok(Self::new(integer(value).unwrap_or(-1))?)
    }
}

/// 0 for `None`.
impl<const MIN: u32, const MAX: u32> FromValue for Option<Count<MIN, MAX>> {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        match integer(value) {
            Some(0) => Ok(None),
            number => match (Count::new(number.unwrap_or(-1)), MIN) {
                (Ok(count), _) => Ok(Some(count)),
                (Err(_), 1) => expected(&format!("0 for none or a whole number up to {MAX}")),
                (Err(_), _) => expected(&format!("0 for none or a whole number from {MIN} to {MAX}")),
            },
        }
    }
}

/// 0 for `None`.
impl<const MIN_MS: u32, const MAX_MS: u32> FromValue for Option<Seconds<MIN_MS, MAX_MS>> {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        let seconds = number(value).unwrap_or(f64::NAN);
        if seconds == 0.0 {
            return Ok(None);
        }
        let written = |ms: u32| f64::from(ms) / 1000.0;
        match Seconds::new(seconds) {
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => expected(&format!("0 for none or {} to {} seconds", written(MIN_MS), written(MAX_MS))),
        }
    }
}

impl<const MIN_MS: u32, const MAX_MS: u32> FromValue for Seconds<MIN_MS, MAX_MS> {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        Ok(Self::new(number(value).unwrap_or(f64::NAN))?)
    }
}

/// `"auto"` or a list of CPU numbers.
impl FromValue for Cores {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        let number = |value: &Spanned<DeValue<'_>>| u16::try_from(integer(value.get_ref())?).ok();
        let numbers = match value {
            DeValue::String(word) if word == "auto" => return Ok(Self::Auto),
            DeValue::Array(numbers) => numbers.iter().map(number).collect(),
            _ => None,
        };
        match numbers {
            Some(numbers) => Ok(Self::List(CoreList::new(numbers)?)),
            None => expected("\"auto\" or a list of CPU numbers"),
        }
    }
}

/// ELB's version 1, or 2.
impl FromValue for ProxyProtocolVersion {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        match integer(value) {
            Some(1) => Ok(Self::V1),
            Some(2) => Ok(Self::V2),
            _ => expected("1 or 2"),
        }
    }
}

impl FromValue for Port {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        Ok(Self::new(integer(value).unwrap_or(0))?)
    }
}

/// A network, or a single address as the network of itself. Bits beyond the prefix are a mistake: `10.0.0.1/8` may
/// have been meant as one machine or as a whole net.
impl FromValue for IpNet {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        let written = text(value)?;
        let net = written.parse().or_else(|_| written.parse::<IpAddr>().map(IpNet::from));
        match net {
            Ok(net) if net.addr() == net.network() => Ok(net),
            Ok(net) => Err(Mismatch {
                expected: "expected a network without bits beyond its prefix".to_owned(),
                hint: Some(format!("did you mean \"{}\"?", net.trunc())),
            }),
            Err(_) => expected("a network like \"10.0.0.0/8\" or an IP address"),
        }
    }
}

impl FromValue for IpAddr {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        text(value)?.parse().or_else(|_| expected("an IP address"))
    }
}

impl FromValue for SocketAddr {
    fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
        match text(value)?.parse::<Self>() {
            Ok(address) if address.port() != 0 => Ok(address),
            _ => expected("\"address:port\""),
        }
    }
}

/// Types that are made from text by a checking function.
macro_rules! from_text {
    ($($type:ty = $make:expr),+ $(,)?) => { $(
        impl FromValue for $type {
            fn from_value(value: &DeValue<'_>) -> Result<Self, Mismatch> {
                let make: fn(&str) -> Result<Self, Invalid> = $make;
                Ok(make(text(value)?)?)
            }
        }
    )+ };
}

from_text! {
    AccessKeyId = Self::new,
    AdminAddress = str::parse,
    CookieName = Self::new,
    Endpoint = str::parse,
    HealthTarget = str::parse,
    Host = str::parse,
    HostName = Self::new,
    InstanceId = Self::new,
    LoadBalancerName = Self::new,
    PolicyName = Self::new,
    PublicKey = Self::new,
    Region = Self::new,
    ResourceName = Self::new,
    Zone = Self::new,
}

fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Mismatch> {
    value.as_str().map_or_else(|| expected("a string"), Ok)
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => integer(value).map(|number| number as f64),
    }
}
