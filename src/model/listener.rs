//! Where clients arrive and how what they send goes on to the instances.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use super::{CertificateFiles, PolicyName, Port, ProtocolPair, Unlimited};

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
            policies: Vec::new(),
            max_connections: None,
            allow: Vec::new(),
            deny: Vec::new(),
            proxy_protocol_from: Vec::new(),
        }
    }

    /// Address and port, to bind.
    pub const fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port.get())
    }
}
