//! `[load_balancers.NAME.policies.POLICY]`: ELB's attributes of each policy type, in snake_case.

use std::collections::BTreeSet;

use super::super::draft::Places;
use super::super::section::Section;
use crate::model::{
    Cipher, CustomPolicy, Keyword, Place, Policy, PolicyName, PolicyType, PredefinedPolicy, ProxyProtocolVersion,
    SecurityPolicy, TlsVersion,
};

/// ELB's name of the attribute that says whose order of ciphers counts.
pub(in super::super) const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

/// The policy called `name`; `None` if it is wrong.
pub(super) fn read(name: &PolicyName, mut section: Section<'_>, places: &mut Places) -> Option<Policy> {
    let policy = match section.require::<PolicyType>("type")? {
        PolicyType::LbCookieStickiness => {
            let cookie_expiration_period = section.read_or("cookie_expiration_period", None);
            Some(Policy::LbCookieStickiness { cookie_expiration_period })
        }
        PolicyType::AppCookieStickiness => {
            section.require("cookie_name").map(|cookie_name| Policy::AppCookieStickiness { cookie_name })
        }
        PolicyType::SslNegotiation => ssl_negotiation(&mut section).map(Policy::SslNegotiation),
        PolicyType::ProxyProtocol => proxy_protocol(&mut section),
        PolicyType::PublicKey => section.require("public_key").map(Policy::PublicKey),
        PolicyType::BackendServerAuthentication => authentication(name, &mut section, places),
    };
    section.finish();
    policy
}

fn proxy_protocol(section: &mut Section<'_>) -> Option<Policy> {
    let enabled = section.require("proxy_protocol");
    let version = section.read_or("version", ProxyProtocolVersion::V1);
    Some(Policy::ProxyProtocol { enabled: enabled?, version })
}

fn authentication(name: &PolicyName, section: &mut Section<'_>, places: &mut Places) -> Option<Policy> {
    let mut public_key_policies = Vec::new();
    for (reference, span) in section.one_or_more("public_key_policy_name") {
        let place = Place::PolicyReference(name.clone(), public_key_policies.len());
        places.set(place, span, section.object());
        public_key_policies.push(reference);
    }
    if public_key_policies.is_empty() {
        let message = "public_key_policy_name: expected the names of one or more PublicKeyPolicyType policies";
        section.refuse(section.span_of("public_key_policy_name"), message);
        return None;
    }
    Some(Policy::BackendServerAuthentication { public_key_policies })
}

/// A predefined policy by reference, or protocols and ciphers one by one; not both, since it would not be plain
/// which of them holds.
fn ssl_negotiation(section: &mut Section<'_>) -> Option<SecurityPolicy> {
    let by_reference = section.has("reference_security_policy");
    let reference: Option<PredefinedPolicy> = section.read("reference_security_policy");
    let versions = TlsVersion::ALL.iter().copied().filter(|version| is_on(section, version.as_str())).collect();
    let ciphers: BTreeSet<Cipher> = Cipher::all().filter(|cipher| is_on(section, cipher.name())).collect();
    let server_order = is_on(section, SERVER_ORDER);
    if by_reference {
        let names = TlsVersion::ALL.iter().map(|version| version.as_str()).chain([SERVER_ORDER]);
        for key in names.chain(Cipher::all().map(Cipher::name)).map(attribute_key).filter(|key| section.has(key)) {
            let message = format!("{key}: a policy with a reference_security_policy takes no other attribute");
            section.refuse(section.key_span(&key), message);
        }
        return reference.map(SecurityPolicy::Predefined);
    }
    match CustomPolicy::new(versions, ciphers, server_order) {
        Ok(custom) => Some(SecurityPolicy::Custom(custom)),
        Err(invalid) => {
            section.refuse(section.span(), invalid.to_string());
            None
        }
    }
}

/// Whether the attribute that ELB calls `name` is set; those that are not given are off.
fn is_on(section: &mut Section<'_>, name: &str) -> bool {
    section.read(attribute_key(name)).unwrap_or(false)
}

/// ELB's attribute name as a key of the file: `Protocol-TLSv1.2` is `protocol_tlsv1_2`.
pub(in super::super) fn attribute_key(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}
