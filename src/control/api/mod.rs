//! The ELB Query API, version 2012-06-01.

mod answer;
mod error;
pub mod query;
pub mod signature;

pub use error::{ApiError, ErrorCode};
