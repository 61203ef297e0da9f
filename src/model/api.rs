//! The ELB Query API: where it is served, who may call it, and what ELB's words mean on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use super::keyword::keyword;
use super::{AccessKeyId, CertificateFiles, HostName, Region};

/// The ELB Query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where it is served.
    pub address: SocketAddr,
    /// What it shows clients; `None`: it speaks in the clear.
    pub certificate: Option<CertificateFiles>,
    /// The region in credential scopes and DNS names.
    pub region: Region,
    /// Who may call it, at least one.
    pub access_keys: Vec<AccessKey>,
    /// What the DNS names of load balancers end in; `None`: the region and `elb.internal`, a domain that ICANN keeps
    /// out of the public DNS.
    pub dns_suffix: Option<HostName>,
    /// Where listeners of `internet-facing` load balancers are.
    pub internet_facing_address: IpAddr,
    /// Where listeners of `internal` load balancers are.
    pub internal_address: IpAddr,
}

impl ApiSettings {
    /// Where the API is served unless told otherwise.
    pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9901));

    /// The API for `access_keys`, as it is unless told otherwise: `internet-facing` is every address of the machine,
    /// `internal` is loopback, so that a mistake publishes nothing.
    pub fn new(access_keys: Vec<AccessKey>) -> Self {
        Self {
            address: Self::DEFAULT_ADDRESS,
            certificate: None,
            region: Region::default(),
            access_keys,
            dns_suffix: None,
            internet_facing_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            internal_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// One pair of API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub id: AccessKeyId,
    /// The file that holds the secret half, alone.
    pub secret_file: PathBuf,
    /// What its holder may do.
    pub access: Access,
}

keyword! {
    /// What the holder of an access key may do.
    pub enum Access {
        /// Everything.
        Full = "full",
        /// Operations that change nothing.
        ReadOnly = "read_only",
    }
}
