//! Instances that fail the requests they are given: when that is too much, and how long it is held against them.
//!
//! Classic ELB knows probes only; this is Envoy's outlier detection. [`Streaks`] are counted by every core, exactly and
//! without a lock; the [`Offence`] of an instance is kept by the one thread that ends its ejections.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::base::Instant;
use crate::model::{EjectionCause, OutlierDetection};

/// Failures in a row of one instance, over all cores, by kind. A success of the same kind begins anew.
#[derive(Debug, Default)]
pub struct Streaks {
    server_errors: AtomicU32,
    connect_failures: AtomicU32,
}

impl Streaks {
    /// Takes note that what could have failed with this `cause` did not. Writes nothing where all is well.
    pub fn note_success(&self, cause: EjectionCause) {
        let streak = self.of(cause);
        if streak.load(Ordering::Relaxed) != 0 {
            streak.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note of a failure. Whether there have been as many in a row now as `detection` bears.
    pub fn note_failure(&self, cause: EjectionCause, detection: &OutlierDetection) -> bool {
        let Some(threshold) = detection.threshold(cause) else { return false };
        // It may go round after four billion: by then it has been said often enough.
        self.of(cause).fetch_add(1, Ordering::Relaxed).wrapping_add(1) >= threshold.get()
    }

    /// Begins anew: what was is settled.
    pub fn forget(&self) {
        self.server_errors.store(0, Ordering::Relaxed);
        self.connect_failures.store(0, Ordering::Relaxed);
    }

    fn of(&self, cause: EjectionCause) -> &AtomicU32 {
        match cause {
            EjectionCause::ServerErrors => &self.server_errors,
            EjectionCause::ConnectFailures => &self.connect_failures,
        }
    }
}

/// How often one instance has offended, and what comes next of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offence {
    times: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ejected {
        until: Instant,
    },
    /// One time is forgiven for each base ejection time from here on.
    Readmitted {
        since: Instant,
    },
}

impl Offence {
    /// An instance that is ejected at `now`: for the base time, and once more of it for each time it was before and was
    /// not forgiven.
    pub fn ejected(before: Option<Offence>, now: Instant, detection: &OutlierDetection) -> Offence {
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let longest = detection.max_ejection_time.get();
        let time = detection.base_ejection_time.get().checked_mul(times).map_or(longest, |time| time.min(longest));
        Offence { times, standing: Standing::Ejected { until: now + time } }
    }

    /// The same instance, back at `now`.
    pub fn readmitted(self, now: Instant) -> Offence {
        Offence { standing: Standing::Readmitted { since: now }, ..self }
    }

    /// Whether it is ejected as far as this knows.
    pub fn is_ejected(&self) -> bool {
        matches!(self.standing, Standing::Ejected { .. })
    }

    /// Whether its ejection is to end.
    pub fn is_served(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Ejected { until } if now >= until)
    }

    /// How long its ejection takes from `now` on.
    pub fn left(&self, now: Instant) -> Duration {
        match self.standing {
            Standing::Ejected { until } => until.since(now),
            Standing::Readmitted { .. } => Duration::ZERO,
        }
    }

    /// What is left of it at `now`; `None` when all is forgiven.
    pub fn remembered(self, now: Instant, detection: &OutlierDetection) -> Option<Offence> {
        let Standing::Readmitted { since } = self.standing else { return Some(self) };
        let base = detection.base_ejection_time.get();
        let forgiven = (now.since(since).as_nanos() / base.as_nanos()).min(self.times.into()) as u32;
        let times = self.times - forgiven;
        let since = since + base.saturating_mul(forgiven);
        (times > 0).then_some(Offence { times, standing: Standing::Readmitted { since } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Count, Seconds};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn detection() -> OutlierDetection {
        OutlierDetection {
            consecutive_5xx: Some(Count::of(3)),
            consecutive_connect_failures: None,
            base_ejection_time: Seconds::of_ms(10_000),
            max_ejection_time: Seconds::of_ms(35_000),
            ..OutlierDetection::default()
        }
    }

    fn at(seconds: u32) -> Instant {
        Instant::ZERO + SECOND * seconds
    }

    #[test]
    fn only_failures_of_one_kind_in_a_row_count() {
        let (streaks, detection) = (Streaks::default(), detection());
        let fails = |cause| streaks.note_failure(cause, &detection);
        assert!(!fails(EjectionCause::ServerErrors) && !fails(EjectionCause::ServerErrors));
        streaks.note_success(EjectionCause::ConnectFailures);
        assert!(fails(EjectionCause::ServerErrors) && fails(EjectionCause::ServerErrors), "and from then on");
        streaks.note_success(EjectionCause::ServerErrors);
        assert!(!fails(EjectionCause::ServerErrors));
        assert!((0..100).all(|_| !fails(EjectionCause::ConnectFailures)), "switched off");
    }

    #[test]
    fn no_failure_of_any_core_is_missed() {
        let streaks = Streaks::default();
        let detection = OutlierDetection { consecutive_5xx: Some(Count::of(40_000)), ..detection() };
        let told = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let full = (0..10_000).filter(|_| streaks.note_failure(EjectionCause::ServerErrors, &detection));
                    told.fetch_add(full.count() as u32, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(told.into_inner(), 1, "the last of them all");
    }

    #[test]
    fn each_time_takes_longer_up_to_the_longest() {
        let detection = detection();
        let (mut offence, mut now) = (None, at(0));
        for seconds in [10, 20, 30, 35, 35] {
            let ejected = Offence::ejected(offence, now, &detection);
            assert_eq!(ejected.left(now), SECOND * seconds);
            assert!(!ejected.is_served(now + SECOND * (seconds - 1)) && ejected.is_served(now + SECOND * seconds));
            now = now + SECOND * seconds;
            offence = Some(ejected.readmitted(now));
        }
    }

    #[test]
    fn a_base_time_without_offence_forgives_one() {
        let detection = detection();
        let twice = Offence { times: 2, standing: Standing::Readmitted { since: at(100) } };
        let after = |seconds: u32| twice.remembered(at(100 + seconds), &detection).map(|offence| offence.times);
        assert_eq!([0, 9, 10, 19, 20, 1_000].map(after), [Some(2), Some(2), Some(1), Some(1), None, None]);
        let half = twice.remembered(at(115), &detection).and_then(|once| once.remembered(at(119), &detection));
        assert!(half.is_some(), "looking in between forgives no faster");
        assert_eq!(half.and_then(|once| once.remembered(at(120), &detection)), None);
    }

    proptest! {
        /// Whatever happens when: an ejection lasts a whole number of base times, or the longest, and it ends.
        #[test]
        fn an_ejection_is_bounded(gaps in prop::collection::vec(0_u32..100, 1..50)) {
            let detection = detection();
            let (mut offence, mut now): (Option<Offence>, Instant) = (None, at(0));
            for gap in gaps {
                now = now + SECOND * gap;
                offence = offence.and_then(|offence| offence.remembered(now, &detection));
                let ejected = Offence::ejected(offence, now, &detection);
                let time = ejected.left(now);
                prop_assert!(time >= detection.base_ejection_time.get() && time <= detection.max_ejection_time.get());
                prop_assert!(ejected.is_served(now + time));
                now = now + time;
                offence = Some(ejected.readmitted(now));
            }
        }
    }
}
