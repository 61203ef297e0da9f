//! Floor 2: the one list of metrics, per-core cells, histograms and log lines. The home of `hdrhistogram`.
//!
//! # Writing
//!
//! A listener and an instance each own one `Arc<`[`PerCore`]`<…Cells>>` that outlives configuration changes. A data-plane
//! thread takes its own cells from it with [`PerCore::core`] and writes them alone: plain loads and stores, no
//! lock prefix, no cache line shared with another core, no allocation after the first value of a histogram row.
//!
//! # Reading
//!
//! The control thread makes a [`Reading`] when somebody asks, and [`prometheus_text`] or [`interval_log()`] sums the
//! cores by the list [`METRICS`]. Nothing is reset by reading, and a reading is not a consistent cut over cells: two
//! counters written together may be read one apart.
//!
//! # Series
//!
//! Labels come from the configuration, never from traffic. A listener has about 120 time series (half of them
//! errors by reason), an instance 46, and no more than [`MAX_INSTANCES_TOLD_APART`] instances are told apart.

mod access_log;
mod cell;
mod cells;
mod distribution;
mod errors;
mod exposition;
mod flight;
mod histogram;
mod interval_log;
mod layout;
pub mod log;
mod metric;
mod per_core;
mod reading;
#[cfg(test)]
mod testing;

pub use access_log::{
    AccessCertificate, AccessExchange, AccessLogQueue, AccessRecord, AccessRequestLine, AccessTls, Block, Times,
};
pub use cell::{Counter, Gauge};
pub use cells::{
    AnswerSource, DesyncCounters, HandshakeCounters, InstanceCells, ListenerCells, RequestCounters, ResponseClass,
};
pub use distribution::Distribution;
pub use errors::ErrorCounters;
pub use exposition::{PROMETHEUS_CONTENT_TYPE, prometheus_text};
pub use flight::{FlightAttempt, FlightPhases, FlightRecord, FlightRecorder, RequestId};
pub use histogram::Histogram;
pub use interval_log::interval_log;
pub use metric::{Kind, METRICS, Metric};
pub use per_core::PerCore;
pub use reading::{
    CertificateReading, InstanceReading, ListenerReading, LoadBalancerReading, MAX_INSTANCES_TOLD_APART,
    OTHER_INSTANCES, Reading, Reloads,
};
