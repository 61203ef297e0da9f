//! Floor 2: TLS as bytes in and out: security policies, certificates, sessions. The home of `rustls`.

mod certificate;
mod cipher;
mod client_auth;
mod clock;
mod distinguished_name;
mod fault;
mod pieces;
mod policy;
mod predefined;
mod record_size;
mod resolver;
mod session;
mod session_cache;
mod settings;
mod tickets;
mod trust;

#[cfg(test)]
mod interoperability;
#[cfg(test)]
mod measurements;
#[cfg(test)]
mod testing;

pub use certificate::{Certificate, CertificateFault, Fingerprint, KeyKind, Validity};
pub use cipher::Protocol;
pub use client_auth::{ClientAuth, ClientIdentity};
pub use clock::WallClock;
pub use fault::TlsFault;
pub use policy::{CipherOrder, Inactive, InactiveReason, Negotiable, NothingNegotiable, TlsPolicy};
pub use resolver::UnknownName;
pub use session::{MAX_RECORD, Progress, Session};
pub use settings::{Alpn, ApplicationProtocol, ClientSettings, ClientTls, ServerSettings, ServerTls, SettingsFault};
pub use tickets::{TicketFault, TicketRing, WINDOW_SECONDS};
pub use trust::{Authorities, BackendTrust, PinnedKey, TrustFault};
