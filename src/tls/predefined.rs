//! The data behind `policy`: what ELB's predefined security policies and the modern ones of ours enable. Source: the
//! ELB documentation and attribute dumps of live policies.

use crate::model::PredefinedPolicy;

use super::cipher::Protocol::{self, SslV3, TlsV1, TlsV1_1, TlsV1_2, TlsV1_3};
use super::policy::CipherOrder::{self, Client, Server};

/// A security policy as published.
pub(super) struct Definition {
    pub protocols: &'static [Protocol],
    pub order: CipherOrder,
    /// Sets of ciphers. Preference is not theirs: it is [`TLS13`], then ELB's order, then [`CHACHA20`].
    pub ciphers: &'static [&'static [&'static str]],
}

/// What a predefined policy enables.
pub(super) fn definition(policy: PredefinedPolicy) -> Definition {
    let (protocols, order, ciphers): (&[Protocol], _, &[&[&str]]) = match policy {
        PredefinedPolicy::Policy201608 => (&[TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B]),
        PredefinedPolicy::PolicyTls12 => (&[TlsV1_2], Server, &[&A]),
        PredefinedPolicy::PolicyTls11 => (&[TlsV1_1, TlsV1_2], Server, &[&A, &B]),
        PredefinedPolicy::Policy201505 => (&[TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B, &TRIPLE_DES]),
        PredefinedPolicy::Policy201503 => (&[TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B, &C, &TRIPLE_DES]),
        PredefinedPolicy::Policy201502 => (&[TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B, &C]),
        PredefinedPolicy::Policy201410 => (&[TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B, &C, &D]),
        PredefinedPolicy::Policy201401 => (&[SslV3, TlsV1, TlsV1_1, TlsV1_2], Server, &[&A, &B, &C, &D]),
        PredefinedPolicy::Policy201108 => (&[SslV3, TlsV1], Client, &[&SET_2011]),
        PredefinedPolicy::SampleElbDefault => (&[SslV3, TlsV1], Client, &[&SAMPLE_ELB]),
        PredefinedPolicy::SampleOpenSslDefault => (&[SslV3, TlsV1], Client, &[&SAMPLE_OPENSSL]),
        PredefinedPolicy::ElbowTls12 => (&[TlsV1_2, TlsV1_3], Server, &[&TLS13, &ECDHE_GCM, &CHACHA20]),
        PredefinedPolicy::ElbowTls13 => (&[TlsV1_3], Server, &[&TLS13]),
    };
    Definition { protocols, order, ciphers }
}

/// The suites of TLS 1.3, most preferred first: AES-128 leads because it costs least and gives nothing up.
pub(super) const TLS13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// TLS 1.2 ciphers that ELB has no name for: preferred last, for clients without AES in hardware.
pub(super) const CHACHA20: [&str; 2] = ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"];

const ECDHE_GCM: [&str; 4] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

const A: [&str; 12] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
];

const B: [&str; 6] = [
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-SHA",
    "AES256-SHA",
];

const C: [&str; 2] = ["DHE-RSA-AES128-SHA", "DHE-DSS-AES128-SHA"];

const D: [&str; 2] = ["ECDHE-RSA-RC4-SHA", "RC4-SHA"];

const TRIPLE_DES: [&str; 1] = ["DES-CBC3-SHA"];

const SET_2011: [&str; 16] = [
    "DHE-RSA-AES128-SHA",
    "AES128-SHA",
    "AES256-SHA",
    "DHE-DSS-AES128-SHA",
    "CAMELLIA128-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "DES-CBC3-SHA",
    "RC4-SHA",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "CAMELLIA256-SHA",
    "EDH-DSS-DES-CBC3-SHA",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
];

const SAMPLE_ELB: [&str; 5] = ["AES128-SHA", "AES256-SHA", "DES-CBC3-SHA", "RC4-SHA", "RC4-MD5"];

/// What the sample enabled in 2013, when the list of ciphers had no ECDHE, GCM or SHA-2 yet: all of it but the
/// anonymous ones, IDEA, and the MD5 variants of single DES, triple DES and RC2.
const SAMPLE_OPENSSL: [&str; 44] = [
    "DHE-RSA-AES128-SHA",
    "AES128-SHA",
    "AES256-SHA",
    "DHE-DSS-AES128-SHA",
    "CAMELLIA128-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "DES-CBC3-SHA",
    "RC4-SHA",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "CAMELLIA256-SHA",
    "EDH-DSS-DES-CBC3-SHA",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
    "DES-CBC-SHA",
    "DHE-DSS-SEED-SHA",
    "DHE-RSA-SEED-SHA",
    "EDH-DSS-DES-CBC-SHA",
    "EDH-RSA-DES-CBC-SHA",
    "RC4-MD5",
    "SEED-SHA",
    "PSK-AES256-CBC-SHA",
    "PSK-3DES-EDE-CBC-SHA",
    "KRB5-DES-CBC3-SHA",
    "KRB5-DES-CBC3-MD5",
    "PSK-AES128-CBC-SHA",
    "PSK-RC4-SHA",
    "KRB5-RC4-SHA",
    "KRB5-RC4-MD5",
    "KRB5-DES-CBC-SHA",
    "KRB5-DES-CBC-MD5",
    "EXP-EDH-RSA-DES-CBC-SHA",
    "EXP-EDH-DSS-DES-CBC-SHA",
    "EXP-DES-CBC-SHA",
    "EXP-RC2-CBC-MD5",
    "EXP-KRB5-RC2-CBC-SHA",
    "EXP-KRB5-DES-CBC-SHA",
    "EXP-KRB5-RC2-CBC-MD5",
    "EXP-KRB5-DES-CBC-MD5",
    "EXP-RC4-MD5",
    "EXP-KRB5-RC4-SHA",
    "EXP-KRB5-RC4-MD5",
];
