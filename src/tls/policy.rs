//! Security policies: which protocol versions and ciphers a listener wants, what of that can be negotiated, and
//! which entries stay inactive because the TLS library refuses them on purpose (CBC, RC4, 3DES, static RSA,
//! everything before TLS 1.2). Building a listener's configuration from it is `settings`'s.

use std::fmt;

use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::cipher::{Protocol, suite_named, suite_protocol};
use super::predefined::{ALIASES, CHACHA20, CLASSIC, Definition, ELB, OURS, TLS13};

/// The policy of a listener that names none: TLS 1.3 with TLS 1.2 as fallback.
pub const DEFAULT_POLICY: &str = "Elbow-TLS-1-2-2026";

const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

/// The protocol attributes in ELB's canonical order, which is not that of their age.
const CLASSIC_PROTOCOLS: [Protocol; 4] = [Protocol::TlsV1, Protocol::SslV3, Protocol::TlsV1_1, Protocol::TlsV1_2];

/// Whose preference decides among the ciphers both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherOrder {
    /// Ours: `Server-Defined-Cipher-Order` is true.
    Server,
    /// The client's.
    Client,
}

/// A security policy as stored and shown: every entry it enables, negotiable or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    protocols: Vec<Protocol>,
    ciphers: Vec<&'static str>,
    order: CipherOrder,
}

impl SecurityPolicy {
    /// The policy published under `name` by ELB or by us.
    pub fn predefined(name: &str) -> Option<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, real)| real);
        OURS.iter().chain(&ELB).find(|known| known.name == name).map(Self::from_definition)
    }

    /// The names [`Self::predefined`] knows, aliases aside: ELB's in the order its API lists them, then ours.
    pub fn predefined_names() -> impl Iterator<Item = &'static str> {
        ELB.iter().chain(&OURS).map(|known| known.name)
    }

    /// A custom policy from its attributes. An attribute not given is false; names are ELB's (OpenSSL's for ciphers)
    /// and, beyond ELB, those of TLS 1.3 and ChaCha20. At least one protocol and one cipher must be enabled.
    pub fn custom<'a>(attributes: impl IntoIterator<Item = (&'a str, bool)>) -> Result<Self, PolicyFault> {
        let mut policy = Self { protocols: Vec::new(), ciphers: Vec::new(), order: CipherOrder::Client };
        let mut enabled = Vec::new();
        for (name, value) in attributes {
            let known = Self::attribute_names()
                .find(|known| *known == name)
                .ok_or_else(|| PolicyFault::UnknownAttribute(name.to_owned()))?;
            if value {
                enabled.push(known);
            }
        }
        policy.protocols.extend(Protocol::ALL.iter().filter(|version| enabled.contains(&version.attribute())));
        policy.ciphers.extend(ciphers_by_preference().filter(|name| enabled.contains(name)));
        if enabled.contains(&SERVER_ORDER) {
            policy.order = CipherOrder::Server;
        }
        match (policy.protocols.is_empty(), policy.ciphers.is_empty()) {
            (true, _) => Err(PolicyFault::NoProtocol),
            (_, true) => Err(PolicyFault::NoCipher),
            _ => Ok(policy),
        }
    }

    /// Every attribute name: ELB's 93 in its canonical order, then those beyond ELB.
    pub fn attribute_names() -> impl Iterator<Item = &'static str> {
        classic_attribute_names().chain([Protocol::TlsV1_3.attribute()]).chain(TLS13.into_iter().chain(CHACHA20))
    }

    /// The policy as ELB describes it: its 93 attributes in canonical order with their values, and after them those
    /// attributes beyond ELB that are true.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        let classic = classic_attribute_names().count();
        Self::attribute_names()
            .map(|name| (name, self.enables(name)))
            .enumerate()
            .filter(move |(index, (_, value))| *index < classic || *value)
            .map(|(_, attribute)| attribute)
    }

    /// What can be negotiated, or an error if that is nothing.
    pub fn negotiable(&self) -> Result<Negotiable, PolicyFault> {
        let suites: Vec<_> = self.ciphers.iter().filter_map(|name| self.usable_suite(name)).collect();
        if suites.is_empty() {
            return Err(PolicyFault::NothingNegotiable { inactive: self.inactive() });
        }
        let versions = self
            .protocols
            .iter()
            .filter(|version| suites.iter().any(|suite| suite_protocol(*suite) == **version))
            .filter_map(|version| version.supported())
            .collect();
        Ok(Negotiable { suites, versions, order: self.order })
    }

    /// The entries that are enabled and yet can never be negotiated, in canonical order, each with the reason.
    pub fn inactive(&self) -> Vec<Inactive> {
        Self::attribute_names()
            .filter(|name| *name != SERVER_ORDER && self.enables(name))
            .filter_map(|name| Some(Inactive { name, why: self.why_inactive(name)? }))
            .collect()
    }

    fn from_definition(definition: &Definition) -> Self {
        let contains = |name: &&str| definition.ciphers.iter().any(|set| set.contains(name));
        Self {
            protocols: definition.protocols.to_vec(),
            ciphers: ciphers_by_preference().filter(contains).collect(),
            order: definition.order,
        }
    }

    fn enables(&self, attribute: &str) -> bool {
        match attribute {
            SERVER_ORDER => self.order == CipherOrder::Server,
            name => self.protocols.iter().any(|version| version.attribute() == name) || self.ciphers.contains(&name),
        }
    }

    fn usable_suite(&self, cipher: &str) -> Option<SupportedCipherSuite> {
        suite_named(cipher).filter(|suite| self.protocols.contains(&suite_protocol(*suite)))
    }

    fn why_inactive(&self, name: &str) -> Option<InactiveReason> {
        let Some(version) = Protocol::ALL.iter().find(|version| version.attribute() == name) else {
            return match (suite_named(name), self.usable_suite(name)) {
                (_, Some(_)) => None,
                (Some(suite), None) => Some(InactiveReason::NeedsProtocol(suite_protocol(suite))),
                (None, None) => Some(InactiveReason::NotImplemented),
            };
        };
        let usable = |cipher: &&str| self.usable_suite(cipher).is_some_and(|suite| suite_protocol(suite) == *version);
        match version.supported() {
            None => Some(InactiveReason::NotImplemented),
            Some(_) if !self.ciphers.iter().any(|cipher| usable(cipher)) => Some(InactiveReason::NoCipherLeft),
            Some(_) => None,
        }
    }
}

/// The part of a policy that a handshake can agree on: never empty.
#[derive(Clone, Debug)]
pub struct Negotiable {
    pub(super) suites: Vec<SupportedCipherSuite>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) order: CipherOrder,
}

/// An enabled entry of a policy that is never negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inactive {
    /// The attribute's name.
    pub name: &'static str,
    /// Why nothing comes of it.
    pub why: InactiveReason,
}

/// Why an entry of a policy is inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InactiveReason {
    /// The TLS library leaves it out on purpose.
    NotImplemented,
    /// A cipher whose protocol version the policy does not enable.
    NeedsProtocol(Protocol),
    /// A protocol version none of whose enabled ciphers is implemented.
    NoCipherLeft,
}

impl fmt::Display for Inactive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            InactiveReason::NotImplemented => {
                write!(f, "{} (not implemented: insecure)", self.name)
            }
            InactiveReason::NeedsProtocol(version) => {
                write!(f, "{} (needs {})", self.name, version.attribute())
            }
            InactiveReason::NoCipherLeft => {
                write!(f, "{} (none of its ciphers is active)", self.name)
            }
        }
    }
}

/// Why a security policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// An attribute nobody knows.
    UnknownAttribute(String),
    /// No protocol is enabled.
    NoProtocol,
    /// No cipher is enabled.
    NoCipher,
    /// Every entry is inactive.
    NothingNegotiable {
        /// All of them.
        inactive: Vec<Inactive>,
    },
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAttribute(name) => {
                write!(f, "unknown attribute {name} in a security policy")
            }
            Self::NoProtocol => f.write_str("a security policy must enable at least one protocol"),
            Self::NoCipher => f.write_str("a security policy must enable at least one cipher"),
            Self::NothingNegotiable { inactive } => {
                f.write_str("nothing in the security policy can be negotiated:")?;
                inactive.iter().try_for_each(|entry| write!(f, " {entry};"))
            }
        }
    }
}

impl std::error::Error for PolicyFault {}

fn ciphers_by_preference() -> impl Iterator<Item = &'static str> {
    TLS13.into_iter().chain(CLASSIC).chain(CHACHA20)
}

fn classic_attribute_names() -> impl Iterator<Item = &'static str> {
    let protocols = CLASSIC_PROTOCOLS.iter().map(|version| version.attribute());
    protocols.chain([SERVER_ORDER]).chain(CLASSIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::cipher::suite_name;

    fn negotiable_names(policy: &SecurityPolicy) -> Vec<&'static str> {
        let negotiable = policy.negotiable().expect("something negotiable");
        negotiable.suites.iter().filter_map(|suite| suite_name(suite.suite())).collect()
    }

    fn inactive_names(policy: &SecurityPolicy) -> Vec<&'static str> {
        policy.inactive().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn elb_s_attributes_are_93_and_keep_their_order() {
        let policy = SecurityPolicy::predefined("ELBSecurityPolicy-2016-08").expect("a known policy");
        let attributes: Vec<_> = policy.attributes().collect();
        assert_eq!(attributes.len(), 93);
        assert_eq!(attributes[0], ("Protocol-TLSv1", true));
        assert_eq!(attributes[1], ("Protocol-SSLv3", false));
        assert_eq!(attributes[4], ("Server-Defined-Cipher-Order", true));
        assert_eq!(attributes[92], ("EXP-KRB5-RC4-MD5", false));
        assert_eq!(attributes.iter().filter(|(_, value)| *value).count(), 3 + 1 + 18);
    }

    #[test]
    fn every_cipher_of_a_published_policy_has_a_place_in_the_order_of_preference() {
        for definition in OURS.iter().chain(&ELB) {
            let listed: usize = definition.ciphers.iter().map(|set| set.len()).sum();
            let policy = SecurityPolicy::from_definition(definition);
            assert_eq!(policy.ciphers.len(), listed, "{}", definition.name);
        }
    }

    #[test]
    fn the_openssl_sample_is_the_list_of_2013_without_its_exceptions() {
        let recent = ["ECDHE-", "GCM", "SHA256", "SHA384"];
        let excepted = ["ADH-", "IDEA-CBC-SHA", "RC2-CBC-MD5", "DES-CBC-MD5", "DES-CBC3-MD5"];
        let expected: Vec<_> = CLASSIC
            .into_iter()
            .filter(|name| !recent.iter().any(|part| name.contains(part)))
            .filter(|name| !name.starts_with("EXP-ADH-") && !name.starts_with("ADH-"))
            .filter(|name| !excepted.contains(name))
            .collect();
        let policy = SecurityPolicy::predefined("ELBSample-OpenSSLDefaultNegotiationPolicy").expect("an alias");
        assert_eq!(policy.ciphers, expected);
    }

    #[test]
    fn only_the_four_ecdhe_gcm_ciphers_of_elb_are_negotiable() {
        let expected = [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ];
        for definition in ELB.iter().filter(|known| known.protocols.contains(&Protocol::TlsV1_2)) {
            let policy = SecurityPolicy::from_definition(definition);
            assert_eq!(negotiable_names(&policy), expected, "{}", definition.name);
            let negotiable = policy.negotiable().expect("something negotiable");
            assert_eq!(negotiable.versions.len(), 1, "TLS 1.2 only, as in ELB");
        }
    }

    #[test]
    fn inactive_entries_are_listed_exactly() {
        let policy = SecurityPolicy::predefined("ELBSecurityPolicy-TLS-1-2-2017-01").expect("a known policy");
        let expected = [
            "ECDHE-ECDSA-AES128-SHA256",
            "ECDHE-RSA-AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA384",
            "ECDHE-RSA-AES256-SHA384",
            "AES128-GCM-SHA256",
            "AES128-SHA256",
            "AES256-GCM-SHA384",
            "AES256-SHA256",
        ];
        assert_eq!(inactive_names(&policy), expected);
        for name in SecurityPolicy::predefined_names().filter(|name| name.starts_with("Elbow-")) {
            let policy = SecurityPolicy::predefined(name).expect("a known policy");
            assert_eq!(policy.inactive(), [], "{name}");
        }
    }

    #[test]
    fn a_policy_with_nothing_left_is_an_error_that_names_every_entry() {
        for name in ["ELBSecurityPolicy-2011-08", "ELBSample-ELBDefaultCipherPolicy"] {
            let policy = SecurityPolicy::predefined(name).expect("a known policy");
            let enabled = policy.attributes().filter(|(_, value)| *value).count();
            let Err(PolicyFault::NothingNegotiable { inactive }) = policy.negotiable() else {
                panic!("{name} should have nothing left");
            };
            assert_eq!(inactive.len(), enabled, "{name}");
        }
    }

    #[test]
    fn custom_policies_are_checked_and_sorted() {
        let cases: [(&[(&str, bool)], Result<&[&str], PolicyFault>); 5] = [
            (&[("RC4-SHA", true)], Err(PolicyFault::NoProtocol)),
            (&[("Protocol-TLSv1.2", true), ("RC4-SHA", false)], Err(PolicyFault::NoCipher)),
            (&[("rc4-sha", true)], Err(PolicyFault::UnknownAttribute("rc4-sha".to_owned()))),
            (
                &[
                    ("ECDHE-RSA-CHACHA20-POLY1305", true),
                    ("ECDHE-RSA-AES256-GCM-SHA384", true),
                    ("ECDHE-RSA-AES128-GCM-SHA256", true),
                    ("Protocol-TLSv1.2", true),
                ],
                Ok(&["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]),
            ),
            (
                &[("Protocol-TLSv1.3", true), ("TLS_AES_256_GCM_SHA384", true), ("ECDHE-RSA-AES128-GCM-SHA256", true)],
                Ok(&["TLS_AES_256_GCM_SHA384"]),
            ),
        ];
        for (attributes, expected) in cases {
            let policy = SecurityPolicy::custom(attributes.iter().copied());
            match expected {
                Ok(names) => assert_eq!(negotiable_names(&policy.expect("a good policy")), names),
                Err(fault) => assert_eq!(policy, Err(fault)),
            }
        }
    }

    #[test]
    fn an_inactive_entry_says_why() {
        let attributes = [
            ("Protocol-TLSv1", true),
            ("Protocol-TLSv1.2", true),
            ("TLS_AES_128_GCM_SHA256", true),
            ("Protocol-TLSv1.3", false),
            ("AES128-SHA", true),
        ];
        let policy = SecurityPolicy::custom(attributes).expect("a good policy");
        let why: Vec<_> = policy.inactive().iter().map(|entry| (entry.name, entry.why)).collect();
        let expected = [
            ("Protocol-TLSv1", InactiveReason::NotImplemented),
            ("Protocol-TLSv1.2", InactiveReason::NoCipherLeft),
            ("AES128-SHA", InactiveReason::NotImplemented),
            ("TLS_AES_128_GCM_SHA256", InactiveReason::NeedsProtocol(Protocol::TlsV1_3)),
        ];
        assert_eq!(why, expected);
    }
}
