//! What the tests are made of: the real binary with a configuration, back ends, clients, and a way to wait for what
//! can be observed. Nothing here sleeps for luck; every wait has an end.
//!
//! Every process gets loopback addresses of its own, so all tests may run at once.

mod admin;
mod alone;
mod backend;
mod balancer;
mod certificates;
mod elbow;
mod http2_load;
mod load;
mod loopback;
mod message;
mod metrics;
mod nginx;
mod peer;
mod process;
mod python;
mod stream;
mod successors;
mod tools;
mod wait;

pub use alone::alone;
pub use backend::{Backend, Seen, answer_ok};
pub use balancer::Balancer;
pub use certificates::{Authority, CertificatePaths, fingerprint_of_certificate};
pub use elbow::{Elbow, elbow_command, run_elbow, run_to_end, under_limit};
pub use http2_load::Http2Load;
pub use load::Load;
pub use loopback::{free_address, free_listener};
pub use message::Message;
pub use nginx::Nginx;
pub use peer::{Ending, PATIENCE, Peer};
pub use process::Process;
pub use python::{python, python_server};
pub use stream::{BLOCK_BYTES, Fingerprint, block, fingerprint, receive_stream, send_stream};
pub use successors::{Upgradable, runs};
pub use tools::{Finding, H2load, ab, curl, h2load, nghttp, openssl, testssl, wrk};
pub use wait::{eventually, holds_for};
