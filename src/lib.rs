//! Elbow: a load balancer for bare-metal Linux. Classic ELB's feature set on your own machines, with one
//! io_uring per core. This library promises no API; it exists so that tests can reach the rooms.
//!
//! # The floors
//!
//! A room imports lower floors only; rooms on one floor do not open into each other.
//! `tests/architecture.rs` holds the same list and fails on an import that goes up or sideways.
//!
//! | floor | room | owns |
//! |---|---|---|
//! | 0 | [`base`] | ids, limits, clock, timer wheel, seeded random |
//! | 1 | [`model`] | the words of the domain, always valid |
//! | 2 | [`wire`] | HTTP/1 heads and framing, forwarding headers, cookies, desync, PROXY protocol |
//! | 2 | [`balance`] | round robin, least outstanding, stickiness, zones, retry, surge queue |
//! | 2 | [`health`] | thresholds, schedule, what a good answer is |
//! | 2 | [`tls`] | security policies, certificates, a TLS session as bytes in and out |
//! | 2 | [`telemetry`] | the one list of metrics, per-core cells, histograms, log lines |
//! | 2 | [`runtime`] | ring, operations, executor, buffers, timers, sockets, pipes; the only `unsafe` |
//! | 3 | [`transport`] | a protocol on a stream: dial, HTTP/1 connection, copy, splice |
//! | 3 | [`registry`] | changes, desired state, compile to snapshot, publish, live records |
//! | 4 | [`proxy`] | the data plane: worker, acceptor, tcp, http1, exchange, upstream, drain |
//! | 4 | [`prober`] | health probes on the control thread |
//! | 4 | [`control`] | configuration file, admin pages, ELB API, reload |
//! | 5 | [`server`] | builds every part once, in order; shuts down in reverse |
//! | - | [`cli`] | arguments, one file per command, exit codes |

#![deny(unsafe_code)]

pub mod balance;
pub mod base;
pub mod cli;
pub mod control;
pub mod health;
pub mod model;
pub mod prober;
pub mod proxy;
pub mod registry;
pub mod runtime;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod transport;
pub mod wire;
