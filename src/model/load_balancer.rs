//! A load balancer: listeners in front, instances behind, and the rules between them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Deref;
use std::time::Duration;

use super::{
    Attributes, Conflict, HealthCheck, Instance, Listener, LoadBalancerName, Place, Policy,
    PolicyName, PolicyType, Port, TrafficLimits, Zone,
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
        let mut conflicts = Vec::new();
        if parts.zones.is_empty() {
            conflicts.push((Place::Zones, Conflict::NoZone));
        }
        parts.check_listeners(&mut conflicts);
        parts.check_instances(&mut conflicts);
        parts.check_listener_policies(&mut conflicts);
        parts.check_backend_policies(&mut conflicts);
        parts.check_references(&mut conflicts);
        if conflicts.is_empty() {
            Ok(Self(parts))
        } else {
            Err(conflicts)
        }
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
    fn check_listeners(&self, conflicts: &mut Vec<(Place, Conflict)>) {
        if self.listeners.is_empty() {
            conflicts.push((Place::Listeners, Conflict::NoListener));
        }
        let mut addresses = HashSet::new();
        let mut secure_by_port = HashMap::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let address = listener.socket_address();
            if !addresses.insert(address) {
                let first = self.name.clone();
                conflicts.push((
                    Place::Listener(index),
                    Conflict::DuplicateListener { address, first },
                ));
            }
            let front = listener.protocols.front();
            let certificates = Place::ListenerCertificates(index);
            match (front.is_secure(), listener.certificates.is_empty()) {
                (true, true) => conflicts.push((certificates, Conflict::CertificateMissing)),
                (false, false) => {
                    conflicts.push((certificates, Conflict::CertificateUnused(front)))
                }
                _ => {}
            }
            let secure = listener.protocols.back().is_secure();
            if *secure_by_port
                .entry(listener.instance_port)
                .or_insert(secure)
                != secure
            {
                conflicts.push((
                    Place::Listener(index),
                    Conflict::MixedInstancePort(listener.instance_port),
                ));
            }
        }
    }

    fn check_instances(&self, conflicts: &mut Vec<(Place, Conflict)>) {
        let mut ids = HashSet::new();
        let mut endpoints = HashMap::new();
        for (index, instance) in self.instances.iter().enumerate() {
            let place = Place::Instance(index);
            if !ids.insert(&instance.id) {
                conflicts.push((place, Conflict::DuplicateInstance(instance.id.clone())));
            } else if let Some(first) =
                endpoints.insert((&instance.host, instance.port), &instance.id)
            {
                conflicts.push((place, Conflict::DuplicateEndpoint(first.clone())));
            }
        }
    }

    fn check_listener_policies(&self, conflicts: &mut Vec<(Place, Conflict)>) {
        for (index, listener) in self.listeners.iter().enumerate() {
            let mut kinds_taken = HashSet::new();
            for (position, name) in listener.policies.iter().enumerate() {
                let place = Place::ListenerPolicy(index, position);
                let Some(kind) =
                    self.attached_type(name, &listener.policies[..position], place, conflicts)
                else {
                    continue;
                };
                if !kind.fits_listener(listener.protocols.front()) {
                    conflicts.push((place, Conflict::PolicyMisplaced(name.clone(), kind)));
                } else if !kinds_taken.insert(kind.is_stickiness()) {
                    conflicts.push((place, Conflict::PolicyKindTwice(name.clone(), kind)));
                }
            }
        }
    }

    fn check_backend_policies(&self, conflicts: &mut Vec<(Place, Conflict)>) {
        for (&port, names) in &self.backend_policies {
            let reached_by_tls = |listener: &Listener| {
                listener.instance_port == port && listener.protocols.back().is_secure()
            };
            for (position, name) in names.iter().enumerate() {
                let place = Place::InstancePortPolicy(port, position);
                let Some(kind) = self.attached_type(name, &names[..position], place, conflicts)
                else {
                    continue;
                };
                if !kind.fits_instance_port() {
                    conflicts.push((place, Conflict::PolicyMisplaced(name.clone(), kind)));
                } else if kind == PolicyType::BackendServerAuthentication
                    && !self.listeners.iter().any(reached_by_tls)
                {
                    conflicts.push((
                        place,
                        Conflict::AuthenticationWithoutTls(name.clone(), port),
                    ));
                }
            }
        }
    }

    /// The type of a policy that stands in a list after `before`; `None` after saying why it may not stand there.
    fn attached_type(
        &self,
        name: &PolicyName,
        before: &[PolicyName],
        place: Place,
        conflicts: &mut Vec<(Place, Conflict)>,
    ) -> Option<PolicyType> {
        if before.contains(name) {
            conflicts.push((place, Conflict::DuplicatePolicy(name.clone())));
            return None;
        }
        let policy = self.policies.get(name);
        if policy.is_none() {
            conflicts.push((place, Conflict::UnknownPolicy(name.clone())));
        }
        policy.map(Policy::policy_type)
    }

    fn check_references(&self, conflicts: &mut Vec<(Place, Conflict)>) {
        for (index, policy) in self.policies.values().enumerate() {
            let Policy::BackendServerAuthentication {
                public_key_policies,
            } = policy
            else {
                continue;
            };
            for (position, name) in public_key_policies.iter().enumerate() {
                let place = Place::PolicyReference(index, position);
                match self.attached_type(name, &public_key_policies[..position], place, conflicts) {
                    Some(PolicyType::PublicKey) | None => {}
                    Some(_) => conflicts.push((place, Conflict::NotAPublicKey(name.clone()))),
                }
            }
        }
    }
}
