//! End to end: the real binary between real clients and real back ends, over real sockets.

mod access_log;
mod api;
mod commands;
mod desync;
mod drain;
mod draining;
mod failures;
mod forwarding;
mod harness;
mod health;
mod http2;
mod limits;
mod many_connections;
mod observability;
mod outages;
mod proxy_protocol;
mod refusals;
mod reload;
mod slow_peers;
mod smuggling;
mod stickiness;
mod surge;
mod tcp;
mod tls;
mod tls_backends;
mod zones;
