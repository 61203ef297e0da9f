//! A load balancer: listeners in front, instances behind, and the rules between them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::time::Duration;

use super::{
    Attributes, Conflict, HealthCheck, Instance, Layer, Listener, LoadBalancerName, Place, Policy, PolicyName, Port,
    PredefinedPolicy, ProxyProtocolVersion, SecurityPolicy, TrafficLimits, Zone,
};

/// A load balancer whose parts agree with each other. Its parts can be read as fields, not changed: to change it,
/// take the parts, change them and build it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer(LoadBalancerParts);

/// What a load balancer is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancerParts {
    /// Its name, unique on the node.
    pub name: LoadBalancerName,
    /// The zones it serves, at least one.
    pub zones: BTreeSet<Zone>,
    /// Where clients arrive, at least one.
    pub listeners: Vec<Listener>,
    /// Where their requests go, in order of registration. May be empty: every request is then answered 503.
    pub instances: Vec<Instance>,
    /// How the health of instances is found out.
    pub health_check: HealthCheck,
    /// ELB's attributes.
    pub attributes: Attributes,
    /// Limits beyond ELB.
    pub limits: TrafficLimits,
    /// Policies that listeners and instance ports may name.
    pub policies: BTreeMap<PolicyName, Policy>,
    /// Policies of instance ports. A port that no listener uses is allowed, as in ELB.
    pub backend_policies: BTreeMap<Port, Vec<PolicyName>>,
}

impl LoadBalancer {
    /// Checks what the parts must agree on. Answers every conflict with its place, not only the first.
    pub fn new(parts: LoadBalancerParts) -> Result<Self, Vec<(Place, Conflict)>> {
        let conflicts = super::agreement::conflicts_in(&parts);
        if conflicts.is_empty() { Ok(Self(parts)) } else { Err(conflicts) }
    }

    /// The parts, to change them.
    pub fn into_parts(self) -> LoadBalancerParts {
        self.0
    }

    /// How long a request may wait for the first byte of its answer.
    pub fn first_byte_timeout(&self) -> Duration {
        match self.limits.first_byte_timeout {
            Some(timeout) => timeout.get(),
            None => self.attributes.idle_timeout.get(),
        }
    }
}

impl Deref for LoadBalancer {
    type Target = LoadBalancerParts;

    fn deref(&self) -> &LoadBalancerParts {
        &self.0
    }
}

impl LoadBalancerParts {
    /// The policy that a list may mean by `name`: one of this load balancer, or one of ELB's predefined ones.
    pub fn policy(&self, name: &PolicyName) -> Option<Cow<'_, Policy>> {
        let predefined = || PredefinedPolicy::from_name(name.as_str()).map(SecurityPolicy::Predefined);
        let own = self.policies.get(name).map(Cow::Borrowed);
        own.or_else(|| predefined().map(Policy::SslNegotiation).map(Cow::Owned))
    }

    /// What TLS a secure listener speaks with clients: its SSL negotiation policy, else [`PredefinedPolicy::DEFAULT`].
    pub fn security_policy(&self, listener: &Listener) -> SecurityPolicy {
        let attached = listener.policies.iter().filter_map(|name| self.policy(name));
        let mut negotiation = attached.filter_map(|policy| match policy.into_owned() {
            Policy::SslNegotiation(policy) => Some(policy),
            _ => None,
        });
        negotiation.next().unwrap_or(SecurityPolicy::Predefined(PredefinedPolicy::DEFAULT))
    }

    /// The PROXY protocol header that the policies of its instance port ask for. Only streams have one (ELB).
    pub fn proxy_protocol(&self, listener: &Listener) -> Option<ProxyProtocolVersion> {
        let names = self.backend_policies.get(&listener.instance_port)?;
        let mut policies = names.iter().filter_map(|name| self.policy(name));
        policies.find_map(|policy| match *policy {
            Policy::ProxyProtocol { enabled: true, version } if listener.protocols.layer() == Layer::Four => {
                Some(version)
            }
            _ => None,
        })
    }

    /// The stickiness policy of a listener, if it has one.
    pub fn stickiness(&self, listener: &Listener) -> Option<(&PolicyName, &Policy)> {
        let mut attached = listener.policies.iter().filter_map(|name| self.policies.get_key_value(name));
        attached.find(|(_, policy)| policy.policy_type().is_stickiness())
    }
}
