//! Instances that are left out because requests to them fail: how many of a load balancer may be at once, and when each
//! is back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Live, LiveId, Rules, Snapshot};
use crate::base::Instant;
use crate::health::Offence;
use crate::model::{EjectionCause, Keyword};

/// Who of one load balancer is ejected now, and how often anybody was. Outlives its snapshots.
#[derive(Debug, Default)]
pub struct Ejected {
    now: AtomicU32,
    totals: [AtomicU64; EjectionCause::ALL.len()],
}

impl Ejected {
    /// Instances ejected now.
    pub fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// Ejections so far, by cause.
    pub fn totals(&self) -> [u64; EjectionCause::ALL.len()] {
        std::array::from_fn(|cause| self.totals[cause].load(Ordering::Relaxed))
    }

    /// Takes one of `most` places, exactly over all cores.
    pub(super) fn take_place(&self, most: u32) -> bool {
        let take = |taken: u32| (taken < most).then_some(taken + 1);
        self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    pub(super) fn give_place_back(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, cause: EjectionCause) {
        self.totals[cause as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// What is held against whom. Touched by the control thread alone.
#[derive(Debug, Default)]
pub(super) struct Offences(HashMap<LiveId, Offence>);

impl Offences {
    /// Looks who has been ejected, who is back, and whose time is up. Whether anybody came back.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Instant) -> bool {
        let mut before = std::mem::take(&mut self.0);
        let mut any = false;
        for balancer in snapshot.load_balancers() {
            let rules = &*balancer.rules;
            // Most have none: their instances are left alone.
            if before.is_empty() && rules.ejected.now() == 0 {
                continue;
            }
            for entry in &balancer.instances {
                let live = &*entry.live;
                let (offence, is_back) = review(live, rules, before.remove(&live.id()), now);
                any |= is_back;
                self.0.extend(offence.map(|offence| (live.id(), offence)));
            }
        }
        any
    }
}

/// What is held against one instance from now on, and whether it has just come back.
fn review(live: &Live, rules: &Rules, offence: Option<Offence>, now: Instant) -> (Option<Offence>, bool) {
    let Some(detection) = rules.outlier_detection() else {
        return (None, live.readmit());
    };
    let was_ejected = offence.as_ref().is_some_and(Offence::is_ejected);
    match (live.is_ejected(), offence) {
        (true, Some(offence)) if was_ejected && offence.is_served(now) => {
            live.readmit();
            log_return(live);
            (Some(offence.readmitted(now)), true)
        }
        (true, Some(offence)) if was_ejected => (Some(offence), false),
        (true, offence) => {
            let offence = Offence::ejected(offence, now, detection);
            log_ejection(live, offence.left(now).as_secs_f64());
            (Some(offence), false)
        }
        // A core has had nobody else to ask.
        (false, Some(offence)) if was_ejected => {
            log_return(live);
            (Some(offence.readmitted(now)), true)
        }
        (false, offence) => (offence.and_then(|offence| offence.remembered(now, detection)), false),
    }
}

fn log_ejection(live: &Live, seconds: f64) {
    let (load_balancer, instance) = (live.load_balancer(), live.instance());
    let reason = live.ejected_for().map(tracing::field::display);
    tracing::warn!(%load_balancer, %instance, reason, seconds, "instance ejected");
}

fn log_return(live: &Live) {
    let (load_balancer, instance) = (live.load_balancer(), live.instance());
    tracing::info!(%load_balancer, %instance, "instance no longer ejected");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use crate::model::{Count, LoadBalancerParts, OutlierDetection, Seconds};
    use crate::registry::testing::{balancer, configuration, instance};
    use crate::registry::{Registry, Tried};
    use std::sync::Arc;
    use std::time::Duration;

    fn web(ids: &[&str], percent: u32) -> LoadBalancerParts {
        let instances = ids.iter().map(|id| instance(id, &format!("10.0.0.{}", id.len()))).collect();
        let mut web = balancer("web", 80, instances);
        web.attributes.outlier_detection = Some(OutlierDetection {
            consecutive_5xx: Some(Count::of(2)),
            base_ejection_time: Seconds::of_ms(10_000),
            max_ejection_percent: Count::of(percent),
            ..OutlierDetection::default()
        });
        web
    }

    fn registry(web: LoadBalancerParts) -> Registry {
        let registry = Registry::new(&configuration(vec![web]), 2).expect("addresses only");
        registry.snapshot().instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
        registry
    }

    fn lives(registry: &Registry) -> Vec<Arc<Live>> {
        registry.snapshot().instances().map(|(_, entry)| entry.live.clone()).collect()
    }

    fn fail(registry: &Registry, live: &Live) {
        let snapshot = registry.snapshot();
        (0..2).for_each(|_| snapshot.listeners()[0].note_failure(live, EjectionCause::ServerErrors));
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn an_instance_is_ejected_and_comes_back_and_stays_away_longer_the_next_time() {
        let registry = registry(web(&["a", "bb"], 10));
        let lives = lives(&registry);
        for (from, until) in [(0, 10), (11, 31)] {
            fail(&registry, &lives[0]);
            assert!(lives[0].is_ejected() && !lives[0].takes_work());
            assert_eq!(lives[0].ejected_for(), Some(EjectionCause::ServerErrors));
            assert!(!registry.review(at(from)) && !registry.review(at(until - 1)) && lives[0].is_ejected());
            assert!(registry.review(at(until)) && lives[0].takes_work() && lives[0].ejected_for().is_none());
        }
        assert_eq!(registry.snapshot().load_balancers()[0].rules.ejected.totals(), [2, 0]);
    }

    #[test]
    fn no_more_than_their_share_are_ejected_and_the_last_one_never() {
        for (percent, instances, most) in [(10, 3, 1), (67, 3, 2), (100, 3, 2), (100, 1, 0), (20, 10, 2)] {
            let ids: Vec<String> = (1..=instances).map(|length| "x".repeat(length)).collect();
            let registry = registry(web(&ids.iter().map(String::as_str).collect::<Vec<_>>(), percent));
            let lives = lives(&registry);
            std::thread::scope(|scope| {
                lives.iter().for_each(|live| drop(scope.spawn(|| fail(&registry, live))));
            });
            let ejected = lives.iter().filter(|live| live.is_ejected()).count();
            assert_eq!(ejected, most, "{percent} % of {instances}");
        }
    }

    #[test]
    fn an_ejected_instance_is_better_than_none() {
        let registry = registry(web(&["a", "bb"], 50));
        let lives = lives(&registry);
        fail(&registry, &lives[0]);
        lives[1].set_condition(Condition::Failed);
        let snapshot = registry.snapshot();
        let assignment = snapshot.listeners()[0].targets.choose(0, &Tried::none()).expect("the ejected one");
        assert!(Arc::ptr_eq(assignment.lease.record(), &lives[0]));
        fail(&registry, &lives[0]);
        assert!(!lives[0].is_ejected(), "the only one that there is");
        lives[1].set_condition(Condition::InService);
        fail(&registry, &lives[0]);
        assert!(lives[0].is_ejected());
    }

    #[test]
    fn whoever_is_registered_no_longer_takes_no_place_and_without_detection_nobody_does() {
        let ejected = |registry: &Registry| registry.snapshot().load_balancers()[0].rules.ejected.now();
        let registry = registry(web(&["a", "bb", "ccc"], 10));
        fail(&registry, &lives(&registry)[0]);
        assert_eq!(ejected(&registry), 1);
        registry.apply(&configuration(vec![web(&["bb", "ccc"], 10)])).expect("addresses only");
        assert_eq!(ejected(&registry), 0);
        fail(&registry, &lives(&registry)[0]);
        assert_eq!(ejected(&registry), 1);
        let mut without = web(&["bb", "ccc"], 10);
        without.attributes.outlier_detection = None;
        registry.apply(&configuration(vec![without])).expect("addresses only");
        assert!(registry.review(at(0)) && ejected(&registry) == 0 && lives(&registry)[0].takes_work());
    }
}
