//! Fuzz functions: each takes any bytes and panics when a promise is broken.
//!
//! A coverage-guided fuzzer can call them as they are. Here they run as ordinary tests over the corpus kept in
//! `corpus/`, one folder per function, and over seeded mutations of it; `FUZZ_ROUNDS` asks for more than the usual
//! some ten thousand. An input that ever broke a promise stays in the corpus.

mod api;
mod config;
mod corpus;
mod http2_flood;
mod reloads;
mod wire_bodies;
mod wire_cookies;
mod wire_heads;
mod wire_proxy_protocol;
