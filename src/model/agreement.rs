//! What the parts of one load balancer must agree on: ELB's rules for listeners, instances and policies.

use std::collections::{HashMap, HashSet};

use super::{
    Conflict, InstanceHttp, Layer, Listener, LoadBalancerParts, Place, Policy, PolicyName, PolicyType, Port,
    PredefinedPolicy, UnknownName,
};

/// Every conflict among `parts`, with its place.
pub(super) fn conflicts_in(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    if parts.zones.is_empty() {
        conflicts.push((Place::Zones, Conflict::NoZone));
    }
    if parts.listeners.is_empty() {
        conflicts.push((Place::Listeners, Conflict::NoListener));
    }
    conflicts.extend(in_listeners(parts));
    conflicts.extend(in_instance_certificates(parts));
    conflicts.extend(in_instances(parts));
    conflicts.extend(in_policies(parts));
    conflicts.extend(in_listener_policies(parts));
    conflicts.extend(in_instance_port_policies(parts));
    conflicts
}

fn in_listeners(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    let (mut secure_ports, mut http_ports) = (HashMap::new(), HashMap::new());
    for (index, listener) in parts.listeners.iter().enumerate() {
        let front = listener.protocols.front();
        let certificates = Place::ListenerCertificates(index);
        match (front.is_secure(), listener.certificates.is_empty()) {
            (true, true) => conflicts.push((certificates, Conflict::CertificateMissing)),
            (false, false) => conflicts.push((certificates, Conflict::CertificateUnused(front))),
            _ => {}
        }
        let secure = listener.protocols.back().is_secure();
        if *secure_ports.entry(listener.instance_port).or_insert(secure) != secure {
            conflicts.push((Place::ListenerInstancePort(index), Conflict::MixedInstancePort(listener.instance_port)));
        }
        conflicts.extend(in_client_tls(listener, index));
        let http = listener.instance_http;
        match listener.protocols.layer() {
            Layer::Seven if *http_ports.entry(listener.instance_port).or_insert(http) != http => {
                let conflict = Conflict::MixedInstanceHttp(listener.instance_port);
                conflicts.push((Place::ListenerInstancePort(index), conflict));
            }
            Layer::Four if http == InstanceHttp::Http2 => {
                let conflict = Conflict::Http2WithoutHttp(listener.protocols.back());
                conflicts.push((Place::Listener(index), conflict));
            }
            _ => {}
        }
    }
    conflicts
}

/// Keys that mean nothing without TLS.
fn in_client_tls(listener: &Listener, index: usize) -> Vec<(Place, Conflict)> {
    let front = listener.protocols.front();
    let said = [
        ("strict_sni", listener.unknown_name == UnknownName::Refuse),
        ("client_certificates", listener.client_certificates.is_some()),
    ];
    let unused = said.into_iter().filter(|(_, is_said)| *is_said && !front.is_secure());
    unused.map(|(key, _)| (Place::ListenerKey(index, key), Conflict::TlsKeyUnused(key, front))).collect()
}

/// All listeners of an instance port believe its instances for the same reason, and for one.
fn in_instance_certificates(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    let mut asked = HashMap::new();
    for (index, listener) in parts.listeners.iter().enumerate() {
        let (wanted, port, back) = (&listener.instance_certificates, listener.instance_port, listener.protocols.back());
        let place = Place::ListenerKey(index, "instance_certificates");
        if wanted.is_some() && !back.is_secure() {
            conflicts.push((place, Conflict::InstancesWithoutTls(back)));
        } else if back.is_secure() && *asked.entry(port).or_insert(wanted) != wanted {
            conflicts.push((place, Conflict::MixedInstanceCertificates(port)));
        }
    }
    conflicts
}

fn in_instances(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    let mut ids = HashSet::new();
    let mut endpoints = HashMap::new();
    for (index, instance) in parts.instances.iter().enumerate() {
        if !ids.insert(&instance.id) {
            conflicts.push((Place::Instance(index), Conflict::DuplicateInstance(instance.id.clone())));
            continue;
        }
        let first = *endpoints.entry((&instance.host, instance.port)).or_insert(&instance.id);
        if *first != instance.id {
            conflicts.push((Place::Instance(index), Conflict::DuplicateEndpoint(first.clone())));
        }
    }
    conflicts
}

/// Names of policies, and what policies refer to.
fn in_policies(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    for (name, policy) in &parts.policies {
        if PredefinedPolicy::RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)) {
            conflicts.push((Place::Policy(name.clone()), Conflict::ReservedPolicyName(name.clone())));
        }
        if let Policy::BackendServerAuthentication { public_key_policies } = policy {
            let check = |position| check_reference(parts, public_key_policies, position);
            conflicts
                .extend(in_list(public_key_policies, check, |position| Place::PolicyReference(name.clone(), position)));
        }
    }
    conflicts
}

fn in_listener_policies(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    for (index, listener) in parts.listeners.iter().enumerate() {
        let check = |position| check_listener_policy(parts, listener, position);
        conflicts.extend(in_list(&listener.policies, check, |position| Place::ListenerPolicy(index, position)));
    }
    conflicts
}

fn in_instance_port_policies(parts: &LoadBalancerParts) -> Vec<(Place, Conflict)> {
    let mut conflicts = Vec::new();
    for (&port, names) in &parts.backend_policies {
        let check = |position| check_instance_port_policy(parts, port, names, position);
        conflicts.extend(in_list(names, check, |position| Place::InstancePortPolicy(port, position)));
    }
    conflicts
}

/// Checks each position of a list of policy names.
fn in_list(
    names: &[PolicyName],
    check: impl Fn(usize) -> Result<(), Conflict>,
    place: impl Fn(usize) -> Place,
) -> Vec<(Place, Conflict)> {
    (0..names.len()).filter_map(|position| check(position).err().map(|conflict| (place(position), conflict))).collect()
}

/// The type of the policy at `position` of a list: it exists and did not stand there before.
fn listed_type(parts: &LoadBalancerParts, names: &[PolicyName], position: usize) -> Result<PolicyType, Conflict> {
    let name = &names[position];
    if names[..position].contains(name) {
        return Err(Conflict::DuplicatePolicy(name.clone()));
    }
    let policy = parts.policy(name).ok_or_else(|| Conflict::UnknownPolicy(name.clone()))?;
    Ok(policy.policy_type())
}

/// At most one stickiness and one SSL negotiation policy, each where its type fits.
fn check_listener_policy(parts: &LoadBalancerParts, listener: &Listener, position: usize) -> Result<(), Conflict> {
    let names = &listener.policies;
    let kind = listed_type(parts, names, position)?;
    let front = listener.protocols.front();
    if !kind.fits_listener(front) {
        return Err(Conflict::PolicyMisplaced(names[position].clone(), kind));
    }
    let same_kind = |earlier: &PolicyName| {
        parts.policy(earlier).is_some_and(|policy| {
            let earlier = policy.policy_type();
            earlier.fits_listener(front) && earlier.is_stickiness() == kind.is_stickiness()
        })
    };
    if names[..position].iter().any(same_kind) {
        return Err(Conflict::PolicyKindTwice(names[position].clone(), kind));
    }
    Ok(())
}

fn check_instance_port_policy(
    parts: &LoadBalancerParts,
    port: Port,
    names: &[PolicyName],
    position: usize,
) -> Result<(), Conflict> {
    let kind = listed_type(parts, names, position)?;
    if !kind.fits_instance_port() {
        return Err(Conflict::PolicyMisplaced(names[position].clone(), kind));
    }
    let mut listeners = parts.listeners.iter();
    let reached_by_tls =
        listeners.any(|listener| listener.instance_port == port && listener.protocols.back().is_secure());
    if kind == PolicyType::BackendServerAuthentication && !reached_by_tls {
        return Err(Conflict::AuthenticationWithoutTls(names[position].clone(), port));
    }
    let is_verified = |listener: &Listener| listener.instance_port == port && listener.instance_certificates.is_some();
    if kind == PolicyType::BackendServerAuthentication && parts.listeners.iter().any(is_verified) {
        return Err(Conflict::AuthenticatedTwice(names[position].clone(), port));
    }
    Ok(())
}

fn check_reference(parts: &LoadBalancerParts, names: &[PolicyName], position: usize) -> Result<(), Conflict> {
    match listed_type(parts, names, position)? {
        PolicyType::PublicKey => Ok(()),
        _ => Err(Conflict::NotAPublicKey(names[position].clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Attributes, Endpoint, HealthCheck, Instance, InstanceId, LoadBalancer, LoadBalancerName, Protocol,
        ProtocolPair, ProxyProtocolVersion, PublicKey, SecurityPolicy, TrafficLimits, Weight, Zone,
    };

    fn port(number: i64) -> Port {
        Port::new(number).unwrap()
    }

    fn named(names: &[&str]) -> Vec<PolicyName> {
        names.iter().map(|name| PolicyName::new(name).unwrap()).collect()
    }

    fn listener(front: Protocol, back: Protocol, number: i64, policies: &[&str]) -> Listener {
        let pair = ProtocolPair::new(front, back).unwrap();
        Listener { policies: named(policies), ..Listener::plain(pair, port(number), port(8080)) }
    }

    fn instance(id: &str, address: &str) -> Instance {
        let Endpoint { host, port } = address.parse().unwrap();
        let zone = Zone::new("a").unwrap();
        Instance { id: InstanceId::new(id).unwrap(), host, port, zone, weight: Weight::of(1) }
    }

    /// One HTTP listener, one instance, one policy of each type by a name of its own.
    fn parts() -> LoadBalancerParts {
        let policies = [
            ("lb", Policy::LbCookieStickiness { cookie_expiration_period: None }),
            ("app", Policy::AppCookieStickiness { cookie_name: crate::model::CookieName::new("SID").unwrap() }),
            ("tls", Policy::SslNegotiation(SecurityPolicy::Predefined(PredefinedPolicy::PolicyTls12))),
            ("proxy", Policy::ProxyProtocol { enabled: true, version: ProxyProtocolVersion::V1 }),
            ("key", Policy::PublicKey(PublicKey::new("MAMCAQU=").unwrap())),
            ("auth", Policy::BackendServerAuthentication { public_key_policies: named(&["key"]) }),
        ];
        LoadBalancerParts {
            name: LoadBalancerName::new("web").unwrap(),
            zones: [Zone::new("a").unwrap()].into(),
            listeners: vec![listener(Protocol::Http, Protocol::Http, 80, &[])],
            instances: vec![instance("one", "10.0.0.1")],
            health_check: HealthCheck::of_port(port(8080)),
            attributes: Attributes::default(),
            limits: TrafficLimits::default(),
            policies: policies.map(|(name, policy)| (PolicyName::new(name).unwrap(), policy)).into(),
            backend_policies: Default::default(),
        }
    }

    /// The messages of the conflicts after a change of `parts()`.
    fn conflicts_after(change: impl FnOnce(&mut LoadBalancerParts)) -> Vec<(Place, String)> {
        let mut parts = parts();
        change(&mut parts);
        let conflicts = LoadBalancer::new(parts).err().unwrap_or_default();
        conflicts.into_iter().map(|(place, conflict)| (place, conflict.to_string())).collect()
    }

    #[test]
    fn http2_is_for_instances_that_are_asked_in_http_and_for_all_of_a_port() {
        use Protocol::*;
        let http2 = |front: Protocol, number| Listener {
            instance_http: InstanceHttp::Http2,
            ..listener(front, front.default_instance_protocol(), number, &[])
        };
        let refused = |listeners: Vec<Listener>| conflicts_after(|parts| parts.listeners = listeners);
        assert_eq!(refused(vec![http2(Http, 80), http2(Http, 81)]), []);
        assert_eq!(refused(vec![http2(Http, 80), listener(Tcp, Tcp, 81, &[])]), []);
        assert_eq!(
            refused(vec![listener(Http, Http, 80, &[]), http2(Http, 81)]),
            [(
                Place::ListenerInstancePort(1),
                "instance port 8080 is used with http2 by one listener and without it by another".into()
            )]
        );
        assert_eq!(
            refused(vec![http2(Tcp, 80)]),
            [(Place::Listener(0), "http2 is for instances that speak HTTP or HTTPS, these speak TCP".into())]
        );
    }

    #[test]
    fn listeners_take_the_policies_that_fit_their_protocol() {
        use Protocol::*;
        let refused = |front: Protocol, policies: &[&str]| {
            let back = front.default_instance_protocol();
            let conflicts = conflicts_after(|parts| parts.listeners = vec![listener(front, back, 80, policies)]);
            let of_policies = |(place, _): &&(Place, String)| matches!(place, Place::ListenerPolicy(..));
            conflicts.iter().filter(of_policies).map(|(_, message)| message.clone()).collect::<Vec<_>>()
        };
        assert!(refused(Http, &["lb"]).is_empty());
        assert!(refused(Https, &["app", "tls"]).is_empty());
        assert!(refused(Ssl, &["ELBSecurityPolicy-2016-08"]).is_empty());
        assert_eq!(refused(Https, &["proxy", "tls", "lb"]).len(), 1);
        assert_eq!(
            refused(Tcp, &["lb"]),
            ["policy lb cannot be enabled here: LBCookieStickinessPolicyType is for HTTP and HTTPS listeners"]
        );
        assert_eq!(
            refused(Http, &["tls", "proxy"]),
            [
                "policy tls cannot be enabled here: SSLNegotiationPolicyType is for HTTPS and SSL listeners",
                "policy proxy cannot be enabled here: ProxyProtocolPolicyType is for instance ports",
            ]
        );
        assert_eq!(
            refused(Http, &["lb", "app"]),
            ["policy app cannot be enabled here: only one stickiness policy per listener"]
        );
        assert_eq!(refused(Http, &["lb", "lb"]), ["policy lb is listed twice"]);
        assert_eq!(refused(Http, &["none"]), ["there is no policy with name none"]);
    }

    #[test]
    fn instance_ports_take_what_concerns_instances() {
        let refused = |back: Protocol, policies: &[&str]| {
            conflicts_after(|parts| {
                parts.listeners = vec![listener(Protocol::Http, back, 80, &[])];
                parts.backend_policies.insert(port(8080), named(policies));
            })
        };
        assert!(refused(Protocol::Http, &["proxy"]).is_empty());
        assert!(refused(Protocol::Https, &["auth", "proxy"]).is_empty());
        assert_eq!(
            refused(Protocol::Http, &["auth", "key"]),
            [
                (
                    Place::InstancePortPolicy(port(8080), 0),
                    "policy auth cannot be enabled here: no listener reaches instance port 8080 by HTTPS or SSL".into()
                ),
                (
                    Place::InstancePortPolicy(port(8080), 1),
                    "policy key cannot be enabled here: PublicKeyPolicyType is for nothing; \
                     back-end server authentication policies refer to it"
                        .into()
                ),
            ]
        );
    }

    #[test]
    fn policies_keep_clear_of_elbs_names_and_refer_to_keys() {
        let mut auth = named(&["auth"]);
        let conflicts = conflicts_after(|parts| {
            let references = Policy::BackendServerAuthentication { public_key_policies: named(&["lb", "key"]) };
            parts.policies.insert(auth.remove(0), references);
            let sticky = Policy::LbCookieStickiness { cookie_expiration_period: None };
            parts.policies.insert(PolicyName::new("ELBSample-mine").unwrap(), sticky);
        });
        let reserved = PolicyName::new("ELBSample-mine").unwrap();
        assert_eq!(
            conflicts,
            [
                (
                    Place::Policy(reserved),
                    "policy name ELBSample-mine is reserved: names of predefined policies begin so".into()
                ),
                (
                    Place::PolicyReference(PolicyName::new("auth").unwrap(), 0),
                    "policy lb is not a PublicKeyPolicyType".into()
                ),
            ]
        );
    }

    #[test]
    fn instances_are_distinct_by_name_and_by_address() {
        let conflicts = conflicts_after(|parts| {
            parts.instances = vec![
                instance("one", "10.0.0.1"),
                instance("two", "10.0.0.1:81"),
                instance("one", "10.0.0.3"),
                instance("four", "10.0.0.1"),
                instance("five", "10.0.0.1"),
            ];
        });
        assert_eq!(
            conflicts,
            [
                (Place::Instance(2), "instance one is already registered".into()),
                (Place::Instance(3), "instance one already has this address".into()),
                (Place::Instance(4), "instance one already has this address".into()),
            ]
        );
    }

    #[test]
    fn every_conflict_is_answered_not_only_the_first() {
        let conflicts = conflicts_after(|parts| {
            parts.zones.clear();
            parts.listeners = vec![
                listener(Protocol::Https, Protocol::Http, 443, &[]),
                listener(Protocol::Http, Protocol::Https, 80, &[]),
            ];
        });
        assert_eq!(
            conflicts,
            [
                (Place::Zones, "a load balancer needs at least one zone".into()),
                (Place::ListenerCertificates(0), "Secure Listeners need to specify a SSLCertificateId".into()),
                (
                    Place::ListenerInstancePort(1),
                    "instance port 8080 is used with TLS by one listener and without it by another".into()
                ),
            ]
        );
        let conflicts = conflicts_after(|parts| parts.listeners.clear());
        assert_eq!(conflicts, [(Place::Listeners, "a load balancer needs at least one listener".into())]);
    }
}
