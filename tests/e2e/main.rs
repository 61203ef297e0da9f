//! End to end: the real binary between real clients and real back ends, over real sockets.

mod failures;
mod forwarding;
mod harness;
mod health;
mod refusals;
mod slow_peers;
mod tcp;
