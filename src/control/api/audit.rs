//! A line for every call that changes something, or was meant to.

use super::answer::RequestId;
use super::error::ApiError;
use super::operation::Operation;
use super::query::Parameters;
use super::signature::Caller;
use crate::model::LoadBalancerName;
use std::net::SocketAddr;

/// Writes the line of an import, which the operator of this node asks for and no key.
pub(super) fn import(load_balancer: &LoadBalancerName, outcome: &Result<(), ApiError>) {
    match outcome {
        Ok(()) => tracing::info!(operation = "import", %load_balancer, outcome = "changed", "audit"),
        Err(ApiError { code, message }) => {
            let (outcome, reason) = (code.as_str(), message.as_str());
            tracing::info!(operation = "import", %load_balancer, outcome, reason, "audit");
        }
    }
}

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
        let named = parameters.text("LoadBalancerName").or_else(|| parameters.first("LoadBalancerNames"));
        let load_balancer = named.unwrap_or_default().to_owned();
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
