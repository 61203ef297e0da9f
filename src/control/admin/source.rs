//! Where the admin pages get their facts, and whom they tell commands.

use super::command::{Carrying, Command};
use super::status::Status;
use crate::telemetry::Reading;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What the pages are made from. Every function is called on the control thread, once for each request that needs it,
/// and only copies: summing and formatting happen elsewhere.
pub struct AdminSource {
    /// When the process began to count: the start of the interval in `/histograms.hlog`.
    pub started: SystemTime,
    /// What `/readyz` says.
    pub readiness: Box<dyn Fn() -> Readiness>,
    /// What `/metrics` and `/histograms.hlog` sum up.
    pub reading: Box<dyn Fn() -> Reading>,
    /// What `/status` shows.
    pub status: Box<dyn Fn() -> Status>,
    /// Does what it is told. What has begun goes on when the answer is not waited for.
    pub command: Box<dyn Fn(Command) -> Carrying>,
}

/// Whether the node wants new traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Not every listener accepts yet.
    Starting,
    /// Every listener accepts.
    Serving,
    /// What is in flight is being finished; new traffic should go elsewhere.
    Draining,
}

impl Readiness {
    /// The word in `/readyz` and `/status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}
