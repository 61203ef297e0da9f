//! What two valid values can disagree on. The rules stand here once, for the file and for the API.

use std::fmt;
use std::net::SocketAddr;

use super::{InstanceId, LoadBalancerName, PolicyName, PolicyType, Port, Protocol};

/// Where in a load balancer a conflict shows, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A listener as a whole.
    Listener(usize),
    /// The instance port of a listener.
    ListenerInstancePort(usize),
    /// The certificates of a listener.
    ListenerCertificates(usize),
    /// A key of a listener, if it is there, else the listener.
    ListenerKey(usize, &'static str),
    /// A policy in the list of a listener: listener, then position in its list.
    ListenerPolicy(usize, usize),
    /// The list of listeners.
    Listeners,
    /// The list of instances.
    Instances,
    /// An instance.
    Instance(usize),
    /// The list of zones.
    Zones,
    /// A policy in the list of an instance port: the port, then the position in its list.
    InstancePortPolicy(Port, usize),
    /// The definition of a policy.
    Policy(PolicyName),
    /// A policy that another one refers to: the referring one, then the position in its list.
    PolicyReference(PolicyName, usize),
}

/// A disagreement between values that are each valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A load balancer listens nowhere.
    NoListener,
    /// A load balancer serves no zone.
    NoZone,
    /// Two listeners share an address and a port.
    DuplicateListener {
        /// What they share.
        address: SocketAddr,
        /// Whose listener had it first.
        first: LoadBalancerName,
    },
    /// A listener would take the address of the admin pages or of the API.
    AddressInUse {
        /// The address of the listener.
        address: SocketAddr,
        /// `admin` or `api`.
        by: &'static str,
    },
    /// A secure listener has no certificate.
    CertificateMissing,
    /// A plain listener has a certificate.
    CertificateUnused(Protocol),
    /// One instance port is reached both with and without TLS.
    MixedInstancePort(Port),
    /// One instance port is asked in HTTP/2 by one listener and in HTTP/1.1 by another.
    MixedInstanceHttp(Port),
    /// A listener whose back end is not asked in HTTP at all is to ask in HTTP/2.
    Http2WithoutHttp(Protocol),
    /// A key that concerns TLS with clients, on a plain listener.
    TlsKeyUnused(&'static str, Protocol),
    /// Certificates are asked of instances that are not reached by TLS.
    InstancesWithoutTls(Protocol),
    /// Listeners ask the instances behind one port for different certificates.
    MixedInstanceCertificates(Port),
    /// Instances are to be believed both by their public keys and by who issued their certificates.
    AuthenticatedTwice(PolicyName, Port),
    /// Two instances have one id.
    DuplicateInstance(InstanceId),
    /// Two instances are at one address and port.
    DuplicateEndpoint(InstanceId),
    /// A policy has a name that ELB keeps for its own.
    ReservedPolicyName(PolicyName),
    /// There is no policy of this name.
    UnknownPolicy(PolicyName),
    /// One policy stands twice in a list.
    DuplicatePolicy(PolicyName),
    /// A policy is attached where its type does not fit.
    PolicyMisplaced(PolicyName, PolicyType),
    /// A listener has two stickiness policies or two SSL negotiation policies.
    PolicyKindTwice(PolicyName, PolicyType),
    /// Back-end authentication on a port that is not reached by TLS.
    AuthenticationWithoutTls(PolicyName, Port),
    /// Back-end authentication refers to a policy that is no public key.
    NotAPublicKey(PolicyName),
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => write!(formatter, "a load balancer needs at least one listener"),
            Self::NoZone => write!(formatter, "a load balancer needs at least one zone"),
            Self::DuplicateListener { address, first } => {
                write!(formatter, "{address} is already taken by a listener of {first}")
            }
            Self::AddressInUse { address, by } => {
                write!(formatter, "{address} is already taken by the address of [{by}]")
            }
            Self::CertificateMissing => write!(formatter, "Secure Listeners need to specify a SSLCertificateId"),
            Self::CertificateUnused(protocol) => {
                write!(formatter, "certificates are for HTTPS and SSL listeners, this one is {protocol}")
            }
            Self::MixedInstancePort(port) => {
                write!(formatter, "instance port {port} is used with TLS by one listener and without it by another")
            }
            Self::MixedInstanceHttp(port) => {
                write!(formatter, "instance port {port} is used with http2 by one listener and without it by another")
            }
            Self::Http2WithoutHttp(protocol) => {
                write!(formatter, "http2 is for instances that speak HTTP or HTTPS, these speak {protocol}")
            }
            Self::TlsKeyUnused(key, protocol) => {
                write!(formatter, "{key} is for HTTPS and SSL listeners, this one is {protocol}")
            }
            Self::InstancesWithoutTls(protocol) => write!(
                formatter,
                "instance_certificates is for instances that speak HTTPS or SSL, these speak {protocol}"
            ),
            Self::MixedInstanceCertificates(port) => {
                write!(formatter, "listeners disagree about instance_certificates of instance port {port}")
            }
            Self::AuthenticatedTwice(name, port) => write!(
                formatter,
                "policy {name} cannot be enabled here: instances behind port {port} are verified by \
                 instance_certificates"
            ),
            Self::DuplicateInstance(id) => write!(formatter, "instance {id} is already registered"),
            Self::DuplicateEndpoint(id) => {
                write!(formatter, "instance {id} already has this address")
            }
            Self::ReservedPolicyName(name) => {
                write!(formatter, "policy name {name} is reserved: names of predefined policies begin so")
            }
            Self::UnknownPolicy(name) => write!(formatter, "there is no policy with name {name}"),
            Self::DuplicatePolicy(name) => write!(formatter, "policy {name} is listed twice"),
            Self::PolicyMisplaced(name, kind) => {
                write!(formatter, "policy {name} cannot be enabled here: {kind} is for {}", kind.attachable_to())
            }
            Self::PolicyKindTwice(name, kind) => write!(
                formatter,
                "policy {name} cannot be enabled here: only one {} policy per listener",
                if kind.is_stickiness() { "stickiness" } else { "SSL negotiation" }
            ),
            Self::AuthenticationWithoutTls(name, port) => write!(
                formatter,
                "policy {name} cannot be enabled here: no listener reaches instance port {port} by HTTPS or SSL"
            ),
            Self::NotAPublicKey(name) => {
                write!(formatter, "policy {name} is not a PublicKeyPolicyType")
            }
        }
    }
}
