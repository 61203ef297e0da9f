//! Outlier detection, or passive health: instances that fail the requests they are given are left out for a while,
//! whatever probes say. ELB has nothing of the kind; the words and the bounds are Envoy's.

use super::keyword::keyword;
use super::{Count, Seconds};

/// How many failures in a row eject an instance; `None`: no number of them does.
pub type FailuresInARow = Option<Count<1, 1_000_000>>;

/// How long an instance may be ejected.
pub type EjectionTime = Seconds<1_000, 86_400_000>;

/// When an instance is ejected, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Answers with a status from 500 on, or none at all to a request that was sent.
    pub consecutive_5xx: FailuresInARow,
    /// Connections that did not come about, TLS included.
    pub consecutive_connect_failures: FailuresInARow,
    /// The first time; each further time adds as much.
    pub base_ejection_time: EjectionTime,
    /// Where that growth ends. Never less than the base.
    pub max_ejection_time: EjectionTime,
    /// Of the instances that this node sends traffic to, the share that may be ejected at once. One always may, unless
    /// it is the only one.
    pub max_ejection_percent: Count<1, 100>,
}

impl OutlierDetection {
    /// How many failures in a row of this kind eject.
    pub const fn threshold(&self, cause: EjectionCause) -> FailuresInARow {
        match cause {
            EjectionCause::ServerErrors => self.consecutive_5xx,
            EjectionCause::ConnectFailures => self.consecutive_connect_failures,
        }
    }

    /// How many of so many instances may be ejected at once. Never all: whoever is left may be no better, but is there.
    pub fn most_ejected(&self, instances: usize) -> usize {
        let share = instances.saturating_mul(self.max_ejection_percent.get() as usize) / 100;
        share.max(1).min(instances.saturating_sub(1))
    }
}

/// Envoy's.
impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: Some(Count::of(5)),
            consecutive_connect_failures: Some(Count::of(5)),
            base_ejection_time: Seconds::of_ms(30_000),
            max_ejection_time: Seconds::of_ms(300_000),
            max_ejection_percent: Count::of(10),
        }
    }
}

keyword! {
    /// What an instance is ejected for: the key that sets how often it may happen.
    pub enum EjectionCause {
        /// Answers from 500 on, or none.
        ServerErrors = "consecutive_5xx",
        /// Connections that did not come about.
        ConnectFailures = "consecutive_connect_failures",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_may_be_ejected_and_never_all() {
        let detection = |percent| OutlierDetection { max_ejection_percent: Count::of(percent), ..Default::default() };
        for (percent, instances, most) in
            [(10, 0, 0), (10, 1, 0), (10, 2, 1), (10, 19, 1), (10, 20, 2), (50, 5, 2), (100, 1, 0), (100, 7, 6)]
        {
            assert_eq!(detection(percent).most_ejected(instances), most, "{percent} % of {instances}");
        }
    }
}
