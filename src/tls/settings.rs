//! From what a listener or a back end is told to what a session needs: immutable configurations that all cores share.
//! A change (certificate, policy, authority) makes a new one; connections in progress keep what they began with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

use crate::model::UnknownName;

use super::certificate::Certificate;
use super::cipher::Protocol;
use super::client_auth::ClientAuth;
use super::clock::WallClock;
use super::policy::{CipherOrder, Negotiable};
use super::resolver::Resolver;
use super::session_cache::{BackendSessions, SessionIds};
use super::tickets::{ScopedTickets, TicketRing};
use super::trust::{BackendTrust, TrustFault};

/// TLS 1.3 tickets sent after each handshake, as other servers do: a client uses a ticket once (RFC 8446 appendix
/// C.4) and may open connections side by side.
const TICKETS_PER_HANDSHAKE: usize = 2;

/// The application protocols to agree on by ALPN (RFC 7301), in our order of preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alpn {
    /// None: the extension is ignored (SSL listeners).
    #[default]
    Off,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2, then HTTP/1.1.
    Http2OrHttp1,
    /// HTTP/2 only (gRPC back ends).
    Http2,
}

impl Alpn {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names: &[ApplicationProtocol] = match self {
            Self::Off => &[],
            Self::Http1 => &[ApplicationProtocol::Http1],
            Self::Http2OrHttp1 => &[ApplicationProtocol::Http2, ApplicationProtocol::Http1],
            Self::Http2 => &[ApplicationProtocol::Http2],
        };
        names.iter().map(|protocol| protocol.name().to_vec()).collect()
    }
}

/// An application protocol agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationProtocol {
    /// `http/1.1`
    Http1,
    /// `h2`
    Http2,
}

impl ApplicationProtocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        [Self::Http1, Self::Http2].into_iter().find(|protocol| protocol.name() == name)
    }
}

/// Everything that decides how a secure listener shakes hands.
#[derive(Debug)]
pub struct ServerSettings<'a> {
    /// What the security policy leaves.
    pub policy: &'a Negotiable,
    /// At least one; the first is the default.
    pub certificates: &'a [Certificate],
    /// For clients that ask for no name, or for one we do not have.
    pub unknown_name: UnknownName,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
    /// Application protocols.
    pub alpn: Alpn,
    /// The process's ticket keys.
    pub tickets: &'a Arc<TicketRing>,
    /// What tells the time.
    pub clock: WallClock,
}

/// The configuration of a secure listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(pub(super) Arc<ServerConfig>);

impl ServerTls {
    /// Builds it, or says what does not fit.
    pub fn new(settings: ServerSettings<'_>) -> Result<Self, SettingsFault> {
        if settings.certificates.is_empty() {
            return Err(SettingsFault::NoCertificate);
        }
        let provider =
            Arc::new(CryptoProvider { cipher_suites: settings.policy.suites.clone(), ..aws_lc_rs::default_provider() });
        let verifier = settings.client_auth.verifier(&provider).map_err(SettingsFault::Trust)?;
        let builder = ServerConfig::builder_with_details(provider, Arc::new(settings.clock))
            .with_protocol_versions(&settings.policy.library_versions())
            .map_err(|_| SettingsFault::Policy)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let resolver = Resolver::new(settings.certificates, settings.unknown_name);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.ignore_client_order = settings.policy.order == CipherOrder::Server;
        config.alpn_protocols = settings.alpn.protocols();
        config.session_storage = match settings.policy.versions.contains(&Protocol::TlsV1_2) {
            true => Arc::new(SessionIds::new()),
            false => Arc::new(NoServerSessionStorage {}),
        };
        config.ticketer = Arc::new(ScopedTickets::new(settings.tickets.clone(), settings.client_auth.scope()));
        config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
        Ok(Self(Arc::new(config)))
    }
}

/// Everything that decides how we shake hands with one back end.
#[derive(Debug)]
pub struct ClientSettings<'a> {
    /// How it must prove who it is.
    pub trust: &'a BackendTrust,
    /// The name to ask for and, with authorities, to insist on: a DNS name or an IP address. Without one, no server
    /// name is sent, as ELB does.
    pub server_name: Option<&'a str>,
    /// Application protocols.
    pub alpn: Alpn,
    /// What tells the time.
    pub clock: WallClock,
}

/// The configuration towards one back end, with the sessions it let us resume: make one per back end and keep it
/// as long as that lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: ServerName<'static>,
}

impl ClientTls {
    /// Builds it, or says what does not fit.
    pub fn new(settings: ClientSettings<'_>) -> Result<Self, SettingsFault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = settings.trust.verifier(&provider).map_err(SettingsFault::Trust)?;
        let server_name = match (settings.server_name, settings.trust) {
            (Some(name), _) => {
                ServerName::try_from(name.to_owned()).map_err(|_| SettingsFault::ServerName(name.to_owned()))?
            }
            (None, BackendTrust::Authorities(_)) => return Err(SettingsFault::NoServerName),
            (None, _) => ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(settings.clock))
            .with_safe_default_protocol_versions()
            .map_err(|_| SettingsFault::Policy)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.enable_sni = settings.server_name.is_some();
        config.alpn_protocols = settings.alpn.protocols();
        config.resumption = Resumption::store(Arc::new(BackendSessions::new()));
        Ok(Self { config: Arc::new(config), server_name })
    }
}

/// Why a TLS configuration cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsFault {
    /// A listener without a certificate.
    NoCertificate,
    /// The TLS library refuses the policy's combination of versions and ciphers.
    Policy,
    /// Neither a DNS name nor an IP address.
    ServerName(String),
    /// Authorities without a name to insist on would accept any certificate they ever issued.
    NoServerName,
    /// The trust setting.
    Trust(TrustFault),
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("a secure listener needs a certificate"),
            Self::Policy => f.write_str("the TLS library refuses this combination of protocols and ciphers"),
            Self::ServerName(name) => write!(f, "{name:?} is neither a DNS name nor an IP address"),
            Self::NoServerName => f.write_str("verifying a back end against a CA file needs a server name"),
            Self::Trust(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for SettingsFault {}
