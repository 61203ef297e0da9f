//! End to end: the real binary between real clients and real back ends, over real sockets.

mod api;
mod commands;
mod drain;
mod failures;
mod forwarding;
mod grpc;
mod harness;
mod health;
mod http2;
mod many_connections;
mod observability;
mod outages;
mod refusals;
mod slow_peers;
mod smuggling;
mod tcp;
mod tls;
mod tls_backends;
