//! From a configuration to a snapshot.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::live::{Birth, Live, LiveId};
use super::{InstanceEntry, ListenerEntry, LoadBalancerEntry, Snapshot, Targets};
use crate::balance::{Candidates, Member, Placement, Zoning};
use crate::model::{
    Configuration, Host, HostName, Instance, InstanceId, LoadBalancer, LoadBalancerName, Port, Routing,
};
use crate::telemetry::{ListenerCells, PerCore};

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
}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved { load_balancer, instance, name, cause } => {
                write!(formatter, "load balancer {load_balancer}, instance {instance}: cannot resolve {name}: {cause}")
            }
        }
    }
}

impl std::error::Error for CompileError {}

/// Compiles `configuration` for `cores` data-plane threads. What it has in common with the snapshot it is to follow keeps
/// its live records and counters: an instance with the same load balancer, id, address and port; a listener with the
/// same load balancer and port.
///
/// Host names are looked up here, one after the other, by the system's resolver, which may take seconds; the first
/// address counts. Answers every error, and changes nothing.
pub fn compile(
    configuration: &Configuration,
    cores: usize,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, Vec<CompileError>> {
    let mut compiler = Compiler::new(configuration, cores, previous);
    let load_balancers: Box<[_]> =
        configuration.load_balancers.values().map(|balancer| Arc::new(compiler.load_balancer(balancer))).collect();
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    let balancers = load_balancers.iter().zip(configuration.load_balancers.values());
    let mut listeners: Box<[_]> = balancers.flat_map(|(entry, balancer)| compiler.listeners(entry, balancer)).collect();
    listeners.sort_unstable_by_key(|listener| listener.address);
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
    version: u64,
    lives: HashMap<(&'a LoadBalancerName, &'a InstanceId), &'a Arc<Live>>,
    listener_cells: HashMap<(LoadBalancerName, u16), Arc<PerCore<ListenerCells>>>,
    resolved: HashMap<&'a HostName, Result<IpAddr, String>>,
    births: Vec<u64>,
    free_indexes: Vec<u32>,
    errors: Vec<CompileError>,
}

impl<'a> Compiler<'a> {
    fn new(configuration: &'a Configuration, cores: usize, previous: Option<&'a Snapshot>) -> Self {
        let instances = previous.into_iter().flat_map(Snapshot::instances);
        let listeners = previous.into_iter().flat_map(Snapshot::listeners);
        let births = previous.map_or(&[] as &[u64], |previous| &previous.births);
        Self {
            configuration,
            cores,
            version: previous.map_or(0, Snapshot::version) + 1,
            lives: instances.map(|(balancer, entry)| ((&balancer.name, &entry.instance.id), &entry.live)).collect(),
            listener_cells: listeners
                .map(|entry| ((entry.load_balancer.name.clone(), entry.address.port()), Arc::clone(&entry.cells)))
                .collect(),
            resolved: HashMap::new(),
            births: vec![0; births.len()],
            // An index that the previous snapshot used is not given to another before the next one.
            free_indexes: (0..).zip(births).filter(|(_, since)| **since == 0).map(|(index, _)| index).collect(),
            errors: Vec::new(),
        }
    }

    fn load_balancer(&mut self, balancer: &'a LoadBalancer) -> LoadBalancerEntry {
        LoadBalancerEntry {
            name: balancer.name.clone(),
            attributes: balancer.attributes.clone(),
            limits: balancer.limits.clone(),
            first_byte_timeout: balancer.first_byte_timeout(),
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

    fn listeners(&mut self, entry: &Arc<LoadBalancerEntry>, balancer: &LoadBalancer) -> Vec<ListenerEntry> {
        let mut targets = HashMap::new();
        let mut compiled = Vec::with_capacity(balancer.listeners.len());
        for listener in &balancer.listeners {
            let (port, routing) = (listener.instance_port, balancer.attributes.routing_of(listener.protocols.layer()));
            let targets =
                targets.entry((port, routing)).or_insert_with(|| Arc::new(self.targets(entry, port, routing)));
            compiled.push(ListenerEntry {
                address: listener.socket_address(),
                protocols: listener.protocols,
                max_connections: listener.max_connections,
                load_balancer: Arc::clone(entry),
                targets: Arc::clone(targets),
                cells: self.listener_cells(entry, listener.port.get()),
            });
        }
        compiled
    }

    fn targets(&self, entry: &LoadBalancerEntry, port: Port, routing: Routing) -> Targets {
        let served = entry.instances.iter().filter(|entry| entry.placement == Placement::Served);
        let members =
            served.map(|entry| Member { record: Arc::clone(&entry.live), weight: entry.instance.weight }).collect();
        let limit = entry.limits.instance_connections.and_then(|limit| NonZeroU32::new(limit.get()));
        Targets::new(Candidates::new(members, routing, limit, self.cores), port)
    }

    /// Metrics tell listeners apart by load balancer and port, so two with the same port count together.
    fn listener_cells(&mut self, entry: &LoadBalancerEntry, port: u16) -> Arc<PerCore<ListenerCells>> {
        let cells = self.listener_cells.entry((entry.name.clone(), port));
        Arc::clone(cells.or_insert_with(|| Arc::new(PerCore::new(self.cores))))
    }
}

fn look_up(name: &HostName) -> Result<IpAddr, String> {
    let mut addresses = (name.as_str(), 0).to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().map(|address| address.ip()).ok_or_else(|| "it has no address".to_owned())
}
