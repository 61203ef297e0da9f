//! The ciphers that can be agreed on.

use super::keyword::keyword;

keyword! {
    /// A cipher that the TLS library negotiates, by OpenSSL's name. Security policies name many more that never are.
    pub enum TlsSuite {
        /// RFC 8446
        Tls13Aes128Gcm = "TLS_AES_128_GCM_SHA256",
        /// RFC 8446
        Tls13Aes256Gcm = "TLS_AES_256_GCM_SHA384",
        /// RFC 8446
        Tls13Chacha20 = "TLS_CHACHA20_POLY1305_SHA256",
        /// RFC 5289
        EcdsaAes128Gcm = "ECDHE-ECDSA-AES128-GCM-SHA256",
        /// RFC 5289
        RsaAes128Gcm = "ECDHE-RSA-AES128-GCM-SHA256",
        /// RFC 5289
        EcdsaAes256Gcm = "ECDHE-ECDSA-AES256-GCM-SHA384",
        /// RFC 5289
        RsaAes256Gcm = "ECDHE-RSA-AES256-GCM-SHA384",
        /// RFC 7905
        EcdsaChacha20 = "ECDHE-ECDSA-CHACHA20-POLY1305",
        /// RFC 7905
        RsaChacha20 = "ECDHE-RSA-CHACHA20-POLY1305",
    }
}

impl TlsSuite {
    /// The protocol version that it belongs to, as in access records: `TLSv1.2`.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Tls13Aes128Gcm | Self::Tls13Aes256Gcm | Self::Tls13Chacha20 => "TLSv1.3",
            Self::EcdsaAes128Gcm
            | Self::RsaAes128Gcm
            | Self::EcdsaAes256Gcm
            | Self::RsaAes256Gcm
            | Self::EcdsaChacha20
            | Self::RsaChacha20 => "TLSv1.2",
        }
    }
}
