//! From a configuration to a snapshot.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::live::{Birth, Live, LiveId};
use super::{
    BackendTls, FrontTls, InstanceEntry, Keyring, KeyringError, ListenerEntry, LoadBalancerEntry, Places, Rules,
    Snapshot, Stickiness, Targets, TlsError,
};
use crate::balance::{Candidates, Member, Placement, StickyKey, Zoning};
use crate::model::{
    AccessLog, Configuration, Host, HostName, Instance, InstanceId, Listener, LoadBalancer, LoadBalancerName, Port,
    Routing,
};
use crate::telemetry::{AccessLogQueue, ListenerCells, PerCore};
use crate::tls::TicketFault;

/// Why a valid configuration cannot be brought into effect here and now.
#[derive(Debug)]
pub enum CompileError {
    /// The host name of an instance has no address.
    Unresolved {
        /// The load balancer.
        load_balancer: LoadBalancerName,
        /// Its instance.
        instance: InstanceId,
        /// The name.
        name: HostName,
        /// What the resolver said.
        cause: String,
    },
    /// A file of certificates or keys is no good.
    Keyring(KeyringError),
    /// There are no keys for session tickets.
    Tickets(TicketFault),
    /// A listener cannot speak TLS, to its clients or to its instances.
    Tls {
        /// The load balancer.
        load_balancer: LoadBalancerName,
        /// The port of its listener.
        port: Port,
        /// Why.
        cause: TlsError,
    },
    /// A listener keeps clients by sticky cookies, and there is no key to make them with.
    NoStickyKey {
        /// The load balancer.
        load_balancer: LoadBalancerName,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { load_balancer, instance, name, cause } => {
                write!(formatter, "load balancer {load_balancer}, instance {instance}: cannot resolve {name}: {cause}")
            }
            Self::Keyring(error) => error.fmt(formatter),
            Self::Tickets(fault) => write!(formatter, "session tickets: {fault}"),
            Self::Tls { load_balancer, port, cause } => {
                write!(formatter, "load balancer {load_balancer}, listener {port}: {cause}")
            }
            Self::NoStickyKey { load_balancer } => {
                write!(formatter, "load balancer {load_balancer}: there is no key for its sticky cookies")
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// What a configuration is compiled with that it only names.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The certificates of secure listeners.
    pub keyring: &'a Keyring,
    /// What sticky cookies are made with; without it no listener may want them.
    pub sticky: Option<&'a StickyKey>,
}

/// Compiles `configuration` for `cores` data-plane threads. What it has in common with the snapshot it is to follow keeps
/// its live records and counters: an instance with the same load balancer, id, address and port; a listener with the
/// same load balancer and port; the clients and waiting requests of a load balancer with the same name; the lines that wait for the same log.
///
/// Host names are looked up here, one after the other, by the system's resolver, which may take seconds; the first
/// address counts. Answers every error, and changes nothing.
pub fn compile(
    configuration: &Configuration,
    cores: usize,
    keys: Keys<'_>,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, Vec<CompileError>> {
    let mut compiler = Compiler::new(configuration, cores, keys, previous);
    let load_balancers: Box<[_]> =
        configuration.load_balancers.values().map(|balancer| compiler.load_balancer(balancer)).collect();
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    let balancers = load_balancers.iter().zip(configuration.load_balancers.values());
    let mut listeners: Box<[_]> = balancers.flat_map(|(entry, balancer)| compiler.listeners(entry, balancer)).collect();
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    listeners.sort_unstable_by_key(|entry| entry.listener.socket_address());
    Ok(Snapshot {
        version: compiler.version,
        zone: configuration.node.zone.clone(),
        load_balancers,
        listeners,
        births: compiler.births.into(),
    })
}

struct Compiler<'a> {
    configuration: &'a Configuration,
    cores: usize,
    keys: Keys<'a>,
    version: u32,
    lives: HashMap<(&'a LoadBalancerName, &'a InstanceId), &'a Arc<Live>>,
    rules: HashMap<&'a LoadBalancerName, &'a Rules>,
    listener_cells: HashMap<(LoadBalancerName, Port), Arc<PerCore<ListenerCells>>>,
    backend_tls: HashMap<(&'a LoadBalancerName, Port), &'a BackendTls>,
    backend_tls_made: u32,
    places: HashMap<SocketAddr, &'a Arc<Places>>,
    access_logs: Vec<Arc<AccessLogQueue>>,
    resolved: HashMap<&'a HostName, Result<IpAddr, String>>,
    births: Vec<u32>,
    free_indexes: Vec<u32>,
    errors: Vec<CompileError>,
}

impl<'a> Compiler<'a> {
    fn new(configuration: &'a Configuration, cores: usize, keys: Keys<'a>, previous: Option<&'a Snapshot>) -> Self {
        let instances = previous.into_iter().flat_map(Snapshot::instances);
        let listeners = || previous.into_iter().flat_map(Snapshot::listeners);
        let balancers = previous.into_iter().flat_map(Snapshot::load_balancers);
        let backend_tls = listeners().filter_map(|entry| {
            let place = (&entry.rules.name, entry.listener.instance_port);
            entry.targets.tls().map(|tls| (place, tls.as_ref()))
        });
        let births = previous.map_or(&[] as &[u32], |previous| &previous.births);
        Self {
            configuration,
            cores,
            keys,
            backend_tls: backend_tls.collect(),
            backend_tls_made: 0,
            version: previous.map_or(0, Snapshot::version) + 1,
            lives: instances
                .map(|(balancer, entry)| ((&balancer.rules.name, &entry.instance.id), &entry.live))
                .collect(),
            rules: balancers.map(|entry| (&entry.rules.name, &*entry.rules)).collect(),
            places: listeners().map(|entry| (entry.listener.socket_address(), &entry.places)).collect(),
            listener_cells: listeners()
                .map(|entry| ((entry.rules.name.clone(), entry.listener.port), Arc::clone(&entry.cells)))
                .collect(),
            access_logs: previous.into_iter().flat_map(Snapshot::access_logs).cloned().collect(),
            resolved: HashMap::new(),
            births: vec![0; births.len()],
            // An index that the previous snapshot used is not given to another before the next one.
            free_indexes: (0..).zip(births).filter(|(_, since)| **since == 0).map(|(index, _)| index).collect(),
            errors: Vec::new(),
        }
    }

    fn load_balancer(&mut self, balancer: &'a LoadBalancer) -> LoadBalancerEntry {
        if self.keys.sticky.is_none()
            && balancer.listeners.iter().any(|listener| balancer.stickiness(listener).is_some())
        {
            self.errors.push(CompileError::NoStickyKey { load_balancer: balancer.name.clone() });
        }
        let previous = self.rules.get(&balancer.name).copied();
        LoadBalancerEntry {
            rules: Arc::new(Rules {
                name: balancer.name.clone(),
                attributes: balancer.attributes.clone(),
                limits: balancer.limits.clone(),
                first_byte_timeout: balancer.first_byte_timeout(),
                access_log: balancer.attributes.access_log.as_ref().map(|log| self.access_log(log)),
                surge_queue: previous.map(|rules| Arc::clone(&rules.surge_queue)).unwrap_or_default(),
                clients: previous.map(|rules| Arc::clone(&rules.clients)).unwrap_or_default(),
            }),
            health_check: balancer.health_check.clone(),
            instances: balancer.instances.iter().filter_map(|instance| self.instance(balancer, instance)).collect(),
        }
    }

    /// One instance; `None` after an error.
    fn instance(&mut self, balancer: &'a LoadBalancer, instance: &'a Instance) -> Option<InstanceEntry> {
        let ip = self.resolve(balancer, instance)?;
        let zoning = Zoning {
            node: &self.configuration.node.zone,
            enabled: &balancer.zones,
            cross_zone: balancer.attributes.cross_zone,
        };
        Some(InstanceEntry {
            instance: instance.clone(),
            placement: zoning.placement_of(&instance.zone),
            live: self.live(balancer, instance, ip),
        })
    }

    fn live(&mut self, balancer: &'a LoadBalancer, instance: &'a Instance, ip: IpAddr) -> Arc<Live> {
        let known = self.lives.get(&(&balancer.name, &instance.id)).filter(|live| live.is_at(ip, instance.port));
        let live = match known {
            Some(live) => Arc::clone(live),
            None => Arc::new(Live::new(Birth {
                id: self.next_id(),
                load_balancer: &balancer.name,
                instance: &instance.id,
                ip,
                port: instance.port,
                cores: self.cores,
            })),
        };
        if let Some(birth) = self.births.get_mut(live.id().index as usize) {
            *birth = live.id().since;
        }
        live
    }

    fn next_id(&mut self) -> LiveId {
        let index = self.free_indexes.pop().unwrap_or_else(|| {
            self.births.push(0);
            (self.births.len() - 1) as u32
        });
        LiveId { index, since: self.version }
    }

    /// The address of an instance; `None` and an error when its name has none. Each name is looked up once.
    fn resolve(&mut self, balancer: &LoadBalancer, instance: &'a Instance) -> Option<IpAddr> {
        let name = match &instance.host {
            Host::Ip(ip) => return Some(*ip),
            Host::Name(name) => name,
        };
        let cause = match self.resolved.entry(name).or_insert_with(|| look_up(name)) {
            Ok(ip) => return Some(*ip),
            Err(cause) => cause.clone(),
        };
        self.errors.push(CompileError::Unresolved {
            load_balancer: balancer.name.clone(),
            instance: instance.id.clone(),
            name: name.clone(),
            cause,
        });
        None
    }

    /// The queue of a log; load balancers with the same one share it.
    fn access_log(&mut self, log: &AccessLog) -> Arc<AccessLogQueue> {
        if let Some(known) = self.access_logs.iter().find(|known| known.log() == log) {
            return Arc::clone(known);
        }
        let queue = Arc::new(AccessLogQueue::new(log.clone()));
        self.access_logs.push(Arc::clone(&queue));
        queue
    }

    fn listeners(&mut self, entry: &LoadBalancerEntry, balancer: &'a LoadBalancer) -> Vec<Arc<ListenerEntry>> {
        let (mut targets, mut backend_tls) = (HashMap::new(), HashMap::new());
        let mut compiled = Vec::with_capacity(balancer.listeners.len());
        for listener in &balancer.listeners {
            let (port, routing) = (listener.instance_port, balancer.attributes.routing_of(listener.protocols.layer()));
            // All listeners that share an instance port agree on whether it speaks TLS.
            if listener.protocols.back().is_secure() && !backend_tls.contains_key(&port) {
                let Some(tls) = self.backend_tls(entry, balancer, listener) else { continue };
                backend_tls.insert(port, tls);
            }
            let targets = targets
                .entry((port, routing))
                .or_insert_with(|| Arc::new(self.targets(entry, port, routing, backend_tls.get(&port).cloned())));
            let front = FrontTls::compile(balancer, listener, self.keys.keyring);
            let Some(tls) = self.noted(front, entry, listener) else { continue };
            compiled.push(Arc::new(ListenerEntry {
                listener: listener.clone(),
                rules: Arc::clone(&entry.rules),
                targets: Arc::clone(targets),
                tls,
                cells: self.listener_cells(&entry.rules.name, listener.port),
                places: self
                    .places
                    .get(&listener.socket_address())
                    .map(|places| Arc::clone(places))
                    .unwrap_or_default(),
                stickiness: self.stickiness(entry, balancer, listener),
                proxy_protocol: balancer.proxy_protocol(listener),
            }));
        }
        compiled
    }

    /// `None` after an error.
    fn backend_tls(
        &mut self,
        entry: &LoadBalancerEntry,
        balancer: &'a LoadBalancer,
        listener: &Listener,
    ) -> Option<Arc<BackendTls>> {
        let previous = self.backend_tls.get(&(&balancer.name, listener.instance_port)).copied();
        let instances = entry.instances.iter().map(|entry| (entry.live.id(), &entry.instance.host));
        self.backend_tls_made += 1;
        let id = u64::from(self.version) << 32 | u64::from(self.backend_tls_made);
        let tls = BackendTls::compile(balancer, listener, instances, self.keys.keyring, previous, id);
        self.noted(tls, entry, listener).map(Arc::new)
    }

    /// Takes note of an error; `None` then.
    fn noted<T>(&mut self, result: Result<T, TlsError>, entry: &LoadBalancerEntry, listener: &Listener) -> Option<T> {
        let (load_balancer, port) = (&entry.rules.name, listener.port);
        let error = |cause| CompileError::Tls { load_balancer: load_balancer.clone(), port, cause };
        result.map_err(|cause| self.errors.push(error(cause))).ok()
    }

    fn stickiness(
        &self,
        entry: &LoadBalancerEntry,
        balancer: &LoadBalancer,
        listener: &Listener,
    ) -> Option<Stickiness> {
        let (_, policy) = balancer.stickiness(listener)?;
        let served = entry.instances.iter().filter(|entry| entry.placement == Placement::Served);
        let lives = served.map(|entry| Arc::clone(&entry.live));
        Stickiness::new(policy, lives, listener.instance_port, self.keys.sticky?)
    }

    fn targets(
        &self,
        entry: &LoadBalancerEntry,
        port: Port,
        routing: Routing,
        tls: Option<Arc<BackendTls>>,
    ) -> Targets {
        let served = entry.instances.iter().filter(|entry| entry.placement == Placement::Served);
        let members =
            served.map(|entry| Member { record: Arc::clone(&entry.live), weight: entry.instance.weight }).collect();
        let limit = entry.rules.limits.instance_connections.and_then(|limit| NonZeroU32::new(limit.get()));
        Targets::new(Candidates::new(members, routing, limit, self.cores), port, tls)
    }

    /// Metrics tell listeners apart by load balancer and port, so two with the same port count together.
    fn listener_cells(&mut self, name: &LoadBalancerName, port: Port) -> Arc<PerCore<ListenerCells>> {
        let cells = self.listener_cells.entry((name.clone(), port));
        Arc::clone(cells.or_insert_with(|| Arc::new(PerCore::new(self.cores))))
    }
}

fn look_up(name: &HostName) -> Result<IpAddr, String> {
    let mut addresses = (name.as_str(), 0).to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().map(|address| address.ip()).ok_or_else(|| "it has no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Unavailable;
    use crate::health::Condition;
    use crate::model::{Count, LoadBalancerParts, Policy, PolicyName, Protocol, Weight};
    use crate::registry::Tried;
    use crate::registry::testing::{balancer, configuration, instance, key, keyring, listener, zone};
    use std::time::Duration;

    fn compiled(load_balancers: Vec<LoadBalancerParts>, previous: Option<&Snapshot>) -> Snapshot {
        let (keyring, key) = (keyring(), key());
        let keys = Keys { keyring: &keyring, sticky: Some(&key) };
        compile(&configuration(load_balancers), 2, keys, previous).expect("resolvable")
    }

    fn live<'a>(snapshot: &'a Snapshot, id: &str) -> &'a Arc<Live> {
        &snapshot.instances().find(|(_, entry)| entry.instance.id.as_str() == id).expect("registered").1.live
    }

    fn put_in_service(snapshot: &Snapshot) {
        snapshot.instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
    }

    /// The addresses that eight requests of the listener on `port` go to while each is in flight, sorted, each once.
    fn reached(snapshot: &Snapshot, port: u16) -> Vec<String> {
        let listener = snapshot.listener(([0, 0, 0, 0], port).into()).expect("a listener");
        let underway: Vec<_> = (0..8).filter_map(|_| listener.targets.choose(0, &Tried::none()).ok()).collect();
        let mut addresses: Vec<_> = underway.iter().map(|assignment| assignment.address.to_string()).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    #[test]
    fn sticky_tokens_outlive_reloads_and_name_nobody_who_left() {
        let sticky = |ids: &[&str]| {
            let instances = ids.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
            let mut web = balancer("web", 80, instances);
            let name = PolicyName::new("sticky").expect("a name");
            web.policies.insert(name.clone(), Policy::LbCookieStickiness { cookie_expiration_period: None });
            web.listeners[0].policies.push(name);
            web
        };
        let stickiness = |snapshot: &Snapshot| snapshot.listeners[0].clone();
        let first = compiled(vec![sticky(&["a", "bb"])], None);
        let entry = stickiness(&first);
        let of = |entry: &ListenerEntry, id| {
            let stickiness = entry.stickiness.as_ref().expect("sticky");
            stickiness.token_of(live(&first, id)).map(|token| token.as_bytes().to_vec())
        };
        let (a, b) = (of(&entry, "a").expect("a token"), of(&entry, "bb").expect("a token"));
        assert_ne!(a, b);
        // A reload, and a start anew.
        for previous in [Some(&first), None] {
            let second = compiled(vec![sticky(&["bb"])], previous);
            let entry = stickiness(&second);
            let stickiness = entry.stickiness.as_ref().expect("sticky");
            assert!(stickiness.instance_of(&a).is_none());
            assert!(Arc::ptr_eq(stickiness.instance_of(&b).expect("registered"), live(&second, "bb")));
        }
        let keyring = keyring();
        let keys = Keys { keyring: &keyring, sticky: None };
        let errors = compile(&configuration(vec![sticky(&["a"])]), 1, keys, None).expect_err("no key");
        assert!(errors[0].to_string().contains("no key"), "{errors:?}");
    }

    #[test]
    fn requests_go_to_instances_in_service_on_the_listeners_port_or_their_own() {
        let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2:9001")]);
        web.listeners.push(listener(Protocol::Tcp, 81, 8081));
        let snapshot = compiled(vec![web], None);
        assert!(snapshot.listener(([0, 0, 0, 0], 82).into()).is_none());
        assert_eq!(reached(&snapshot, 80), [] as [&str; 0], "nobody has been probed");
        put_in_service(&snapshot);
        assert_eq!(reached(&snapshot, 80), ["10.0.0.1:8080", "10.0.0.2:9001"]);
        assert_eq!(reached(&snapshot, 81), ["10.0.0.1:8081", "10.0.0.2:9001"]);
        live(&snapshot, "a").set_condition(Condition::Failed);
        assert_eq!(reached(&snapshot, 80), ["10.0.0.2:9001"]);
        live(&snapshot, "b").set_condition(Condition::Recovering);
        let listener = &snapshot.listeners()[0];
        assert_eq!(listener.targets.choose(0, &Tried::none()).err(), Some(Unavailable::NoneInService));
    }

    #[test]
    fn zones_decide_who_is_served_and_what_is_reported() {
        let placed = |id: &str, address: &str, name: &str| Instance { zone: zone(name), ..instance(id, address) };
        let instances = || {
            vec![
                placed("a", "10.0.0.1", "here"),
                placed("b", "10.0.0.2", "there"),
                placed("c", "10.0.0.3", "elsewhere"),
            ]
        };
        let own = balancer("own", 80, instances());
        let mut cross = balancer("cross", 81, instances());
        cross.attributes.cross_zone = true;
        let snapshot = compiled(vec![own, cross], None);
        put_in_service(&snapshot);
        assert_eq!(reached(&snapshot, 80), ["10.0.0.1:8080"]);
        assert_eq!(reached(&snapshot, 81), ["10.0.0.1:8080", "10.0.0.2:8080"]);
        let reports: Vec<_> = snapshot.instances().map(|(_, entry)| entry.report().description).collect();
        assert_eq!(reports[..2], ["N/A", "N/A"]);
        assert!(reports[2].starts_with("Instance is in the EC2 Availability Zone for which"));
    }

    #[test]
    fn the_one_that_failed_is_not_tried_again_and_the_limit_counts_over_listeners() {
        let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2")]);
        web.listeners.push(listener(Protocol::Tcp, 81, 8081));
        web.limits.instance_connections = Some(Count::of(1));
        let snapshot = compiled(vec![web], None);
        put_in_service(&snapshot);
        let [http, tcp] = snapshot.listeners() else { panic!("two listeners") };
        let mut tried = Tried::none();
        let first = http.targets.choose(0, &tried).expect("free");
        tried.add(first.lease.record());
        drop(first.lease);
        let second = http.targets.choose(0, &tried).expect("the other is free");
        assert_ne!(first.address, second.address);
        tried.add(second.lease.record());
        assert_eq!(http.targets.choose(0, &tried).err(), Some(Unavailable::NoneInService));
        let third = tcp.targets.choose(1, &Tried::none()).expect("the first is free again");
        assert_eq!(third.address.ip(), first.address.ip());
        assert_eq!(tcp.targets.choose(1, &Tried::none()).err(), Some(Unavailable::AtCapacity));
    }

    #[test]
    fn what_is_unchanged_keeps_its_live_record_and_its_counters() {
        let all = vec![
            instance("same", "10.0.0.1"),
            instance("moved", "10.0.0.2"),
            instance("port", "10.0.0.3"),
            instance("gone", "10.0.0.4"),
        ];
        let first = compiled(vec![balancer("web", 80, all.clone())], None);
        put_in_service(&first);
        let heavier = Instance { weight: Weight::of(7), ..instance("same", "10.0.0.1") };
        let others = vec![instance("moved", "10.0.0.9"), instance("port", "10.0.0.3:81"), instance("new", "10.0.0.5")];
        let mut web = balancer("web", 80, [vec![heavier], others].concat());
        web.listeners.push(listener(Protocol::Http, 90, 8080));
        let second = compiled(vec![web, balancer("other", 81, all)], Some(&first));

        assert_eq!((first.version(), second.version()), (1, 2));
        let kept: Vec<_> = second
            .instances()
            .map(|(_, entry)| entry)
            .filter(|entry| first.instances().any(|(_, before)| Arc::ptr_eq(&before.live, &entry.live)))
            .map(|entry| (entry.instance.id.to_string(), entry.live.condition()))
            .collect();
        assert_eq!(kept, [("same".to_owned(), Condition::InService)]);
        let cells = |snapshot: &Snapshot, port: u16| {
            Arc::clone(&snapshot.listener(([0, 0, 0, 0], port).into()).expect("a listener").cells)
        };
        assert!(Arc::ptr_eq(&cells(&first, 80), &cells(&second, 80)));
        assert!(!Arc::ptr_eq(&cells(&first, 80), &cells(&second, 90)));
    }

    #[test]
    fn ids_are_dense_and_tell_apart_who_had_the_same_index() {
        let ids = |snapshot: &Snapshot| -> Vec<_> {
            snapshot.instances().map(|(_, entry)| (entry.live.id().index, entry.live.id().since)).collect()
        };
        let next = |instances: &[&str], previous: Option<&Snapshot>| {
            let instances = instances.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
            compiled(vec![balancer("web", 80, instances)], previous)
        };
        let first = next(&["a", "bb", "ccc"], None);
        let second = next(&["a", "ccc", "dddd"], Some(&first));
        let third = next(&["a", "ccc", "eeeee"], Some(&second));
        assert_eq!(ids(&first), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(ids(&second), [(0, 1), (2, 1), (3, 2)], "an index rests for one snapshot");
        assert_eq!(ids(&third), [(0, 1), (2, 1), (1, 3)]);
        let (gone, new) = (live(&first, "bb").id(), live(&third, "eeeee").id());
        assert!(first.is_registered(gone) && !second.is_registered(gone) && !third.is_registered(gone));
        assert!(third.is_registered(new) && !first.is_registered(new));
        assert!(!third.is_registered(live(&second, "dddd").id()));
    }

    #[test]
    fn names_are_resolved_and_every_one_without_an_address_is_named() {
        let snapshot = compiled(vec![balancer("web", 80, vec![instance("a", "localhost:9001")])], None);
        assert!(live(&snapshot, "a").address(crate::registry::testing::port(1)).ip().is_loopback());
        let unknown = vec![
            instance("a", "10.0.0.1"),
            instance("b", "no-such-host.invalid"),
            instance("c", "no-such-host.invalid:81"),
        ];
        let keyring = keyring();
        let keys = Keys { keyring: &keyring, sticky: None };
        let errors =
            compile(&configuration(vec![balancer("web", 80, unknown)]), 1, keys, Some(&snapshot)).expect_err("both");
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert!(
            texts[0].starts_with("load balancer web, instance b: cannot resolve no-such-host.invalid: "),
            "{texts:?}"
        );
        assert!(texts[1].starts_with("load balancer web, instance c: "), "{texts:?}");
    }

    /// The bar for 10,000 instances is a reload under one second. Unoptimised this takes 60 to 90 ms of CPU.
    #[test]
    fn ten_thousand_instances_compile_in_half_a_second() {
        let address = |number: usize| format!("10.{}.{}.1", number / 250, number % 250);
        let instances = (0..10_000).map(|number| instance(&format!("web-{number}"), &address(number))).collect();
        let configuration = configuration(vec![balancer("web", 80, instances)]);
        let keyring = keyring();
        let keys = Keys { keyring: &keyring, sticky: None };
        let begun = cpu_time_used();
        let first = compile(&configuration, 2, keys, None).expect("addresses only");
        let of_first = cpu_time_used() - begun;
        let second = compile(&configuration, 2, keys, Some(&first)).expect("addresses only");
        let of_second = cpu_time_used() - begun - of_first;
        assert!(of_first.as_millis() < 500 && of_second.as_millis() < 500, "{of_first:?} and {of_second:?}");
        assert!(
            first.instances().zip(second.instances()).all(|((_, one), (_, two))| Arc::ptr_eq(&one.live, &two.live))
        );
    }

    /// What this thread has used of a CPU (/proc/pid/schedstat, first field): a busy machine does not count.
    fn cpu_time_used() -> Duration {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("readable");
        let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
        Duration::from_nanos(nanoseconds.expect("a number"))
    }
}
