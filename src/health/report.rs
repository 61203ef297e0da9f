//! ELB's words for the state of an instance: what `DescribeInstanceHealth` and `/status` say.

use super::Condition;
use crate::model::EjectionCause;

/// Whether an instance gets traffic, as ELB puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// `InService`.
    InService,
    /// `OutOfService`.
    OutOfService,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonCode {
    /// `N/A`: nothing is wrong.
    NotApplicable,
    /// `ELB`: the load balancer's.
    Elb,
    /// `Instance`: the instance's.
    Instance,
}

/// State, reason code and description of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Whether it gets traffic.
    pub state: ServiceState,
    /// Whose doing it is.
    pub reason_code: ReasonCode,
    /// Why, in ELB's sentence; `N/A` when there is nothing to say.
    pub description: &'static str,
}

impl Report {
    /// An instance that no node sends traffic to because of its zone.
    pub const ZONE_NOT_ENABLED: Self = Self {
        state: ServiceState::OutOfService,
        reason_code: ReasonCode::Elb,
        description: "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to.",
    };

    /// A healthy instance that finishes what it has and gets nothing new.
    pub const DRAINING: Self = Self {
        state: ServiceState::InService,
        reason_code: ReasonCode::NotApplicable,
        description: "Instance deregistration currently in progress.",
    };
}

impl From<EjectionCause> for Report {
    /// An instance that is left out because of what became of its requests. ELB has no words for that.
    fn from(cause: EjectionCause) -> Self {
        let description = match cause {
            EjectionCause::ServerErrors => "Instance is ejected: too many requests in a row failed (consecutive_5xx).",
            EjectionCause::ConnectFailures => {
                "Instance is ejected: too many connections in a row failed (consecutive_connect_failures)."
            }
        };
        Self { state: ServiceState::OutOfService, reason_code: ReasonCode::Instance, description }
    }
}

impl From<Condition> for Report {
    fn from(condition: Condition) -> Self {
        let (state, reason_code, description) = match condition {
            Condition::InService => (ServiceState::InService, ReasonCode::NotApplicable, "N/A"),
            Condition::Registering => {
                (ServiceState::OutOfService, ReasonCode::Elb, "Instance registration is still in progress.")
            }
            Condition::Failed => (
                ServiceState::OutOfService,
                ReasonCode::Instance,
                "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
            ),
            Condition::Recovering => (
                ServiceState::OutOfService,
                ReasonCode::Instance,
                "Instance has not passed the configured HealthyThreshold number of health checks consecutively.",
            ),
        };
        Self { state, reason_code, description }
    }
}
