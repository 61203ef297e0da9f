//! TLS of a listener, towards its clients and towards its instances, compiled for the data path.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use super::{Keyring, LiveId};
use crate::model::{
    CertificateFiles, ClientCertificates, ClientVerification, Host, InstanceHttp, Layer, Listener, LoadBalancerParts,
    Policy, Port,
};
use crate::tls::{
    Alpn, Authorities, BackendTrust, Certificate, ClientAuth, ClientSettings, ClientTls, NothingNegotiable, PinnedKey,
    ServerSettings, ServerTls, SettingsFault, TlsPolicy, TrustFault, WallClock,
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
    /// Whom it is to believe.
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
            unknown_name: listener.unknown_name,
            client_auth: client_auth(listener, keyring)?,
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
    demand: Demand,
    /// One per instance, which remembers the sessions to resume.
    clients: HashMap<LiveId, ClientTls>,
    /// For one that came up since. Where instances are known by their names it verifies nobody, as no certificate is for
    /// this address, and the request is tried elsewhere.
    any: ClientTls,
}

/// What all instances behind one port have in common.
#[derive(Debug, PartialEq)]
struct Demand {
    /// How they prove who they are.
    trust: BackendTrust,
    /// The name to ask them for, if it is not their own.
    server_name: Option<Host>,
    /// What is spoken inside.
    http: InstanceHttp,
}

impl BackendTls {
    /// For `instances` under the rules of the listener's instance port; keeps the sessions of `previous` where nothing
    /// has changed. `id` is taken if something has.
    pub(super) fn compile<'a>(
        parts: &LoadBalancerParts,
        listener: &Listener,
        instances: impl Iterator<Item = (LiveId, &'a Host)>,
        keyring: &Keyring,
        previous: Option<&BackendTls>,
        id: u64,
    ) -> Result<BackendTls, TlsError> {
        let demand = Demand::of(parts, listener, keyring)?;
        let previous = previous.filter(|previous| previous.demand == demand);
        let known = |instance: &LiveId| previous.and_then(|previous| previous.clients.get(instance)).cloned();
        let clients =
            instances.map(|(instance, host)| Ok((instance, known(&instance).map_or_else(|| demand.client(host), Ok)?)));
        Ok(BackendTls {
            id: previous.map_or(BackendTlsId(id), |previous| previous.id),
            clients: clients.collect::<Result<_, TlsError>>()?,
            any: demand.client(&Host::Ip(Ipv4Addr::UNSPECIFIED.into()))?,
            demand,
        })
    }

    pub(super) fn id(&self) -> BackendTlsId {
        self.id
    }

    /// What to shake hands with an instance at `host` with that is only probed: by the same rules, and without memory, so
    /// that no session is resumed in place of a whole handshake.
    pub(super) fn probing_client(&self, host: &Host) -> Result<ClientTls, TlsError> {
        self.demand.client(host)
    }

    /// What to shake hands with this instance with.
    pub(super) fn client(&self, instance: LiveId) -> &ClientTls {
        self.clients.get(&instance).unwrap_or(&self.any)
    }
}

impl Demand {
    fn of(parts: &LoadBalancerParts, listener: &Listener, keyring: &Keyring) -> Result<Demand, TlsError> {
        let keys = pinned_keys(parts, listener.instance_port)?;
        let trust = match &listener.instance_certificates {
            Some(asked) => BackendTrust::Authorities(authorities(keyring, &asked.ca_file)?),
            None if keys.is_empty() => BackendTrust::Anyone,
            None => BackendTrust::PublicKeys(keys),
        };
        let server_name = listener.instance_certificates.as_ref().and_then(|asked| asked.server_name.clone());
        Ok(Demand { trust, server_name, http: listener.instance_http })
    }

    /// For an instance at `host`. Where its certificate is not looked at by name, no name is sent, as ELB does.
    fn client(&self, host: &Host) -> Result<ClientTls, TlsError> {
        let alpn = match self.http {
            InstanceHttp::Http1 => Alpn::Off,
            InstanceHttp::Http2 => Alpn::Http2,
        };
        let server_name = match (&self.trust, &self.server_name) {
            (BackendTrust::Anyone | BackendTrust::PublicKeys(_), _) => None,
            (BackendTrust::Authorities(_), name) => Some(name.as_ref().unwrap_or(host).to_string()),
        };
        let server_name = server_name.as_deref();
        let settings = ClientSettings { trust: &self.trust, server_name, alpn, clock: WallClock::System };
        ClientTls::new(settings).map_err(TlsError::Settings)
    }
}

fn authorities(keyring: &Keyring, path: &Path) -> Result<Authorities, TlsError> {
    // Whoever cannot be verified must not be believed.
    keyring.authorities(path).cloned().ok_or(TlsError::Trust(TrustFault::NoAuthority))
}

fn client_auth(listener: &Listener, keyring: &Keyring) -> Result<ClientAuth, TlsError> {
    let Some(ClientCertificates { verify, ca_file }) = &listener.client_certificates else {
        return Ok(ClientAuth::Off);
    };
    let authorities = authorities(keyring, ca_file)?;
    Ok(match verify {
        ClientVerification::Optional => ClientAuth::Optional(authorities),
        ClientVerification::Required => ClientAuth::Required(authorities),
    })
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
