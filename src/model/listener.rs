//! Where clients arrive and how what they send goes on to the instances.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::keyword::keyword;
use super::{CertificateFiles, Host, PolicyName, Port, ProtocolPair, Unlimited};

/// One listener. A [`super::LoadBalancer`] checks what its fields must agree on: a secure one has a certificate,
/// its policies exist and fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What clients and instances speak.
    pub protocols: ProtocolPair,
    /// The local address; [`Listener::ANY_ADDRESS`] when nothing is said.
    pub address: IpAddr,
    /// The local port.
    pub port: Port,
    /// The port of instances that name none of their own.
    pub instance_port: Port,
    /// Which HTTP its instances are asked in.
    pub instance_http: InstanceHttp,
    /// What a secure listener can show; the first is for clients that name no host. Empty on a plain one.
    pub certificates: Vec<CertificateFiles>,
    /// What clients of a secure listener get that name no host, or one that no certificate is for.
    pub unknown_name: UnknownName,
    /// Whether clients of a secure listener show certificates of their own.
    pub client_certificates: Option<ClientCertificates>,
    /// By what secure instances are believed, beyond ELB's policies; all listeners of an instance port agree about it.
    pub instance_certificates: Option<InstanceCertificates>,
    /// The load balancer's policies that are attached here.
    pub policies: Vec<PolicyName>,
    /// The most client connections at once on this node; `None`: only the node's limit counts.
    pub max_connections: Unlimited,
    /// Who may connect; empty: everyone.
    pub allow: Vec<IpNet>,
    /// Who may not, even if allowed.
    pub deny: Vec<IpNet>,
    /// Who may speak for another client by a PROXY protocol header; empty: nobody.
    pub proxy_protocol_from: Vec<IpNet>,
}

/// Which HTTP instances are asked in; said by the key `http2`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum InstanceHttp {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by prior knowledge in the clear, agreed on by ALPN inside TLS. What gRPC needs.
    Http2,
}

/// What a client gets that names no host, or one that no certificate is for; said by the key `strict_sni`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UnknownName {
    /// The listener's first certificate, as ELB does.
    #[default]
    ServeDefault,
    /// A fatal alert: strict SNI.
    Refuse,
}

/// Clients prove who they are by a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// What becomes of clients that show none.
    pub verify: ClientVerification,
    /// The authorities that may have issued it, in PEM.
    pub ca_file: PathBuf,
}

keyword! {
    /// What becomes of clients that show no certificate. One that shows a bad one is refused either way.
    pub enum ClientVerification {
        /// They are served, and the instance learns nothing of who they are.
        Optional = "optional",
        /// Their handshake fails.
        Required = "required",
    }
}

/// Instances prove who they are by a certificate for their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceCertificates {
    /// The authorities that may have issued it, in PEM.
    pub ca_file: PathBuf,
    /// The name to ask for and to find in it; `None`: the host name or address of each instance.
    pub server_name: Option<Host>,
}

impl Listener {
    /// Every IPv4 address of the machine.
    pub const ANY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    /// A listener with nothing beyond its protocols and its two ports.
    pub const fn plain(protocols: ProtocolPair, port: Port, instance_port: Port) -> Self {
        Self {
            protocols,
            address: Self::ANY_ADDRESS,
            port,
            instance_port,
            instance_http: InstanceHttp::Http1,
            certificates: Vec::new(),
            unknown_name: UnknownName::ServeDefault,
            client_certificates: None,
            instance_certificates: None,
            policies: Vec::new(),
            max_connections: None,
            allow: Vec::new(),
            deny: Vec::new(),
            proxy_protocol_from: Vec::new(),
        }
    }

    /// Whether its rules let this client in: it is not denied, and it is allowed or everyone is.
    pub fn lets_in(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        !is_in(&self.deny, client) && (self.allow.is_empty() || is_in(&self.allow, client))
    }

    /// Whether this sender is believed when it says by a PROXY protocol header whose connection it brings.
    pub fn trusts(&self, sender: IpAddr) -> bool {
        is_in(&self.proxy_protocol_from, sender.to_canonical())
    }

    /// Address and port, to bind.
    pub const fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port.get())
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn deny_wins_over_allow_and_an_empty_allow_is_everyone() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect::<Vec<IpNet>>();
        let (ten, host, six) = ("10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32");
        for (allow, deny, client, expected) in [
            (&[][..], &[][..], "192.0.2.1", true),
            (&[ten], &[], "10.9.9.9", true),
            (&[ten], &[], "::ffff:10.9.9.9", true),
            (&[ten], &[], "11.0.0.1", false),
            (&[ten], &[], "2001:db8::1", false),
            (&[ten, six], &[host], "10.1.2.3", false),
            (&[ten, six], &[host], "10.1.2.4", true),
            (&[ten, six], &[host], "2001:db8::1", true),
            (&[], &[ten], "10.0.0.1", false),
            (&[], &[ten], "192.0.2.1", true),
        ] {
            let protocols = ProtocolPair::new(Protocol::Http, Protocol::Http).expect("one layer");
            let port = Port::new(80).expect("a port");
            let listener = Listener { allow: nets(allow), deny: nets(deny), ..Listener::plain(protocols, port, port) };
            let client: IpAddr = client.parse().expect("an address");
            assert_eq!(listener.lets_in(client), expected, "{client}, allow {allow:?}, deny {deny:?}");
        }
    }
}
