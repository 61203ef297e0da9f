//! From a configuration to a snapshot.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::live::{Birth, Live, LiveId};
use super::{
    BackendTls, Ejected, FrontTls, InstanceEntry, Keyring, KeyringError, ListenerEntry, LoadBalancerEntry, Places,
    Rules, Snapshot, Stickiness, Targets, TlsError,
};
use crate::balance::{Candidates, Member, Placement, Share, StickyKey, Zoning};
use crate::model::{
    AccessLog, Configuration, Host, HostName, Instance, InstanceHttp, InstanceId, Listener, LoadBalancer,
    LoadBalancerName, Port, Routing,
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
    /// A listener's address cannot be listened on.
    Unopened(SocketAddr, io::Error),
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
            Self::Unopened(address, cause) => write!(formatter, "listener {address}: {cause}"),
            Self::NoStickyKey { load_balancer } => {
                write!(formatter, "load balancer {load_balancer}: there is no key for its sticky cookies")
            }
        }
    }
}

impl std::error::Error for CompileError {}

impl CompileError {
    /// All of them in one line.
    pub fn join(errors: &[Self]) -> String {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// What a configuration is compiled with that it only names.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The certificates of secure listeners.
    pub keyring: &'a Keyring,
    /// What sticky cookies are made with; without it no listener may want them.
    pub sticky: Option<&'a StickyKey>,
}

/// Compiles `configuration` for `cores` data-plane threads. What it has in common with the snapshot it is to follow
/// keeps its live records and counters: an instance with the same load balancer, id, address and port; a listener with
/// the same load balancer and port; the clients and waiting requests of a load balancer with the same name; the lines
/// that wait for the same log.
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
    let mut load_balancers: Box<[_]> =
        configuration.load_balancers.values().map(|balancer| compiler.load_balancer(balancer)).collect();
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    for (entry, balancer) in load_balancers.iter_mut().zip(configuration.load_balancers.values()) {
        entry.listeners = compiler.listeners(entry, balancer);
    }
    let mut listeners: Box<[_]> = load_balancers.iter().flat_map(|entry| &entry.listeners).cloned().collect();
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
    backend_tls: HashMap<(&'a LoadBalancerName, Port, InstanceHttp), &'a BackendTls>,
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
            let place = (&entry.rules.name, entry.listener.instance_port, entry.listener.instance_http);
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
        let ejected = previous.map(|rules| Arc::clone(&rules.ejected)).unwrap_or_default();
        let instances: Box<[_]> =
            balancer.instances.iter().filter_map(|instance| self.instance(balancer, instance, &ejected)).collect();
        let served = instances.iter().filter(|entry| entry.placement == Placement::Served).count();
        let detection = &balancer.attributes.outlier_detection;
        LoadBalancerEntry {
            rules: Arc::new(Rules {
                name: balancer.name.clone(),
                attributes: balancer.attributes.clone(),
                limits: balancer.limits.clone(),
                first_byte_timeout: balancer.first_byte_timeout(),
                access_log: balancer.attributes.access_log.as_ref().map(|log| self.access_log(log)),
                surge_queue: previous.map(|rules| Arc::clone(&rules.surge_queue)).unwrap_or_default(),
                clients: previous.map(|rules| Arc::clone(&rules.clients)).unwrap_or_default(),
                ejected,
                most_ejected: detection.map_or(0, |detection| detection.most_ejected(served) as u32),
            }),
            health_check: balancer.health_check.clone(),
            instances,
            // Made of what is known by then.
            listeners: Box::default(),
        }
    }

    /// One instance; `None` after an error.
    fn instance(
        &mut self,
        balancer: &'a LoadBalancer,
        instance: &'a Instance,
        ejected: &Arc<Ejected>,
    ) -> Option<InstanceEntry> {
        let ip = self.resolve(balancer, instance)?;
        let zoning = Zoning {
            node: &self.configuration.node.zone,
            enabled: &balancer.zones,
            cross_zone: balancer.attributes.cross_zone,
        };
        Some(InstanceEntry {
            instance: instance.clone(),
            placement: zoning.placement_of(&instance.zone),
            live: self.live(balancer, instance, ip, ejected),
        })
    }

    fn live(
        &mut self,
        balancer: &'a LoadBalancer,
        instance: &'a Instance,
        ip: IpAddr,
        ejected: &Arc<Ejected>,
    ) -> Arc<Live> {
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
                ejected,
                share: balancer.attributes.slow_start.map_or(Share::FULL, |_| Share::FIRST),
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

    fn listeners(&mut self, entry: &LoadBalancerEntry, balancer: &'a LoadBalancer) -> Box<[Arc<ListenerEntry>]> {
        let (mut targets, mut backend_tls) = (HashMap::new(), HashMap::new());
        let mut compiled = Vec::with_capacity(balancer.listeners.len());
        for listener in &balancer.listeners {
            let (port, http) = (listener.instance_port, listener.instance_http);
            let routing = balancer.attributes.routing_of(listener.protocols.layer());
            // All listeners that share an instance port agree on whether it speaks TLS; what is spoken inside, those of
            // bytes do not say.
            if listener.protocols.back().is_secure() && !backend_tls.contains_key(&(port, http)) {
                let Some(tls) = self.backend_tls(entry, balancer, listener) else { continue };
                backend_tls.insert((port, http), tls);
            }
            let targets = targets.entry((port, http, routing)).or_insert_with(|| {
                Arc::new(self.targets(entry, port, routing, backend_tls.get(&(port, http)).cloned()))
            });
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
        compiled.sort_unstable_by_key(|entry| entry.listener.socket_address());
        compiled.into()
    }

    /// `None` after an error.
    fn backend_tls(
        &mut self,
        entry: &LoadBalancerEntry,
        balancer: &'a LoadBalancer,
        listener: &Listener,
    ) -> Option<Arc<BackendTls>> {
        let place = (&balancer.name, listener.instance_port, listener.instance_http);
        let previous = self.backend_tls.get(&place).copied();
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
        let candidates = Candidates::new(members, routing, limit, self.cores);
        let candidates = match entry.rules.attributes.slow_start {
            Some(_) => candidates.starting_slowly(),
            None => candidates,
        };
        Targets::new(candidates, port, tls)
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
mod tests;
