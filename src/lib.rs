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
//! | 2 | [`wire`] | HTTP/1 heads and framing, forwarding headers, cookies, traces, desync, PROXY protocol |
//! | 2 | [`balance`] | round robin, least outstanding, slow start, stickiness, zones, retry, surge queue |
//! | 2 | [`health`] | thresholds, schedule, what a good answer is, outliers |
//! | 2 | [`tls`] | security policies, certificates, a TLS session as bytes in and out |
//! | 2 | [`telemetry`] | the one list of metrics, per-core cells, histograms, log lines |
//! | 2 | [`runtime`] | ring, operations, executor, buffers, timers, sockets, pipes; the only `unsafe` |
//! | 3 | [`transport`] | a protocol on a stream: dial, HTTP/1 and HTTP/2 connections, copy, splice |
//! | 3 | [`registry`] | changes, desired state, compile to snapshot, publish, live records |
//! | 4 | [`proxy`] | the data plane: worker, acceptor, tcp, http1, http2, exchange, upstream, drain |
//! | 4 | [`prober`] | health probes on the control thread |
//! | 4 | [`control`] | configuration file, admin pages, ELB API, reload |
//! | 5 | [`server`] | builds every part once, in order; shuts down in reverse |
//! | - | [`cli`] | arguments, one file per command, exit codes |
//!
//! # The life of a request
//!
//! Links, so that they break when a name changes.
//!
//! 1. A connection completes in the ring ([`runtime::Listener::accept`]); the task of the [`proxy::acceptor`] wakes.
//! 2. Limits, rules and the PROXY protocol first ([`proxy::entrance`]); then a session holds the listener's
//!    [`registry::ListenerEntry`], and the flow is spawned: [`proxy::http1::serve`] or [`proxy::tcp::serve`].
//!    A client that agreed on HTTP/2, or begins with its preface, goes on in [`proxy::http2`]: one more task per stream.
//! 3. The flow waits in [`transport::Http1Reader::poll_wait`] and holds no buffer meanwhile. With the first byte it reads
//!    a head ([`wire::head::RequestHead::parse`]): framed, judged, or refused with one answer ([`wire::answer::Answer`]).
//! 4. A [`proxy::exchange::Exchange`] takes the request. [`proxy::upstream::Search`] asks [`registry::Targets::choose`],
//!    which takes the least loaded instance in service ([`balance::Candidates::choose`]) and counts it as busy; where all
//!    are at their limit the request waits its turn ([`balance::SurgeQueue`]). A sticky client comes back to the instance
//!    that its cookie names ([`proxy::affinity`]).
//! 5. A kept connection comes from the [`proxy::idle_pool::IdlePool`] of this core, or [`transport::dial`] makes one; when
//!    that fails [`balance::Lost::retry`] says what may be done.
//! 6. The [`proxy::upload::Upload`] sends the head anew ([`wire::forward::write_request_head`]) and the body as it comes,
//!    while the answer's head is awaited.
//! 7. The [`proxy::download::Download`] returns the answer: small pieces in the buffers they arrived in, long bodies of
//!    known length through a pipe in the kernel, or block by block into TLS ([`transport::move_body`]).
//! 8. Counters and histograms are written once, at the end ([`telemetry::ListenerCells`]), with the line of the access log
//!    and the record by which the request can be explained ([`proxy::account`]).
//!
//! A change of configuration goes another way: file -> [`control::config`] -> [`registry::Registry::apply`], which compiles
//! (errors show here or never) and publishes one pointer -> each [`proxy::worker`] adopts it at its next turn.

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
