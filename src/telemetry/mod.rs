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
//! The control thread sums the cores when somebody asks. Nothing is reset by reading, and a reading is not a
//! consistent cut over cells: two counters written together may be read one apart.

mod cell;
mod cells;
mod distribution;
mod histogram;
mod layout;
mod per_core;

pub use cell::{Counter, Gauge};
pub use cells::{AnswerSource, InstanceCells, ListenerCells, RequestCounters, ResponseClass};
pub use distribution::Distribution;
pub use histogram::Histogram;
pub use per_core::PerCore;
