//! What goes wrong on a TLS connection, as a closed set with one stable word each: the detail behind the model's
//! coarser reasons.

use std::fmt;

use crate::model::Reason;
use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why a TLS session failed. Which side it was with is the caller's to know. Always fatal to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The peer's first bytes are no TLS record: plain HTTP on a secure port, a port scan.
    NotTls,
    /// A record or message that cannot be parsed.
    Malformed,
    /// A well-formed message that the protocol forbids here.
    Misbehaved,
    /// A handshake message larger than the limit on what one connection may make us hold.
    HandshakeTooLarge,
    /// A record that fails authentication: corrupted, tampered with, or out of order.
    DecryptFailed,
    /// No protocol version in common.
    NoSharedProtocol,
    /// No cipher in common (also: none for the kind of key the certificate has).
    NoSharedCipher,
    /// No key exchange group in common.
    NoSharedGroup,
    /// No signature scheme in common.
    NoSharedSignature,
    /// No application protocol (ALPN) in common.
    NoSharedApplicationProtocol,
    /// The client named no server, or one without a certificate, and the listener is strict.
    UnknownServerName,
    /// The peer must present a certificate and did not.
    CertificateMissing,
    /// The peer's certificate is not valid any more.
    CertificateExpired,
    /// The peer's certificate is not valid yet.
    CertificateNotYetValid,
    /// The peer's certificate was not issued by a trusted authority.
    CertificateUntrusted,
    /// The peer's certificate is for another name.
    CertificateWrongName,
    /// The peer's public key is none of those the back-end authentication policy names.
    PublicKeyUnknown,
    /// The peer's certificate fails in another way: encoding, signature, purpose.
    CertificateInvalid,
    /// The peer gave up with this alert (RFC 8446 section 6.2).
    PeerAlert(u8),
    /// The peer went away in the middle of the handshake.
    HandshakeAbandoned,
    /// The peer ended the connection without saying so: what came before it may be cut short (RFC 8446 section 6.1).
    Truncated,
    /// The keys have protected as many records as is safe, and TLS 1.2 cannot replace them.
    KeysExhausted,
    /// We failed: no randomness, or the session was used before or after its time.
    Internal,
}

impl TlsFault {
    /// The stable word for metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::Malformed => "malformed",
            Self::Misbehaved => "misbehaved",
            Self::HandshakeTooLarge => "handshake_too_large",
            Self::DecryptFailed => "decrypt_failed",
            Self::NoSharedProtocol => "no_shared_protocol",
            Self::NoSharedCipher => "no_shared_cipher",
            Self::NoSharedGroup => "no_shared_group",
            Self::NoSharedSignature => "no_shared_signature",
            Self::NoSharedApplicationProtocol => "no_shared_application_protocol",
            Self::UnknownServerName => "unknown_server_name",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::PublicKeyUnknown => "public_key_unknown",
            Self::CertificateInvalid => "certificate_invalid",
            Self::PeerAlert(code) => alert_word(code),
            Self::HandshakeAbandoned => "handshake_abandoned",
            Self::Truncated => "truncated",
            Self::KeysExhausted => "keys_exhausted",
            Self::Internal => "internal",
        }
    }
}

impl TlsFault {
    /// The model's reason when a client's handshake ends like this.
    pub fn client_reason(self) -> Reason {
        match self {
            Self::NotTls => Reason::TlsNotSpoken,
            Self::NoSharedProtocol => Reason::TlsNoSharedProtocol,
            Self::NoSharedCipher | Self::NoSharedGroup | Self::NoSharedSignature => Reason::TlsNoSharedCipher,
            Self::NoSharedApplicationProtocol => Reason::TlsNoSharedApplicationProtocol,
            Self::UnknownServerName => Reason::TlsUnknownServerName,
            Self::CertificateMissing => Reason::TlsClientCertificateMissing,
            Self::CertificateExpired | Self::CertificateNotYetValid => Reason::TlsClientCertificateExpired,
            Self::CertificateUntrusted => Reason::TlsClientCertificateUntrusted,
            Self::CertificateWrongName | Self::PublicKeyUnknown | Self::CertificateInvalid => {
                Reason::TlsClientCertificateInvalid
            }
            // bad_certificate to certificate_unknown, and unknown_ca (RFC 8446 section 6.2).
            Self::PeerAlert(42..=46 | 48) => Reason::TlsCertificateRejected,
            Self::PeerAlert(_) => Reason::TlsClientAlert,
            Self::HandshakeAbandoned | Self::Truncated => Reason::TlsHandshakeAbandoned,
            Self::Malformed
            | Self::Misbehaved
            | Self::HandshakeTooLarge
            | Self::DecryptFailed
            | Self::KeysExhausted
            | Self::Internal => Reason::TlsHandshakeFailed,
        }
    }

    /// The model's reason when a back end's handshake ends like this.
    pub fn backend_reason(self) -> Reason {
        match self {
            Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::CertificateUntrusted
            | Self::CertificateWrongName
            | Self::CertificateInvalid
            | Self::PublicKeyUnknown => Reason::BackendKeyUntrusted,
            _ => Reason::BackendTlsFailed,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::error::Error for TlsFault {}

impl From<&Error> for TlsFault {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => Self::HandshakeTooLarge,
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Self::Malformed,
            Error::DecryptError => Self::DecryptFailed,
            Error::PeerIncompatible(why) => incompatible(why),
            Error::NoApplicationProtocol => Self::NoSharedApplicationProtocol,
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertificate(why) => certificate(why),
            Error::AlertReceived(alert) => Self::PeerAlert(u8::from(*alert)),
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. } => Self::Misbehaved,
            _ => Self::Internal,
        }
    }
}

fn incompatible(why: &PeerIncompatible) -> TlsFault {
    match why {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        // The library looks for signature schemes before it looks at the version, and TLS 1.1 knows none.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => TlsFault::NoSharedProtocol,
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::EcPointsExtensionRequired
        | PeerIncompatible::UncompressedEcPointsRequired => TlsFault::NoSharedGroup,
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => TlsFault::NoSharedSignature,
        PeerIncompatible::NoCipherSuitesInCommon => TlsFault::NoSharedCipher,
        _ => TlsFault::Misbehaved,
    }
}

fn certificate(why: &CertificateError) -> TlsFault {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFault::CertificateNotYetValid,
        CertificateError::UnknownIssuer => TlsFault::CertificateUntrusted,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::CertificateWrongName
        }
        CertificateError::ApplicationVerificationFailure => TlsFault::PublicKeyUnknown,
        _ => TlsFault::CertificateInvalid,
    }
}

/// Alerts by the names of RFC 8446 section 6, those of older versions included.
fn alert_word(code: u8) -> &'static str {
    match code {
        0 => "alert_close_notify",
        10 => "alert_unexpected_message",
        20 => "alert_bad_record_mac",
        21 => "alert_decryption_failed",
        22 => "alert_record_overflow",
        40 => "alert_handshake_failure",
        42 => "alert_bad_certificate",
        43 => "alert_unsupported_certificate",
        44 => "alert_certificate_revoked",
        45 => "alert_certificate_expired",
        46 => "alert_certificate_unknown",
        47 => "alert_illegal_parameter",
        48 => "alert_unknown_ca",
        49 => "alert_access_denied",
        50 => "alert_decode_error",
        51 => "alert_decrypt_error",
        70 => "alert_protocol_version",
        71 => "alert_insufficient_security",
        80 => "alert_internal_error",
        86 => "alert_inappropriate_fallback",
        90 => "alert_user_canceled",
        109 => "alert_missing_extension",
        110 => "alert_unsupported_extension",
        112 => "alert_unrecognized_name",
        116 => "alert_certificate_required",
        120 => "alert_no_application_protocol",
        _ => "alert_other",
    }
}
