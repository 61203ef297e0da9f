//! Security policies: which protocol versions and ciphers a listener wants, what of that can be negotiated, and
//! which entries stay inactive because the TLS library refuses them on purpose (CBC, RC4, 3DES, static RSA,
//! everything before TLS 1.2). Building a listener's configuration from it is `settings`'s.

use std::fmt;

use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use crate::model::{Cipher, CustomPolicy, PredefinedPolicy, SecurityPolicy};

use super::cipher::{Protocol, suite_named, suite_protocol};
use super::predefined::{self, CHACHA20, Definition, TLS13};

/// The attribute of [`CipherOrder::Server`].
const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

/// The protocol attributes in ELB's canonical order, which is not that of their age.
const ELB_PROTOCOLS: [Protocol; 4] = [Protocol::TlsV1, Protocol::SslV3, Protocol::TlsV1_1, Protocol::TlsV1_2];

/// Whose preference decides among the ciphers both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherOrder {
    /// Ours: `Server-Defined-Cipher-Order` is true.
    Server,
    /// The client's.
    Client,
}

/// What a security policy enables, negotiable or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    protocols: Vec<Protocol>,
    ciphers: Vec<&'static str>,
    order: CipherOrder,
}

impl TlsPolicy {
    /// The name of the policy of ours with TLS 1.3, and TLS 1.2 as fallback: what a secure listener should have.
    pub const ELBOW_TLS_1_2: &str = "Elbow-TLS-1-2-2026";

    /// The name of the policy of ours with TLS 1.3 only.
    pub const ELBOW_TLS_1_3: &str = "Elbow-TLS-1-3-2026";

    /// The policy published under `name` by ELB or by us.
    pub fn predefined(name: &str) -> Option<Self> {
        PredefinedPolicy::from_name(name).map(|policy| Self::from_definition(&predefined::definition(policy)))
    }

    /// What a listener's SSL negotiation policy stands for.
    pub fn of(policy: &SecurityPolicy) -> Self {
        match policy {
            SecurityPolicy::Predefined(policy) => Self::from_definition(&predefined::definition(*policy)),
            SecurityPolicy::Custom(policy) => Self::from_custom(policy),
        }
    }

    /// The policy as ELB describes it: its 93 attributes in canonical order with their values, and after them what
    /// is enabled beyond ELB.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, bool)> + '_ {
        let of_elb = ELB_PROTOCOLS.map(Protocol::attribute).into_iter().chain([SERVER_ORDER]).chain(elb_ciphers());
        let beyond = [Protocol::TlsV1_3.attribute()].into_iter().chain(TLS13).chain(CHACHA20);
        let of_elb = of_elb.map(|name| (name, self.enables(name)));
        of_elb.chain(beyond.filter(|name| self.enables(name)).map(|name| (name, true)))
    }

    /// What can be negotiated, or an error if that is nothing.
    pub fn negotiable(&self) -> Result<Negotiable, NothingNegotiable> {
        let suites: Vec<_> = self.ciphers.iter().filter_map(|name| self.usable_suite(name)).collect();
        if suites.is_empty() {
            return Err(NothingNegotiable { inactive: self.inactive() });
        }
        let has_suite = |version: &&Protocol| suites.iter().any(|suite| suite_protocol(*suite) == **version);
        let versions = self.protocols.iter().filter(has_suite).copied().collect();
        Ok(Negotiable { suites, versions, order: self.order })
    }

    /// The entries that are enabled and yet can never be negotiated, in canonical order, each with the reason.
    pub fn inactive(&self) -> Vec<Inactive> {
        self.attributes()
            .filter(|(name, enabled)| *enabled && *name != SERVER_ORDER)
            .filter_map(|(name, _)| Some(Inactive { name, why: self.why_inactive(name)? }))
            .collect()
    }

    fn from_definition(definition: &Definition) -> Self {
        let contains = |name: &&str| definition.ciphers.iter().any(|set| set.contains(name));
        Self {
            protocols: definition.protocols.to_vec(),
            ciphers: TLS13.into_iter().chain(elb_ciphers()).chain(CHACHA20).filter(contains).collect(),
            order: definition.order,
        }
    }

    fn from_custom(policy: &CustomPolicy) -> Self {
        Self {
            protocols: policy.versions().iter().map(|version| Protocol::from(*version)).collect(),
            ciphers: policy.ciphers().iter().map(|cipher| cipher.name()).collect(),
            order: if policy.server_order() { CipherOrder::Server } else { CipherOrder::Client },
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
            Some(_) if !self.ciphers.iter().any(usable) => Some(InactiveReason::NoCipherLeft),
            Some(_) => None,
        }
    }
}

/// The part of a policy that a handshake can agree on: never empty.
#[derive(Clone, Debug)]
pub struct Negotiable {
    pub(super) suites: Vec<SupportedCipherSuite>,
    pub(super) versions: Vec<Protocol>,
    pub(super) order: CipherOrder,
}

impl Negotiable {
    /// The versions as the TLS library takes them.
    pub(super) fn library_versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        self.versions.iter().filter_map(|version| version.supported()).collect()
    }
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

/// Every entry of a security policy is inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NothingNegotiable {
    /// All of them.
    pub inactive: Vec<Inactive>,
}

impl fmt::Display for NothingNegotiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing in the security policy can be negotiated: ")?;
        for (index, entry) in self.inactive.iter().enumerate() {
            write!(f, "{}{entry}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for NothingNegotiable {}

fn elb_ciphers() -> impl Iterator<Item = &'static str> {
    Cipher::all().map(Cipher::name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{Keyword, TlsVersion};
    use crate::tls::cipher::suite_name;

    fn elb(policy: PredefinedPolicy) -> TlsPolicy {
        TlsPolicy::of(&SecurityPolicy::Predefined(policy))
    }

    fn custom(versions: &[TlsVersion], ciphers: &[&str], server_order: bool) -> TlsPolicy {
        let ciphers = ciphers.iter().map(|name| Cipher::from_name(name).expect("a cipher of ELB")).collect();
        let versions: BTreeSet<_> = versions.iter().copied().collect();
        TlsPolicy::of(&SecurityPolicy::Custom(CustomPolicy::new(versions, ciphers, server_order).expect("a policy")))
    }

    fn negotiable_names(policy: &TlsPolicy) -> Vec<&'static str> {
        let negotiable = policy.negotiable().expect("something negotiable");
        negotiable.suites.iter().filter_map(|suite| suite_name(suite.suite())).map(Keyword::as_str).collect()
    }

    fn inactive_names(policy: &TlsPolicy) -> Vec<&'static str> {
        policy.inactive().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn elb_s_attributes_are_93_and_keep_their_order() {
        let attributes: Vec<_> = elb(PredefinedPolicy::Policy201608).attributes().collect();
        assert_eq!(attributes.len(), 93);
        assert_eq!(attributes[0], ("Protocol-TLSv1", true));
        assert_eq!(attributes[1], ("Protocol-SSLv3", false));
        assert_eq!(attributes[4], ("Server-Defined-Cipher-Order", true));
        assert_eq!(attributes[92], ("EXP-KRB5-RC4-MD5", false));
        assert_eq!(attributes.iter().filter(|(_, value)| *value).count(), 3 + 1 + 18);
    }

    #[test]
    fn every_cipher_of_a_published_policy_has_a_place_in_the_order_of_preference() {
        for policy in PredefinedPolicy::ALL {
            let definition = predefined::definition(*policy);
            let listed: usize = definition.ciphers.iter().map(|set| set.len()).sum();
            assert_eq!(TlsPolicy::from_definition(&definition).ciphers.len(), listed, "{policy}");
        }
    }

    #[test]
    fn the_openssl_sample_is_the_list_of_2013_without_its_exceptions() {
        let recent = ["ECDHE-", "GCM", "SHA256", "SHA384"];
        let excepted = ["IDEA-CBC-SHA", "RC2-CBC-MD5", "DES-CBC-MD5", "DES-CBC3-MD5"];
        let expected: Vec<_> = elb_ciphers()
            .filter(|name| !recent.iter().any(|part| name.contains(part)))
            .filter(|name| !name.starts_with("EXP-ADH-") && !name.starts_with("ADH-"))
            .filter(|name| !excepted.contains(name))
            .collect();
        assert_eq!(elb(PredefinedPolicy::SampleOpenSslDefault).ciphers, expected);
    }

    #[test]
    fn only_the_four_ecdhe_gcm_ciphers_of_elb_are_negotiable() {
        let expected = [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
        ];
        let mut left = 0;
        let of_elb = PredefinedPolicy::ALL.iter().filter(|policy| policy.is_of_elb());
        for policy in of_elb.map(|policy| elb(*policy)) {
            if let Ok(negotiable) = policy.negotiable() {
                assert_eq!(negotiable_names(&policy), expected);
                assert_eq!(negotiable.versions, [Protocol::TlsV1_2], "no TLS 1.3, as in ELB");
                left += 1;
            }
        }
        assert_eq!(left, 8);
    }

    #[test]
    fn inactive_entries_are_listed_exactly() {
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
        assert_eq!(inactive_names(&elb(PredefinedPolicy::PolicyTls12)), expected);
        for name in [TlsPolicy::ELBOW_TLS_1_2, TlsPolicy::ELBOW_TLS_1_3] {
            assert_eq!(TlsPolicy::predefined(name).expect("ours").inactive(), [], "{name}");
        }
    }

    #[test]
    fn ours_prefer_aes_128_and_chacha20_last() {
        let ours = negotiable_names(&TlsPolicy::predefined(TlsPolicy::ELBOW_TLS_1_2).expect("ours"));
        assert_eq!(
            ours[..4],
            [
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-AES128-GCM-SHA256"
            ]
        );
        assert_eq!(ours[7..], CHACHA20);
    }

    #[test]
    fn a_policy_with_nothing_left_is_an_error_that_names_every_entry() {
        for policy in [PredefinedPolicy::Policy201108, PredefinedPolicy::SampleElbDefault] {
            let policy = elb(policy);
            let enabled = policy.attributes().filter(|(_, value)| *value).count();
            let fault = policy.negotiable().expect_err("nothing left");
            assert_eq!(fault.inactive.len(), enabled);
        }
    }

    #[test]
    fn an_inactive_entry_says_why() {
        let versions = [TlsVersion::Tls10, TlsVersion::Tls12];
        let without_suite = custom(&versions, &["AES128-SHA"], false).inactive();
        let why: Vec<_> = without_suite.iter().map(|entry| (entry.name, entry.why)).collect();
        let expected = [
            ("Protocol-TLSv1", InactiveReason::NotImplemented),
            ("Protocol-TLSv1.2", InactiveReason::NoCipherLeft),
            ("AES128-SHA", InactiveReason::NotImplemented),
        ];
        assert_eq!(why, expected);
        let without_version = custom(&[TlsVersion::Tls10], &["ECDHE-RSA-AES128-GCM-SHA256"], false).inactive();
        assert_eq!(without_version[1].why, InactiveReason::NeedsProtocol(Protocol::TlsV1_2));
        assert_eq!(without_version[1].to_string(), "ECDHE-RSA-AES128-GCM-SHA256 (needs Protocol-TLSv1.2)");
    }

    #[test]
    fn a_custom_policy_keeps_its_order() {
        let ciphers = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"];
        for server_order in [false, true] {
            let policy = custom(&[TlsVersion::Tls12], &ciphers, server_order);
            assert_eq!(negotiable_names(&policy), [ciphers[1], ciphers[0]]);
            assert_eq!(policy.order == CipherOrder::Server, server_order);
        }
    }
}
