//! What one process knows of its instances, for the one that succeeds it: it need not find out again who is in service.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Registry;
use crate::balance::Share;
use crate::health::Condition;
use crate::model::{InstanceId, LoadBalancerName, Port};

/// How one instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The load balancer it is registered with.
    pub load_balancer: LoadBalancerName,
    /// What it is called there.
    pub instance: InstanceId,
    /// Where it is.
    pub ip: IpAddr,
    /// Its own port, if it has one.
    pub port: Option<Port>,
    /// Whether probes found it in service; `None`: nobody knows yet.
    pub in_service: Option<bool>,
    /// Whether the operator wants it to get no new work.
    pub draining: bool,
    /// Whether its share of the traffic still grows.
    pub newcomer: bool,
}

impl Registry {
    /// How every registered instance is.
    pub fn standings(&self) -> Vec<Standing> {
        self.snapshot().instances().map(|(_, entry)| entry.live.standing()).collect()
    }

    /// Takes over what another process knew of the instances that both have. Before the first probe.
    pub fn resume(&self, standings: &[Standing]) {
        let known: HashMap<_, _> =
            standings.iter().map(|standing| ((&standing.load_balancer, &standing.instance), standing)).collect();
        for (_, entry) in self.snapshot().instances() {
            let live = &entry.live;
            if let Some(standing) = known.get(&(live.load_balancer(), live.instance()))
                && live.is_at(standing.ip, standing.port)
            {
                live.set_condition(match standing.in_service {
                    None => Condition::Registering,
                    Some(true) => Condition::InService,
                    Some(false) => Condition::Failed,
                });
                live.set_draining(standing.draining);
                // One whose share still grew begins anew.
                if live.takes_work() && !standing.newcomer {
                    live.set_share(Share::FULL);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Seconds;
    use crate::registry::testing::{balancer, configuration, instance};

    fn registry(instances: &[(&str, &str)]) -> Registry {
        let instances = instances.iter().map(|(id, address)| instance(id, address)).collect();
        Registry::new(&configuration(vec![balancer("web", 80, instances)]), 1).expect("addresses only")
    }

    #[test]
    fn a_share_that_has_grown_does_not_grow_again() {
        let slow = || {
            let mut web = balancer("web", 80, vec![instance("grown", "10.0.0.1"), instance("grows", "10.0.0.2")]);
            web.attributes.slow_start = Some(Seconds::of_ms(10_000));
            Registry::new(&configuration(vec![web]), 1).expect("addresses only")
        };
        let (old, new) = (slow(), slow());
        for (_, entry) in old.snapshot().instances() {
            entry.live.set_condition(Condition::InService);
            entry.live.set_share(if entry.instance.id.as_str() == "grown" { Share::FULL } else { Share::FIRST });
        }
        new.resume(&old.standings());
        let shares: Vec<bool> = new.snapshot().instances().map(|(_, entry)| entry.live.share().is_full()).collect();
        assert_eq!(shares, [true, false]);
    }

    #[test]
    fn a_successor_knows_who_was_in_service_where() {
        let old = registry(&[("up", "10.0.0.1"), ("down", "10.0.0.2"), ("drained", "10.0.0.3"), ("moves", "10.0.0.4")]);
        let conditions = [Condition::InService, Condition::Recovering, Condition::InService, Condition::InService];
        for ((_, entry), condition) in old.snapshot().instances().zip(conditions) {
            entry.live.set_condition(condition);
            entry.live.set_draining(entry.instance.id.as_str() == "drained");
        }
        let new = registry(&[
            ("up", "10.0.0.1"),
            ("down", "10.0.0.2"),
            ("drained", "10.0.0.3"),
            ("moves", "10.0.0.44"),
            ("new", "10.0.0.5"),
        ]);
        new.resume(&old.standings());
        let snapshot = new.snapshot();
        let now: Vec<_> =
            snapshot.instances().map(|(_, entry)| (entry.live.condition(), entry.live.takes_work())).collect();
        let expected = [
            (Condition::InService, true),
            (Condition::Failed, false),
            (Condition::InService, false),
            (Condition::Registering, false),
            (Condition::Registering, false),
        ];
        assert_eq!(now, expected);
    }
}
