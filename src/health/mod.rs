//! Floor 2: when an instance counts as healthy. Thresholds, schedule, what a good answer is; no I/O.
//!
//! Owns: how the results of probes add up to a [`Condition`] ([`Health`]), when the next probe is due ([`Schedule`]), what
//! makes an answer a good one ([`judge_status`]), when an instance that fails requests is left out and for how long
//! ([`Streaks`], [`Offence`]), and the words of ELB's `DescribeInstanceHealth` ([`Report`]). Does not
//! own: sockets and HTTP (`prober`), who reads the condition (`registry`).
//!
//! An instance's [`Health`] and [`Schedule`] are born when it is registered and live in the `prober` until it is not.

mod condition;
mod failure;
mod outlier;
mod report;
mod schedule;

pub use condition::{Change, Condition, Health};
pub use failure::{Failure, judge_status};
pub use outlier::{Offence, Streaks};
pub use report::{ReasonCode, Report, ServiceState};
pub use schedule::Schedule;
