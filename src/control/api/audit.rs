//! A line for every call that changes something, or was meant to.

use super::answer::RequestId;
use super::error::ApiError;
use super::operation::Operation;
use super::query::Parameters;
use super::signature::Caller;
use std::net::SocketAddr;

/// Who called for what.
pub(super) struct Entry {
    pub request_id: RequestId,
    pub caller: Caller,
    pub source: SocketAddr,
    pub operation: Operation,
    /// The load balancer, as it was named.
    pub load_balancer: String,
}

impl Entry {
    /// The entry of a call with these parameters.
    pub(super) fn new(
        request_id: RequestId,
        caller: Caller,
        source: SocketAddr,
        operation: Operation,
        parameters: &Parameters,
    ) -> Self {
        let load_balancer = parameters.text("LoadBalancerName").unwrap_or_default().to_owned();
        Self { request_id, caller, source, operation, load_balancer }
    }

    /// Writes the line: what the call changed, or why it changed nothing.
    pub(super) fn write(&self, outcome: Result<&str, &ApiError>) {
        let Self { request_id, source, load_balancer, .. } = self;
        let (key, operation) = (&self.caller.key, self.operation.as_str());
        match outcome {
            Ok("") => {
                tracing::info!(%request_id, %key, %source, operation, load_balancer, outcome = "unchanged", "audit")
            }
            Ok(difference) => {
                tracing::info!(%request_id, %key, %source, operation, load_balancer, outcome = "changed", difference, "audit");
            }
            Err(error) => {
                let (outcome, message) = (error.code.as_str(), error.message.as_str());
                tracing::info!(%request_id, %key, %source, operation, load_balancer, outcome, reason = message, "audit");
            }
        }
    }
}
