//! The ELB Query API, version 2012-06-01.

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

pub use error::{ApiError, ErrorCode};
pub use ledger::{EnterError, Publish, PublishError};
pub use restore::{RestoreError, Restored};
pub use server::{ApiListener, serve};
pub use service::{Answer, Received, Service};
pub use settings::{AccountId, AccountLimits, Settings};
