//! Instances that have just come into service, where their share of the traffic is to grow slowly.

use std::collections::HashMap;

use super::{LiveId, Snapshot};
use crate::balance::Share;
use crate::base::Instant;

/// Since when newcomers are in service. Touched by the control thread alone.
#[derive(Debug, Default)]
pub(super) struct Newcomers(HashMap<LiveId, Instant>);

impl Newcomers {
    /// Gives every newcomer the share that it has earned by now, and whoever takes no work the first share of its next
    /// start.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Instant) {
        let before = std::mem::take(&mut self.0);
        for balancer in snapshot.load_balancers() {
            let Some(time) = balancer.rules.attributes.slow_start else { continue };
            for live in balancer.instances.iter().map(|entry| &entry.live) {
                if !live.takes_work() {
                    live.set_share(Share::FIRST);
                } else if !live.share().is_full() {
                    let since = before.get(&live.id()).copied().unwrap_or(now);
                    live.set_share(Share::after(now.since(since), time.get()));
                    self.0.insert(live.id(), since);
                }
            }
        }
    }

    /// How many there are.
    pub(super) fn count_in<'a>(lives: impl Iterator<Item = &'a super::Live>) -> usize {
        lives.filter(|live| live.takes_work() && !live.share().is_full()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use crate::model::Seconds;
    use crate::registry::testing::{balancer, configuration, instance};
    use crate::registry::{Live, Registry};
    use std::sync::Arc;
    use std::time::Duration;

    fn registry(slow_start: bool) -> (Registry, Arc<Live>) {
        let mut web = balancer("web", 80, vec![instance("a", "10.0.0.1")]);
        web.attributes.slow_start = slow_start.then(|| Seconds::of_ms(10_000));
        let registry = Registry::new(&configuration(vec![web]), 1).expect("addresses only");
        let live = registry.snapshot().instances().next().expect("one").1.live.clone();
        (registry, live)
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_share_grows_from_the_moment_of_service_and_begins_anew_after_an_absence() {
        let (registry, live) = registry(true);
        assert_eq!(live.share(), Share::FIRST, "before anybody looks");
        for start in [100, 200] {
            live.set_condition(Condition::InService);
            for (after, share) in [(0, 0), (5, 5), (10, 10), (50, 10)] {
                registry.review(at(start + after));
                assert_eq!(live.share(), Share::after(Duration::from_secs(share), Duration::from_secs(10)));
            }
            live.set_condition(Condition::Failed);
            registry.review(at(start + 60));
            assert_eq!(live.share(), Share::FIRST);
        }
    }

    #[test]
    fn without_slow_start_everybody_has_a_full_share() {
        let (registry, live) = registry(false);
        for condition in [Condition::Failed, Condition::InService] {
            live.set_condition(condition);
            registry.review(at(1));
            assert!(live.share().is_full());
        }
    }
}
