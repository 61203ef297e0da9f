//! Conformance: what standards, and our own documents, promise.
//!
//! HTTP by RFC section: tables of cases, each with what the back end and the client saw byte for byte. The gateway
//! is the wire room alone, bytes in and bytes out without a socket; the same tables hold for every split of the
//! input into pieces.

mod config;
mod desync;
mod gateway;
mod properties;
mod rfc9110_connection;
mod rfc9112_chunked;
mod rfc9112_fields;
mod rfc9112_framing;
mod rfc9112_request_line;
mod rfc9112_responses;
mod speed;
