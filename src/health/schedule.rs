//! When an instance is probed.

use std::time::Duration;

use crate::base::Instant;

/// Time between the first probes of instances that are registered together: ten thousand begin within one second.
const SPACING: Duration = Duration::from_micros(100);

/// The probes of one instance: the first at once, then one every interval.
///
/// A slow probe does not move the next. Instances that are registered together get phases of their own, spread
/// evenly over the interval, so that each moment sees as many probes as any other.
#[derive(Debug, Clone)]
pub struct Schedule {
    due: Instant,
    interval: Duration,
    /// From the first probe to the second, in intervals. Taken once the first has begun.
    second_after: Option<f64>,
}

impl Schedule {
    /// The schedule of the `order`th (from 0) of the instances that are registered together at `now`.
    pub fn new(now: Instant, order: usize, interval: Duration) -> Self {
        // Multiples of the golden section, without their whole part, are spread evenly however many there are.
        let phase = (order as f64 * 0.618_033_988_749_895).fract();
        // Half an interval to one and a half: two bad probes in one moment would say no more than one.
        let second_after = if phase < 0.5 { 1.0 + phase } else { phase };
        let delay = SPACING.saturating_mul(u32::try_from(order).unwrap_or(u32::MAX)).min(interval);
        Self { due: now + delay, interval, second_after: Some(second_after) }
    }

    /// When the next probe is to begin.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Notes at `now` that the probe that was due has begun. Probes that were missed meanwhile are left out.
    pub fn handle_begun(&mut self, now: Instant) {
        self.due = self.due + self.interval.mul_f64(self.second_after.take().unwrap_or(1.0));
        let late_ns = now.since(self.due).as_nanos();
        if let Some(missed) = late_ns.checked_div(self.interval.as_nanos()).filter(|_| late_ns > 0) {
            self.due = self.due + self.interval.saturating_mul(u32::try_from(missed + 1).unwrap_or(u32::MAX));
        }
    }

    /// Goes over to another interval: the next probe is due when it would have been had the last been begun under it,
    /// but not before `now`.
    pub fn change_interval(&mut self, now: Instant, interval: Duration) {
        if self.second_after.is_none() && interval != self.interval {
            let last_ns = self.due.as_nanoseconds().saturating_sub(self.interval.as_nanos() as u64);
            self.due = now.max(Instant::from_nanoseconds(last_ns) + interval);
        }
        self.interval = interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);
    const NOW: Instant = Instant::from_nanoseconds(7_000_000_000);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_probe_is_at_once_and_the_others_keep_their_times_however_long_each_takes() {
        let mut schedule = Schedule::new(NOW, 0, INTERVAL);
        assert_eq!(schedule.due(), NOW);
        for (begun_after, next_after) in
            [(ms(0), ms(10_000)), (ms(10_900), ms(20_000)), (ms(20_000), ms(30_000)), (ms(57_000), ms(60_000))]
        {
            schedule.handle_begun(NOW + begun_after);
            assert_eq!(schedule.due(), NOW + next_after);
        }
    }

    #[test]
    fn ten_thousand_are_spread_over_a_second_and_then_over_the_interval() {
        let mut schedules: Vec<_> = (0..10_000).map(|order| Schedule::new(NOW, order, INTERVAL)).collect();
        let slots = |schedules: &[Schedule], width: Duration| {
            let mut slots = std::collections::BTreeMap::<_, usize>::new();
            for schedule in schedules {
                *slots.entry(schedule.due().since(NOW).as_nanos() / width.as_nanos()).or_default() += 1;
            }
            slots
        };
        let first = slots(&schedules, ms(10));
        assert_eq!((first.len(), first.values().max()), (100, Some(&100)));
        schedules.iter_mut().for_each(|schedule| schedule.handle_begun(schedule.due()));
        // From the second probe on: 10,000 in 10 s are 100 in every 100 ms.
        schedules.iter_mut().for_each(|schedule| schedule.handle_begun(schedule.due()));
        let one_interval = slots(&schedules, ms(100));
        assert!(one_interval.values().all(|count| *count <= 110), "{one_interval:?}");
        assert!(schedules.iter().all(|schedule| schedule.due().since(NOW) <= INTERVAL * 5 / 2 + ms(1_000)));
    }

    #[test]
    fn another_interval_counts_from_the_last_probe() {
        let mut schedule = Schedule::new(NOW, 0, INTERVAL);
        schedule.change_interval(NOW, ms(4_000));
        assert_eq!(schedule.due(), NOW, "the first is still at once");
        schedule = Schedule::new(NOW, 0, INTERVAL);
        schedule.handle_begun(NOW);
        schedule.change_interval(NOW + ms(1_000), ms(4_000));
        assert_eq!(schedule.due(), NOW + ms(4_000));
        schedule.change_interval(NOW + ms(3_000), ms(500));
        assert_eq!(schedule.due(), NOW + ms(3_000));
    }
}
