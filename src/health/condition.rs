//! How results of probes add up: Classic ELB's thresholds.

use super::Failure;
use crate::model::HealthCheck;

/// What is known of an instance's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Registered; neither a good probe nor enough bad ones yet.
    Registering,
    /// It gets traffic.
    InService,
    /// As many probes in a row as the unhealthy threshold asks were bad, and the last one was.
    Failed,
    /// It failed, and the last probes were good, but not yet as many as the healthy threshold asks.
    Recovering,
}

impl Condition {
    /// Whether it gets traffic.
    pub fn is_in_service(self) -> bool {
        self == Self::InService
    }
}

/// The health of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health(State);

/// With the number of results in a row that speak against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Registering { bad: u32 },
    InService { bad: u32 },
    OutOfService { good: u32 },
}

/// What one result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The condition before it.
    pub from: Condition,
    /// The condition since.
    pub to: Condition,
}

impl Health {
    /// The health of an instance that has just been registered.
    pub const fn registered() -> Self {
        Self::known(Condition::Registering)
    }

    /// The health of an instance of which this much is known already.
    pub const fn known(condition: Condition) -> Self {
        Self(match condition {
            Condition::Registering => State::Registering { bad: 0 },
            Condition::InService => State::InService { bad: 0 },
            Condition::Failed | Condition::Recovering => State::OutOfService { good: 0 },
        })
    }

    /// What is known now.
    pub const fn condition(self) -> Condition {
        match self.0 {
            State::Registering { .. } => Condition::Registering,
            State::InService { .. } => Condition::InService,
            State::OutOfService { good: 0 } => Condition::Failed,
            State::OutOfService { .. } => Condition::Recovering,
        }
    }

    /// Takes in the result of one probe; answers what it changed, if anything.
    ///
    /// The first good one brings a new instance into service; one that has failed needs as many in a row as the healthy
    /// threshold of `check` says.
    pub fn handle_result(&mut self, result: Result<(), Failure>, check: &HealthCheck) -> Option<Change> {
        let from = self.condition();
        let after_bad = |bad: u32, state: State| match bad >= check.unhealthy_threshold().get() {
            true => State::OutOfService { good: 0 },
            false => state,
        };
        self.0 = match (self.0, result) {
            (State::Registering { .. } | State::InService { .. }, Ok(())) => State::InService { bad: 0 },
            (State::OutOfService { good }, Ok(())) if good + 1 >= check.healthy_threshold().get() => {
                State::InService { bad: 0 }
            }
            (State::OutOfService { good }, Ok(())) => State::OutOfService { good: good + 1 },
            (State::Registering { bad }, Err(_)) => after_bad(bad + 1, State::Registering { bad: bad + 1 }),
            (State::InService { bad }, Err(_)) => after_bad(bad + 1, State::InService { bad: bad + 1 }),
            (State::OutOfService { .. }, Err(_)) => State::OutOfService { good: 0 },
        };
        let to = self.condition();
        (from != to).then_some(Change { from, to })
    }

    /// Begins to count anew, as after a change of the health check: the instance stays in or out of service.
    pub fn restart_counting(&mut self) {
        self.0 = match self.0 {
            State::Registering { .. } => State::Registering { bad: 0 },
            State::InService { .. } => State::InService { bad: 0 },
            State::OutOfService { .. } => State::OutOfService { good: 0 },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HealthTarget, Threshold};
    use proptest::prelude::*;

    fn check(healthy: u32, unhealthy: u32) -> HealthCheck {
        let target: HealthTarget = "TCP:80".parse().expect("a target");
        let threshold = |count: u32| Threshold::new(count.into()).expect("a threshold");
        let (interval, timeout) = (HealthCheck::DEFAULT_INTERVAL, HealthCheck::DEFAULT_TIMEOUT);
        HealthCheck::new(target, interval, timeout, threshold(healthy), threshold(unhealthy)).expect("a check")
    }

    /// `+` is a good probe, `-` a bad one; the answer has one letter for the condition after each.
    fn conditions(health: &mut Health, results: &str, check: &HealthCheck) -> String {
        let after = |result| {
            let result = if result == '+' { Ok(()) } else { Err(Failure::ConnectRefused) };
            let before = health.condition();
            let change = health.handle_result(result, check);
            assert_eq!(change.map(|change| (change.from, change.to)), {
                let after = health.condition();
                (before != after).then_some((before, after))
            });
            match health.condition() {
                Condition::Registering => 'r',
                Condition::InService => 'I',
                Condition::Failed => 'F',
                Condition::Recovering => 'c',
            }
        };
        results.chars().map(after).collect()
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        for (results, expected) in [
            ("+", "I"),
            ("--+", "rrI"),
            ("---++++", "rrFcccI"),
            ("+--+--+---", "IIIIIIIIIF"),
            ("+---+++-++++", "IIIFcccFcccI"),
            ("----", "rrFF"),
        ] {
            assert_eq!(conditions(&mut Health::registered(), results, &check(4, 3)), expected, "{results}");
        }
    }

    #[test]
    fn a_changed_check_keeps_the_state_and_counts_anew() {
        let mut health = Health::registered();
        assert_eq!(conditions(&mut health, "+-", &check(2, 2)), "II");
        health.restart_counting();
        assert_eq!(conditions(&mut health, "--+", &check(2, 2)), "IFc");
        health.restart_counting();
        assert_eq!(conditions(&mut health, "++", &check(2, 2)), "cI");
    }

    proptest! {
        #[test]
        fn it_goes_in_and_out_only_after_a_full_run(
            results in prop::collection::vec(any::<bool>(), 0..200), healthy in 2_u32..=10, unhealthy in 2_u32..=10,
        ) {
            let check = check(healthy, unhealthy);
            let mut health = Health::registered();
            for (index, good) in results.iter().enumerate() {
                let result = if *good { Ok(()) } else { Err(Failure::Closed) };
                let run = results[..=index].iter().rev().take_while(|result| *result == good).count() as u32;
                if let Some(change) = health.handle_result(result, &check) {
                    prop_assert_eq!(change.to.is_in_service() && change.from != Condition::Registering,
                        *good && run >= healthy && !change.from.is_in_service() && change.from != Condition::Registering);
                    prop_assert!(!change.from.is_in_service() || (!good && run >= unhealthy));
                }
            }
        }
    }
}
