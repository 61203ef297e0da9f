//! From ELB's attributes to a policy of the model, and back.

use super::schema::{
    self, COOKIE_NAME, Cardinality, EXPIRATION, PROXY_PROTOCOL, PUBLIC_KEY, PUBLIC_KEY_NAME, REFERENCE,
};
use crate::control::api::error::ApiError;
use crate::control::api::query::{Unfit, boolean};
use crate::model::{
    Cipher, CookieName, Count, CustomPolicy, Invalid, Keyword, Policy, PolicyName, PolicyType, PredefinedPolicy,
    ProxyProtocolVersion, PublicKey, SecurityPolicy, TlsVersion,
};
use crate::tls::TlsPolicy;
use std::fmt::Display;

/// ELB's name of the attribute that says whose order of ciphers counts.
const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

/// The policy of this type with these attributes.
///
/// # Errors
///
/// `InvalidConfigurationRequest` when an attribute is unknown, given too often or not often enough, or has a wrong
/// value.
pub fn policy(kind: PolicyType, attributes: &[(String, String)]) -> Result<Policy, ApiError> {
    let given = Given { kind, attributes };
    given.check_names()?;
    Ok(match kind {
        PolicyType::LbCookieStickiness => {
            Policy::LbCookieStickiness { cookie_expiration_period: given.one(EXPIRATION, expiration)?.flatten() }
        }
        PolicyType::AppCookieStickiness => {
            Policy::AppCookieStickiness { cookie_name: given.the(COOKIE_NAME, CookieName::new)? }
        }
        PolicyType::SslNegotiation => Policy::SslNegotiation(given.security_policy()?),
        PolicyType::ProxyProtocol => {
            let enabled = given.the(PROXY_PROTOCOL, boolean)?;
            Policy::ProxyProtocol { enabled, version: ProxyProtocolVersion::V1 }
        }
        PolicyType::PublicKey => Policy::PublicKey(given.the(PUBLIC_KEY, PublicKey::new)?),
        PolicyType::BackendServerAuthentication => {
            let public_key_policies =
                given.values(PUBLIC_KEY_NAME).map(|name| given.read(PUBLIC_KEY_NAME, name, PolicyName::new));
            Policy::BackendServerAuthentication { public_key_policies: public_key_policies.collect::<Result<_, _>>()? }
        }
    })
}

/// The attributes with which a policy could have been asked for.
pub fn attributes(policy: &Policy) -> Vec<(String, String)> {
    let pair = |name: &str, value: &dyn Display| (name.to_owned(), value.to_string());
    match policy {
        Policy::LbCookieStickiness { cookie_expiration_period } => {
            cookie_expiration_period.iter().map(|period| pair(EXPIRATION, period)).collect()
        }
        Policy::AppCookieStickiness { cookie_name } => vec![pair(COOKIE_NAME, cookie_name)],
        Policy::SslNegotiation(SecurityPolicy::Predefined(reference)) => vec![pair(REFERENCE, reference)],
        Policy::SslNegotiation(policy @ SecurityPolicy::Custom(_)) => {
            let enabled = security_attributes(policy).into_iter().filter(|(_, enabled)| *enabled);
            enabled.map(|(name, _)| pair(name, &true)).collect()
        }
        Policy::ProxyProtocol { enabled, .. } => vec![pair(PROXY_PROTOCOL, enabled)],
        Policy::PublicKey(key) => vec![pair(PUBLIC_KEY, &key.as_str())],
        Policy::BackendServerAuthentication { public_key_policies } => {
            public_key_policies.iter().map(|name| pair(PUBLIC_KEY_NAME, name)).collect()
        }
    }
}

/// The attributes as DescribeLoadBalancerPolicies tells them: those that were `sent`, with what ELB adds.
pub fn description(policy: &Policy, sent: &[(String, String)]) -> Vec<(String, String)> {
    match policy {
        Policy::LbCookieStickiness { cookie_expiration_period: None } => vec![(EXPIRATION.to_owned(), "0".to_owned())],
        Policy::SslNegotiation(policy) => {
            let reference = sent.iter().filter(|(name, _)| name == REFERENCE).cloned();
            let expanded = security_attributes(policy).into_iter();
            reference.chain(expanded.map(|(name, enabled)| (name.to_owned(), enabled.to_string()))).collect()
        }
        _ => sent.to_vec(),
    }
}

/// Every protocol, the order and every cipher, in ELB's order, with whether the policy enables it.
pub(super) fn security_attributes(policy: &SecurityPolicy) -> Vec<(&'static str, bool)> {
    TlsPolicy::of(policy).attributes().collect()
}

/// The attributes of one policy, being read.
struct Given<'a> {
    kind: PolicyType,
    attributes: &'a [(String, String)],
}

impl Given<'_> {
    fn check_names(&self) -> Result<(), ApiError> {
        let known = schema::attribute_types(self.kind);
        if let Some((name, _)) = self.attributes.iter().find(|(name, _)| known.iter().all(|known| known.name != name)) {
            return Err(self.refuse(format_args!("has no attribute {name}")));
        }
        match known.iter().find(|known| !known.cardinality.allows(self.values(known.name).count())) {
            Some(wrong) => {
                let often = match wrong.cardinality {
                    Cardinality::One => "exactly once",
                    Cardinality::ZeroOrOne => "once at most",
                    Cardinality::OneOrMore => "at least once",
                };
                Err(self.refuse(format_args!("takes the attribute {} {often}", wrong.name)))
            }
            None => Ok(()),
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.attributes.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of an attribute that is given once or not.
    fn one<T, E: Into<Unfit>>(&self, name: &str, parse: fn(&str) -> Result<T, E>) -> Result<Option<T>, ApiError> {
        self.values(name).next().map(|value| self.read(name, value, parse)).transpose()
    }

    /// The value of an attribute that is given once.
    fn the<T, E: Into<Unfit>>(&self, name: &str, parse: fn(&str) -> Result<T, E>) -> Result<T, ApiError> {
        let value = self.one(name, parse)?;
        value.ok_or_else(|| self.refuse(format_args!("needs the attribute {name}")))
    }

    fn read<T, E: Into<Unfit>>(&self, name: &str, value: &str, parse: fn(&str) -> Result<T, E>) -> Result<T, ApiError> {
        parse(value).map_err(|unfit| match unfit.into() {
            Unfit::Says(text) | Unfit::Constraint(text) => {
                self.refuse(format_args!("does not take '{value}' as {name}: {text}"))
            }
        })
    }

    /// A predefined policy by reference, or protocols and ciphers one by one; with nothing at all ELB's default, spelled
    /// out. Not both, since it would not be plain which of them holds.
    fn security_policy(&self) -> Result<SecurityPolicy, ApiError> {
        if let Some(reference) = self.one(REFERENCE, predefined)? {
            return match self.attributes.iter().find(|(name, _)| name != REFERENCE) {
                Some((name, _)) => {
                    Err(self.refuse(format_args!("with {REFERENCE} takes no other attribute, not {name}")))
                }
                None => Ok(SecurityPolicy::Predefined(reference)),
            };
        }
        let mut enabled = Vec::new();
        for (name, value) in self.attributes {
            enabled.extend(self.read(name, value, boolean)?.then_some(name.as_str()));
        }
        if self.attributes.is_empty() {
            let defaults = security_attributes(&SecurityPolicy::Predefined(PredefinedPolicy::ELB_DEFAULT));
            enabled.extend(defaults.into_iter().filter(|(_, enabled)| *enabled).map(|(name, _)| name));
        }
        let versions = TlsVersion::ALL.iter().copied().filter(|version| enabled.contains(&version.as_str()));
        let ciphers = Cipher::all().filter(|cipher| enabled.contains(&cipher.name()));
        let custom = CustomPolicy::new(versions.collect(), ciphers.collect(), enabled.contains(&SERVER_ORDER));
        custom.map(SecurityPolicy::Custom).map_err(|invalid| ApiError::conflict(invalid.to_string()))
    }

    fn refuse(&self, what: impl Display) -> ApiError {
        ApiError::conflict(format!("A policy of type {} {what}", self.kind))
    }
}

fn predefined(name: &str) -> Result<PredefinedPolicy, Invalid> {
    PredefinedPolicy::from_name(name).ok_or_else(|| Invalid::new("there is no such predefined policy"))
}

/// Zero is a cookie that lives as long as the browser runs.
fn expiration(text: &str) -> Result<Option<Count<1, 1_000_000_000>>, Invalid> {
    let seconds = text.parse().map_err(|_| Invalid::new("expected a number of seconds"))?;
    if seconds == 0 { Ok(None) } else { Count::new(seconds).map(Some) }
}
