//! Conformance: what standards, and our own documents, promise.
//!
//! HTTP by RFC section: tables of cases, each with what the back end and the client saw byte for byte. For HTTP/1 the
//! gateway is the wire room alone, bytes in and bytes out without a socket; the same tables hold for every split of the
//! input into pieces. HTTP/2 is spoken to the real binary, frame by frame.

mod config;
mod desync;
mod gateway;
#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "of the harness of end-to-end tests only a part is needed")]
mod harness;
mod http2_peer;
mod properties;
mod rfc7541_indexing;
mod rfc9110_connection;
mod rfc9112_chunked;
mod rfc9112_fields;
mod rfc9112_framing;
mod rfc9112_request_line;
mod rfc9112_responses;
mod rfc9113_connections;
mod rfc9113_frames;
mod rfc9113_instances;
mod rfc9113_messages;
mod speed;
mod tuning;
