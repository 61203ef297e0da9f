//! What metrics read: names, cells, and what the live records say.

use super::newcomers::Newcomers;
use super::{InstanceEntry, ListenerEntry, LoadBalancerEntry, Registry, Snapshot};
use crate::telemetry::{CertificateReading, InstanceReading, ListenerReading, LoadBalancerReading, Reading};
use std::sync::Arc;

impl Registry {
    /// As [`Snapshot::reading`] of the snapshot published last, with those who leave.
    pub fn reading(&self) -> Reading {
        let snapshot = self.snapshot();
        let mut reading = snapshot.reading();
        for gone in self.deregistered() {
            let place = snapshot.position_of(&gone.load_balancer);
            if let Some(balancer) = place.and_then(|place| reading.load_balancers.get_mut(place)) {
                balancer.draining_instances += 1;
            }
        }
        reading
    }
}

impl Snapshot {
    /// Every load balancer with its listeners and instances. Touches no data-plane thread.
    pub fn reading(&self) -> Reading {
        Reading {
            load_balancers: self.load_balancers.iter().map(LoadBalancerEntry::reading).collect(),
            ..Reading::default()
        }
    }
}

impl LoadBalancerEntry {
    fn reading(&self) -> LoadBalancerReading {
        let mut listeners: Vec<_> = self.listeners.iter().map(|entry| entry.reading()).collect();
        listeners.sort_by_key(|listener| listener.port);
        // Listeners with the same port share their cells.
        listeners.dedup_by_key(|listener| listener.port);
        LoadBalancerReading {
            name: self.rules.name.clone(),
            listeners,
            instances: self.instances.iter().map(InstanceEntry::reading).collect(),
            draining_instances: self.instances.iter().filter(|entry| entry.live.is_draining()).count() as u64,
            ejected_instances: self.rules.ejected.now().into(),
            ejections: self.rules.ejected.totals(),
            newcomers: Newcomers::count_in(self.instances.iter().map(|entry| &*entry.live)) as u64,
            access_log_lines_dropped: self.rules.access_log.as_ref().map_or(0, |log| log.dropped()),
        }
    }
}

impl ListenerEntry {
    fn reading(&self) -> ListenerReading {
        let shown = self.tls.iter().flat_map(|tls| &tls.certificates);
        let mut certificates: Vec<_> = shown
            .map(|(files, certificate)| CertificateReading {
                chain: files.chain.display().to_string(),
                not_after: certificate.validity().not_after,
            })
            .collect();
        // One file may hold the chain of several keys.
        certificates.sort_by(|one, other| one.chain.cmp(&other.chain));
        certificates.dedup_by(|one, other| one.chain == other.chain);
        ListenerReading { port: self.listener.port.get(), cells: Arc::clone(&self.cells), certificates }
    }
}

impl InstanceEntry {
    fn reading(&self) -> InstanceReading {
        InstanceReading {
            id: self.instance.id.clone(),
            cells: Arc::clone(self.live.all_cells()),
            in_flight: self.live.in_flight().into(),
            in_service: self.live.condition().is_in_service() && self.live.ejected_for().is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::health::Condition;
    use crate::model::Protocol;
    use crate::registry::testing::{balancer, configuration, instance, listener};
    use crate::registry::{Registry, Tried};
    use crate::telemetry::prometheus_text;

    #[test]
    fn metrics_say_what_the_cores_counted_under_one_label_per_port() {
        let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2")]);
        let mut second = listener(Protocol::Http, 80, 8080);
        second.address = "127.0.0.1".parse().expect("an address");
        web.listeners.push(second);
        let registry = Registry::new(&configuration(vec![web]), 2).expect("addresses only");
        let snapshot = registry.snapshot();
        let [one, other] = snapshot.listeners() else { panic!("two listeners") };
        one.cells.core(0).connections_total.increment();
        other.cells.core(1).connections_total.increment();
        let (_, first) = snapshot.instances().next().expect("an instance");
        first.live.set_condition(Condition::InService);
        first.live.cells(1).connection_errors.increment();
        first.live.control_cells().connection_errors.increment();
        let _assignment = one.targets.choose(0, &Tried::none()).expect("in service");

        let text = prometheus_text(&snapshot.reading());
        for series in [
            "elbow_connections_total{load_balancer=\"web\",listener=\"80\"} 2",
            "elbow_backend_connection_errors_total{load_balancer=\"web\",instance=\"a\"} 2",
            "elbow_instance_in_flight{load_balancer=\"web\",instance=\"a\"} 1",
            "elbow_healthy_instances{load_balancer=\"web\"} 1",
            "elbow_unhealthy_instances{load_balancer=\"web\"} 1",
        ] {
            assert_eq!(text.lines().filter(|line| *line == series).count(), 1, "{series}");
        }
    }
}
