//! TLS of a listener, towards its clients and towards its instances, compiled for the data path.

use std::collections::HashMap;
use std::fmt;

use super::{Keyring, LiveId};
use crate::model::{CertificateFiles, Layer, Listener, LoadBalancerParts, Policy, Port};
use crate::tls::{
    Alpn, BackendTrust, Certificate, ClientAuth, ClientSettings, ClientTls, NothingNegotiable, PinnedKey,
    ServerSettings, ServerTls, SettingsFault, TlsPolicy, TrustFault, UnknownName, WallClock,
};

/// What a secure listener's clients shake hands with.
#[derive(Debug)]
pub struct FrontTls {
    /// Everything a handshake needs.
    pub server: ServerTls,
    /// What it shows, the default first.
    pub certificates: Box<[(CertificateFiles, Certificate)]>,
}

/// Why a listener cannot speak TLS.
#[derive(Debug)]
pub enum TlsError {
    /// Its security policy leaves nothing.
    Policy(NothingNegotiable),
    /// Its settings do not fit.
    Settings(SettingsFault),
    /// The public keys of its instances.
    Trust(TrustFault),
}

impl fmt::Display for TlsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(nothing) => nothing.fmt(formatter),
            Self::Settings(fault) => fault.fmt(formatter),
            Self::Trust(fault) => fault.fmt(formatter),
        }
    }
}

impl FrontTls {
    /// For `listener`; `None` if its clients speak in the clear.
    pub(super) fn compile(
        parts: &LoadBalancerParts,
        listener: &Listener,
        keyring: &Keyring,
    ) -> Result<Option<FrontTls>, TlsError> {
        if !listener.protocols.front().is_secure() {
            return Ok(None);
        }
        let policy = TlsPolicy::of(&parts.security_policy(listener)).negotiable().map_err(TlsError::Policy)?;
        let held = listener.certificates.iter();
        let shown: Box<[_]> =
            held.filter_map(|files| Some((files.clone(), keyring.certificate(files)?.clone()))).collect();
        let certificates: Vec<Certificate> = shown.iter().map(|(_, certificate)| certificate.clone()).collect();
        let server = ServerTls::new(ServerSettings {
            policy: &policy,
            certificates: &certificates,
            unknown_name: UnknownName::ServeDefault,
            client_auth: ClientAuth::Off,
            alpn: match listener.protocols.layer() {
                Layer::Seven => Alpn::Http2OrHttp1,
                Layer::Four => Alpn::Off,
            },
            tickets: keyring.tickets(),
            clock: WallClock::System,
        })
        .map_err(TlsError::Settings)?;
        Ok(Some(FrontTls { server, certificates: shown }))
    }
}

/// Names one way of speaking TLS to the instances of a load balancer on one port: a connection that was made under one
/// serves no request under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendTlsId(u64);

/// TLS towards the instances of a load balancer on one port.
#[derive(Debug)]
pub(super) struct BackendTls {
    id: BackendTlsId,
    /// The keys that instances must hold; empty: any.
    keys: Vec<PinnedKey>,
    /// One per instance, which remembers the sessions to resume.
    clients: HashMap<LiveId, ClientTls>,
    /// For one that came up since.
    any: ClientTls,
}

impl BackendTls {
    /// For `instances` under the policies of `port`; keeps the sessions of `previous` where nothing has changed. `id` is
    /// taken if something has.
    pub(super) fn compile(
        parts: &LoadBalancerParts,
        port: Port,
        instances: impl Iterator<Item = LiveId>,
        previous: Option<&BackendTls>,
        id: u64,
    ) -> Result<BackendTls, TlsError> {
        let keys = pinned_keys(parts, port)?;
        let previous = previous.filter(|previous| previous.keys == keys);
        let trust = match keys.is_empty() {
            true => BackendTrust::Anyone,
            false => BackendTrust::PublicKeys(keys.clone()),
        };
        let known = |instance: &LiveId| previous.and_then(|previous| previous.clients.get(instance)).cloned();
        let clients = instances.map(|instance| Ok((instance, known(&instance).map_or_else(|| client(&trust), Ok)?)));
        Ok(BackendTls {
            id: previous.map_or(BackendTlsId(id), |previous| previous.id),
            clients: clients.collect::<Result<_, TlsError>>()?,
            any: client(&trust)?,
            keys,
        })
    }

    pub(super) fn id(&self) -> BackendTlsId {
        self.id
    }

    /// What to shake hands with this instance with.
    pub(super) fn client(&self, instance: LiveId) -> &ClientTls {
        self.clients.get(&instance).unwrap_or(&self.any)
    }
}

/// As ELB does, no server name is sent and none is looked for.
fn client(trust: &BackendTrust) -> Result<ClientTls, TlsError> {
    let settings = ClientSettings { trust, server_name: None, alpn: Alpn::Off, clock: WallClock::System };
    ClientTls::new(settings).map_err(TlsError::Settings)
}

/// The public keys of the back-end authentication policies that are attached to `port`.
fn pinned_keys(parts: &LoadBalancerParts, port: Port) -> Result<Vec<PinnedKey>, TlsError> {
    let mut keys = Vec::new();
    let attached = parts.backend_policies.get(&port).into_iter().flatten();
    for policy in attached.filter_map(|name| parts.policies.get(name)) {
        let Policy::BackendServerAuthentication { public_key_policies } = policy else { continue };
        for policy in public_key_policies.iter().filter_map(|name| parts.policies.get(name)) {
            let Policy::PublicKey(key) = policy else { continue };
            keys.push(PinnedKey::from_base64(key.as_str()).map_err(TlsError::Trust)?);
        }
    }
    Ok(keys)
}
