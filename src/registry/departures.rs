//! Instances that get no new work and still have some: how long they may take to finish it, and when what is left is
//! cut.
//!
//! As ELB's connection draining, with one difference: where it is off, what is in flight is not cut in the same moment
//! but after [`ABRUPT`], in which whatever is just being answered is answered.

use std::collections::HashMap;
use std::time::Duration;

use super::{InstanceEntry, LiveId, Snapshot};
use crate::base::Instant;
use crate::model::{Draining, LoadBalancerName};

/// How long what is in flight may take where draining is off.
const ABRUPT: Duration = Duration::from_millis(500);

/// How long after its deregistration an instance may still be given work, by a core that has not yet heard of it.
const HEARSAY: Duration = Duration::from_secs(1);

/// Who leaves, and until when. Touched by the control thread alone.
#[derive(Debug, Default)]
pub(super) struct Departures {
    /// Registered, but out of service or told to drain.
    closed: HashMap<LiveId, Instant>,
    deregistered: Vec<Deregistered>,
}

/// An instance that is registered no longer.
#[derive(Debug, Clone)]
pub struct Deregistered {
    /// What it was registered with.
    pub load_balancer: LoadBalancerName,
    /// As it was registered.
    pub entry: InstanceEntry,
    draining: Draining,
    /// When this was first looked at.
    since: Option<Instant>,
}

impl Departures {
    /// Takes note of whoever is in `previous` and not in `next`.
    pub(super) fn handle_publication(&mut self, previous: &Snapshot, next: &Snapshot) {
        let gone = previous.instances().filter(|(_, entry)| !next.is_registered(entry.live.id()));
        self.deregistered.extend(gone.map(|(balancer, entry)| {
            entry.live.deregister();
            Deregistered {
                load_balancer: balancer.rules.name.clone(),
                entry: entry.clone(),
                draining: balancer.rules.attributes.draining,
                since: None,
            }
        }));
    }

    /// Looks who has finished and whose time is up; marks what is in flight on these as cut. Whether there is any.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let among_registered = self.look_at_registered(snapshot, now);
        let among_deregistered = self.look_at_deregistered(now);
        among_registered || among_deregistered
    }

    fn look_at_registered(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let before = std::mem::take(&mut self.closed);
        let mut any = false;
        for (balancer, entry) in snapshot.instances() {
            let live = &entry.live;
            // The load of those who serve is left alone: every look would take it away from the cores that count there.
            if live.is_wanted() || live.in_flight() == 0 {
                continue;
            }
            let since = before.get(&live.id()).copied().unwrap_or(now);
            let draining = balancer.rules.attributes.draining;
            // Whoever is told to drain is given its time, also where instances that fail are not.
            let patience = if live.is_draining() { draining.timeout.get() } else { patience(draining) };
            any |= now >= since + patience && live.cut();
            self.closed.insert(live.id(), since);
        }
        any
    }

    fn look_at_deregistered(&mut self, now: Instant) -> bool {
        let mut any = false;
        self.deregistered.retain_mut(|gone| {
            let since = *gone.since.get_or_insert(now);
            if now < since + HEARSAY.min(patience(gone.draining)) {
                return true;
            }
            // By now no core goes by a snapshot that has it, except on connections to listeners that are gone too.
            gone.entry.live.close();
            let is_busy = gone.entry.live.in_flight() > 0;
            any |= is_busy && now >= since + patience(gone.draining) && gone.entry.live.cut();
            is_busy
        });
        any
    }

    /// Whoever is deregistered and has not finished.
    pub(super) fn deregistered(&self) -> impl Iterator<Item = &Deregistered> {
        self.deregistered.iter().filter(|gone| gone.entry.live.in_flight() > 0)
    }
}

fn patience(draining: Draining) -> Duration {
    if draining.enabled { draining.timeout.get() } else { ABRUPT }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use crate::model::{LoadBalancerParts, Seconds};
    use crate::registry::testing::{balancer, configuration, instance};
    use crate::registry::{Assignment, Registry, Tried};

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn web(ids: &[&str], enabled: bool) -> LoadBalancerParts {
        let instances = ids.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
        let mut web = balancer("web", 80, instances);
        web.attributes.draining = Draining { enabled, timeout: Seconds::of_ms(20_000) };
        web
    }

    /// A registry with these instances in service, and a request in flight on the first.
    fn busy(ids: &[&str], enabled: bool) -> (Registry, Assignment) {
        let registry = Registry::new(&configuration(vec![web(ids, enabled)]), 1).expect("addresses only");
        let snapshot = registry.snapshot();
        let first = &snapshot.instances().next().expect("an instance").1.live;
        first.set_condition(Condition::InService);
        let underway = snapshot.listeners()[0].targets.choose(0, &Tried::none()).expect("in service");
        snapshot.instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
        (registry, underway)
    }

    fn at(after: Duration) -> Instant {
        Instant::from_nanoseconds(1_000_000_000) + after
    }

    #[test]
    fn a_deregistered_instance_finishes_or_is_cut_at_its_limit() {
        for (enabled, limit) in [(true, TIMEOUT), (false, ABRUPT)] {
            let (registry, underway) = busy(&["a", "bb"], enabled);
            registry.apply(&configuration(vec![web(&["bb"], enabled)])).expect("addresses only");
            let live = underway.lease.record().clone();
            assert!(!registry.cut_overdue(at(Duration::ZERO)) && !live.is_cut());
            assert!(!registry.cut_overdue(at(limit - Duration::from_millis(1))) && !live.is_cut());
            assert_eq!(registry.deregistered().len(), 1);
            assert!(registry.cut_overdue(at(limit)) && live.is_cut(), "draining: {enabled}");
            assert!(!registry.cut_overdue(at(limit * 2)), "it is cut once");
            drop(underway);
            assert!(registry.deregistered().is_empty());
        }
    }

    #[test]
    fn whoever_finishes_in_time_is_never_cut() {
        let (registry, underway) = busy(&["a"], true);
        registry.apply(&configuration(vec![web(&[], true)])).expect("addresses only");
        let live = underway.lease.record().clone();
        registry.cut_overdue(at(Duration::ZERO));
        drop(underway);
        assert!(!registry.cut_overdue(at(TIMEOUT)) && !live.is_cut());
        assert!(!live.takes_work(), "nobody can give it work any more");
    }

    #[test]
    fn a_failed_instance_is_cut_and_serves_again_when_it_recovers() {
        let (registry, underway) = busy(&["a"], true);
        let live = underway.lease.record().clone();
        live.set_condition(Condition::Failed);
        assert!(!registry.cut_overdue(at(Duration::ZERO)));
        assert!(registry.cut_overdue(at(TIMEOUT)) && live.is_cut());
        live.set_condition(Condition::InService);
        assert!(!live.is_cut(), "what it gets now is not cut");
        registry.cut_overdue(at(TIMEOUT));
        live.set_condition(Condition::Failed);
        assert!(!registry.cut_overdue(at(TIMEOUT * 2)), "its time begins anew");
    }

    #[test]
    fn whoever_is_told_to_drain_gets_its_time_even_where_draining_is_off() {
        let (registry, underway) = busy(&["a"], false);
        underway.lease.record().set_draining(true);
        registry.cut_overdue(at(Duration::ZERO));
        assert!(!registry.cut_overdue(at(TIMEOUT - Duration::from_millis(1))));
        assert!(registry.cut_overdue(at(TIMEOUT)));
    }
}
