//! ELB's 29 operations, as pure functions: a [`Call`] over the state as it is, in; a result, and for operations that
//! change something the [`Change`], out. Nothing is published or stored here, so an error leaves no trace.

mod account_limits;
mod attributes;
mod call;
mod description;
mod health_check;
mod instances;
mod listeners;
mod load_balancers;
mod page;
mod policies;
mod policy_descriptions;
mod security_groups;
mod tags;
#[cfg(test)]
mod tests;
mod zones;

pub use call::{Call, Done, HealthSource};

use super::answer::Xml;
use super::error::ApiError;
use super::state::Change;

/// What an operation does to load balancers.
#[derive(Clone, Copy)]
enum Effect {
    /// It tells about them.
    Read(fn(&Call<'_>) -> Result<Xml, ApiError>),
    /// It changes one.
    Change(fn(&Call<'_>) -> Result<Done, ApiError>),
}

/// Declares the operations. The name of a variant is the action on the wire.
macro_rules! operations {
    ($( $operation:ident = $effect:ident($function:path), )+) => {
        /// An operation, by the name of its action.
        #[allow(missing_docs, reason = "the names are ELB's")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation { $( $operation, )+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[ $( Self::$operation, )+ ];

            /// The action on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$operation => stringify!($operation), )+ }
            }

            const fn effect(self) -> Effect {
                match self { $( Self::$operation => Effect::$effect($function), )+ }
            }
        }
    };
}

operations! {
    AddTags = Change(tags::add),
    ApplySecurityGroupsToLoadBalancer = Change(security_groups::apply),
    AttachLoadBalancerToSubnets = Change(zones::attach_subnets),
    ConfigureHealthCheck = Change(health_check::configure),
    CreateAppCookieStickinessPolicy = Change(policies::create_app_cookie_stickiness),
    CreateLBCookieStickinessPolicy = Change(policies::create_lb_cookie_stickiness),
    CreateLoadBalancer = Change(load_balancers::create),
    CreateLoadBalancerListeners = Change(listeners::create),
    CreateLoadBalancerPolicy = Change(policies::create),
    DeleteLoadBalancer = Change(load_balancers::delete),
    DeleteLoadBalancerListeners = Change(listeners::delete),
    DeleteLoadBalancerPolicy = Change(policies::delete),
    DeregisterInstancesFromLoadBalancer = Change(instances::deregister),
    DescribeAccountLimits = Read(account_limits::describe),
    DescribeInstanceHealth = Read(instances::describe_health),
    DescribeLoadBalancerAttributes = Read(attributes::describe),
    DescribeLoadBalancerPolicies = Read(policy_descriptions::describe),
    DescribeLoadBalancerPolicyTypes = Read(policy_descriptions::describe_types),
    DescribeLoadBalancers = Read(load_balancers::describe),
    DescribeTags = Read(tags::describe),
    DetachLoadBalancerFromSubnets = Change(zones::detach_subnets),
    DisableAvailabilityZonesForLoadBalancer = Change(zones::disable),
    EnableAvailabilityZonesForLoadBalancer = Change(zones::enable),
    ModifyLoadBalancerAttributes = Change(attributes::modify),
    RegisterInstancesWithLoadBalancer = Change(instances::register),
    RemoveTags = Change(tags::remove),
    SetLoadBalancerListenerSSLCertificate = Change(listeners::set_certificate),
    SetLoadBalancerPoliciesForBackendServer = Change(policies::set_for_instance_port),
    SetLoadBalancerPoliciesOfListener = Change(policies::set_of_listener),
}

impl Operation {
    /// The operation of this action, in exactly this spelling.
    pub fn from_name(action: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.as_str() == action)
    }

    /// Whether it can change something.
    pub const fn is_change(self) -> bool {
        matches!(self.effect(), Effect::Change(_))
    }

    /// What the call is answered with, and what it changes.
    ///
    /// # Errors
    ///
    /// ELB's error for what is wrong with the call.
    pub fn run(self, call: &Call<'_>) -> Result<Done, ApiError> {
        match self.effect() {
            Effect::Read(read) => read(call).map(|result| Done { result, change: None }),
            Effect::Change(change) => change(call),
        }
    }
}
