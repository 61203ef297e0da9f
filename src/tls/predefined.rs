//! The data behind `policy`: ELB's cipher names in ELB's order, ELB's predefined security policies, and the modern
//! ones of ours. Source: the ELB documentation and attribute dumps of live policies.

use super::cipher::Protocol::{self, SslV3, TlsV1, TlsV1_1, TlsV1_2, TlsV1_3};
use super::policy::CipherOrder::{self, Client, Server};

/// A security policy as published.
pub(super) struct Definition {
    pub name: &'static str,
    pub protocols: &'static [Protocol],
    pub order: CipherOrder,
    /// Sets of ciphers; preference is not theirs but that of [`TLS13`], then [`CLASSIC`], then [`CHACHA20`].
    pub ciphers: &'static [&'static [&'static str]],
}

/// Policies of ours, the default first.
pub(super) static OURS: [Definition; 2] = [
    Definition {
        name: "Elbow-TLS-1-2-2026",
        protocols: &[TlsV1_2, TlsV1_3],
        order: Server,
        ciphers: &[&TLS13, &ECDHE_GCM, &CHACHA20],
    },
    Definition { name: "Elbow-TLS-1-3-2026", protocols: &[TlsV1_3], order: Server, ciphers: &[&TLS13] },
];

/// ELB's policies, in the order DescribeLoadBalancerPolicies lists them.
pub(super) static ELB: [Definition; 11] = [
    Definition {
        name: "ELBSecurityPolicy-2016-08",
        protocols: &[TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B],
    },
    Definition { name: "ELBSecurityPolicy-TLS-1-2-2017-01", protocols: &[TlsV1_2], order: Server, ciphers: &[&A] },
    Definition {
        name: "ELBSecurityPolicy-TLS-1-1-2017-01",
        protocols: &[TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B],
    },
    Definition {
        name: "ELBSecurityPolicy-2015-05",
        protocols: &[TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B, &TRIPLE_DES],
    },
    Definition {
        name: "ELBSecurityPolicy-2015-03",
        protocols: &[TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B, &C, &TRIPLE_DES],
    },
    Definition {
        name: "ELBSecurityPolicy-2015-02",
        protocols: &[TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B, &C],
    },
    Definition {
        name: "ELBSecurityPolicy-2014-10",
        protocols: &[TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B, &C, &D],
    },
    Definition {
        name: "ELBSecurityPolicy-2014-01",
        protocols: &[SslV3, TlsV1, TlsV1_1, TlsV1_2],
        order: Server,
        ciphers: &[&A, &B, &C, &D],
    },
    Definition { name: "ELBSecurityPolicy-2011-08", protocols: &[SslV3, TlsV1], order: Client, ciphers: &[&SET_2011] },
    Definition {
        name: "ELBSample-ELBDefaultCipherPolicy",
        protocols: &[SslV3, TlsV1],
        order: Client,
        ciphers: &[&SAMPLE_ELB],
    },
    Definition {
        name: "ELBSample-OpenSSLDefaultCipherPolicy",
        protocols: &[SslV3, TlsV1],
        order: Client,
        ciphers: &[&SAMPLE_OPENSSL],
    },
];

/// Names the ELB documentation still uses for two of the above.
pub(super) static ALIASES: [(&str, &str); 2] = [
    ("ELBSample-ELBDefaultNegotiationPolicy", "ELBSample-ELBDefaultCipherPolicy"),
    ("ELBSample-OpenSSLDefaultNegotiationPolicy", "ELBSample-OpenSSLDefaultCipherPolicy"),
];

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

/// ELB's 88 ciphers in its canonical order, which is also its order of preference.
pub(super) const CLASSIC: [&str; 88] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
    "DHE-DSS-AES128-SHA",
    "CAMELLIA128-SHA",
    "EDH-RSA-DES-CBC3-SHA",
    "DES-CBC3-SHA",
    "ECDHE-RSA-RC4-SHA",
    "RC4-SHA",
    "ECDHE-ECDSA-RC4-SHA",
    "DHE-DSS-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES256-SHA256",
    "DHE-DSS-AES256-SHA256",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "CAMELLIA256-SHA",
    "EDH-DSS-DES-CBC3-SHA",
    "DHE-DSS-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES128-SHA256",
    "DHE-DSS-AES128-SHA256",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
    "ADH-AES128-GCM-SHA256",
    "ADH-AES128-SHA",
    "ADH-AES128-SHA256",
    "ADH-AES256-GCM-SHA384",
    "ADH-AES256-SHA",
    "ADH-AES256-SHA256",
    "ADH-CAMELLIA128-SHA",
    "ADH-CAMELLIA256-SHA",
    "ADH-DES-CBC3-SHA",
    "ADH-DES-CBC-SHA",
    "ADH-RC4-MD5",
    "ADH-SEED-SHA",
    "DES-CBC-SHA",
    "DHE-DSS-SEED-SHA",
    "DHE-RSA-SEED-SHA",
    "EDH-DSS-DES-CBC-SHA",
    "EDH-RSA-DES-CBC-SHA",
    "IDEA-CBC-SHA",
    "RC4-MD5",
    "SEED-SHA",
    "DES-CBC3-MD5",
    "DES-CBC-MD5",
    "RC2-CBC-MD5",
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
    "EXP-ADH-DES-CBC-SHA",
    "EXP-DES-CBC-SHA",
    "EXP-RC2-CBC-MD5",
    "EXP-KRB5-RC2-CBC-SHA",
    "EXP-KRB5-DES-CBC-SHA",
    "EXP-KRB5-RC2-CBC-MD5",
    "EXP-KRB5-DES-CBC-MD5",
    "EXP-ADH-RC4-MD5",
    "EXP-RC4-MD5",
    "EXP-KRB5-RC4-SHA",
    "EXP-KRB5-RC4-MD5",
];
