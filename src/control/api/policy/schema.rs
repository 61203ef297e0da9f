//! Which attributes a policy of each type has, as DescribeLoadBalancerPolicyTypes tells.

use crate::control::api::policy::attributes::security_attributes;
use crate::model::{PolicyType, PredefinedPolicy, SecurityPolicy};

/// The attribute of an SSL negotiation policy that names a predefined one.
pub const REFERENCE: &str = "Reference-Security-Policy";
/// The attribute of a duration-based cookie.
pub const EXPIRATION: &str = "CookieExpirationPeriod";
/// The attribute of an application-controlled cookie.
pub const COOKIE_NAME: &str = "CookieName";
/// The attribute of a PROXY protocol policy.
pub const PROXY_PROTOCOL: &str = "ProxyProtocol";
/// The attribute of a public key policy.
pub const PUBLIC_KEY: &str = "PublicKey";
/// The attribute of a back-end authentication policy.
pub const PUBLIC_KEY_NAME: &str = "PublicKeyPolicyName";

/// One attribute that policies of a type may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeType {
    /// Its name.
    pub name: &'static str,
    /// ELB's word for the kind of its value.
    pub kind: &'static str,
    /// What it is for.
    pub description: String,
    /// What holds when it is not given.
    pub default: Option<String>,
    /// How often it may be given.
    pub cardinality: Cardinality,
}

/// How often an attribute may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Once.
    One,
    /// Once or not.
    ZeroOrOne,
    /// At least once.
    OneOrMore,
}

impl Cardinality {
    /// ELB's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "ONE",
            Self::ZeroOrOne => "ZERO_OR_ONE",
            Self::OneOrMore => "ONE_OR_MORE",
        }
    }

    /// Whether an attribute may be given this often.
    pub const fn allows(self, times: usize) -> bool {
        match self {
            Self::One => times == 1,
            Self::ZeroOrOne => times <= 1,
            Self::OneOrMore => times >= 1,
        }
    }
}

/// What a policy of this type does, and where it may be attached.
pub fn description(kind: PolicyType) -> String {
    let purpose = match kind {
        PolicyType::LbCookieStickiness => "Keeps a client with its instance by a cookie of the load balancer",
        PolicyType::AppCookieStickiness => "Keeps a client with its instance while a cookie of the application lives",
        PolicyType::SslNegotiation => "Says which TLS protocols and ciphers clients may negotiate",
        PolicyType::ProxyProtocol => "Tells instances the client's address by a PROXY protocol header",
        PolicyType::PublicKey => "Holds a public key that an instance may show",
        PolicyType::BackendServerAuthentication => "Accepts only instances that show one of the public keys",
    };
    format!("{purpose}. May be attached to {}.", kind.attachable_to())
}

/// The attributes of a type, in ELB's order.
pub fn attribute_types(kind: PolicyType) -> Vec<AttributeType> {
    let one = |name, kind, cardinality, description: &str| {
        vec![AttributeType { name, kind, description: description.to_owned(), default: None, cardinality }]
    };
    match kind {
        PolicyType::LbCookieStickiness => {
            one(EXPIRATION, "Long", Cardinality::ZeroOrOne, "Seconds a cookie lives; 0: as long as the browser runs")
        }
        PolicyType::AppCookieStickiness => one(COOKIE_NAME, "String", Cardinality::One, "The application's cookie"),
        PolicyType::SslNegotiation => ssl_negotiation(),
        PolicyType::ProxyProtocol => one(PROXY_PROTOCOL, "Boolean", Cardinality::One, "Whether the header is sent"),
        PolicyType::PublicKey => {
            one(PUBLIC_KEY, "String", Cardinality::One, "A DER SubjectPublicKeyInfo in base64, without its PEM frame")
        }
        PolicyType::BackendServerAuthentication => {
            one(PUBLIC_KEY_NAME, "PolicyName", Cardinality::OneOrMore, "A policy of type PublicKeyPolicyType")
        }
    }
}

/// A reference, then every protocol and cipher with its value in ELB's default policy.
fn ssl_negotiation() -> Vec<AttributeType> {
    let mut types = vec![AttributeType {
        name: REFERENCE,
        kind: "String",
        description: "A predefined policy to take everything from".to_owned(),
        default: None,
        cardinality: Cardinality::ZeroOrOne,
    }];
    let defaults = security_attributes(&SecurityPolicy::Predefined(PredefinedPolicy::ELB_DEFAULT));
    types.extend(defaults.into_iter().map(|(name, enabled)| AttributeType {
        name,
        kind: "Boolean",
        description: format!("A description for {name}"),
        default: Some(enabled.to_string()),
        cardinality: Cardinality::ZeroOrOne,
    }));
    types
}
