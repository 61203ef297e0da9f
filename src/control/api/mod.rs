//! The ELB Query API, version 2012-06-01: the other door to the model, beside the configuration file.
//!
//! Owns: the wire form of calls and answers, signatures, the 29 operations, what only the API knows of a load balancer,
//! and where that is kept. Does not own: how a configuration takes effect ([`Publish`]) and what probes find
//! ([`operation::HealthSource`]): both are given to it.
//!
//! # The life of a call
//!
//! 1. [`serve`] reads a request within its limits and hands it to the [`Service`].
//! 2. [`signature`] finds out who sent it; [`query`] makes parameters of query and body.
//! 3. An [`operation`], a pure function over the [`state`], gives a result or an error, and perhaps a change.
//! 4. The ledger publishes a change, [`store`]s it, and lets it hold; the audit log gets its line.
//! 5. [`answer`] puts result or error into ELB's envelope.
//!
//! # Births and deaths
//!
//! At the start [`Restored`] is read from the store and the file; its configuration is brought into effect, then the
//! [`Service`] is made of it. It lives on the control thread until the process ends. A change that is under way when
//! its caller hangs up is carried to its end.
//!
//! What follows is for people who use it.
#![doc = include_str!("COMING_FROM_ELB.md")]

mod access_log;
pub mod answer;
mod audit;
mod error;
mod ledger;
pub mod operation;
mod policy;
pub mod query;
mod restore;
mod server;
mod service;
mod settings;
pub mod signature;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
mod tls;

pub use error::{ApiError, ErrorCode};
pub use ledger::{EnterError, Publish, PublishError};
pub use restore::{RestoreError, Restored};
pub use server::{ApiListener, serve};
pub use service::{Answer, Received, Service};
pub use settings::{AccountId, AccountLimits, Settings};
pub use tls::server_tls;
