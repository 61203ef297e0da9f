//! Floor 2: TLS as bytes in and out: security policies, certificates, sessions. The home of `rustls`.
//!
//! A listener's [`ServerTls`] is built from its [`TlsPolicy`] (what is left of it: [`Negotiable`]), its
//! [`Certificate`]s, its demands on clients ([`ClientAuth`]) and the process's ticket keys ([`TicketRing`]); the
//! [`ClientTls`] of a back end from its [`BackendTrust`]. Both are immutable and shared by all cores. A changed
//! certificate or policy makes a new one, published with the snapshot; connections in progress keep the old one as
//! long as they need it, which is until the end of their handshake. The ticket ring outlives them all: it is made once,
//! and replaces its keys by itself.
//!
//! A [`Session`] is born with a connection, is fed what arrives and seals what is to be sent, and dies with the
//! connection or at its first [`TlsFault`]. Moving the bytes, deadlines and buffers are `transport`'s; reading and
//! watching files the control plane's.
//!
//! Locks: none on the way of a request. A handshake takes one when it is the first of its thread in a window of
//! ticket keys, and when a TLS 1.2 client is to be remembered by session id.

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
pub use session::{Agreed, MAX_RECORD, Progress, Session};
pub use settings::{Alpn, ApplicationProtocol, ClientSettings, ClientTls, ServerSettings, ServerTls, SettingsFault};
pub use tickets::{TicketFault, TicketRing};
pub use trust::{Authorities, BackendTrust, PinnedKey, TrustFault};
