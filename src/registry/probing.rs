//! How instances are probed: in the words of the health check, by the rules of their traffic.

use std::sync::Arc;

use super::{BackendTls, LoadBalancerEntry, TlsError};
use crate::model::{HealthCheck, Host, InstanceHttp};
use crate::tls::{Alpn, BackendTrust, ClientSettings, ClientTls, WallClock};

/// How the instances of a load balancer are probed. Where the health check names the instance port of a listener, and
/// both speak TLS or neither does, an instance is believed for the reason that its traffic believes it for, and asked in
/// the HTTP that its traffic is. On another port nobody is verified, and HTTP/1.1 is spoken.
#[derive(Debug, Clone)]
pub struct Probing {
    /// What is asked, and how often.
    pub check: HealthCheck,
    /// What it is asked in.
    pub http: InstanceHttp,
    tls: Option<Arc<BackendTls>>,
}

impl LoadBalancerEntry {
    /// How its instances are probed.
    pub fn probing(&self) -> Probing {
        let target = self.health_check.target();
        let is_probed = |port, is_secure| port == target.port() && is_secure == target.is_secure();
        let probed = self
            .listeners
            .iter()
            .filter(|entry| is_probed(entry.listener.instance_port, entry.listener.protocols.back().is_secure()));
        // A listener of bytes says nothing of what is inside.
        let entry = probed.max_by_key(|entry| entry.listener.instance_http == InstanceHttp::Http2);
        Probing {
            check: self.health_check.clone(),
            http: entry.map_or(InstanceHttp::Http1, |entry| entry.listener.instance_http),
            tls: entry.and_then(|entry| entry.targets.tls().cloned()),
        }
    }
}

impl Probing {
    /// What to shake hands with an instance at `host` with.
    ///
    /// # Errors
    /// As when its traffic was compiled.
    pub fn client(&self, host: &Host) -> Result<ClientTls, TlsError> {
        if let Some(tls) = &self.tls {
            return tls.probing_client(host);
        }
        let settings = ClientSettings {
            trust: &BackendTrust::Anyone,
            server_name: None,
            alpn: Alpn::Off,
            clock: WallClock::System,
        };
        ClientTls::new(settings).map_err(TlsError::Settings)
    }
}
