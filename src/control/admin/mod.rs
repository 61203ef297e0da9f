//! The admin address: is it alive, is it ready, what does it count, what does it know. Owns the HTTP server, the route
//! table, the shape of `/status`, what the node can be told, and the client with which other commands ask and tell it.
//!
//! It runs on the control thread, inside the tokio runtime of `tokio_uring::start`. It asks for no password: whoever
//! can connect may ask, so the address is loopback or a Unix socket of mode 0660 unless the operator says otherwise.
//! It knows nothing of the registry; [`AdminSource`] is how facts come in.

pub mod client;
pub mod command;
mod listener;
mod routes;
mod server;
mod source;
pub mod status;

pub use listener::AdminListener;
pub use server::serve;
pub use source::{AdminSource, Readiness};

/// What every answer says in `Server` (RFC 9110 section 10.2.4): a command that went to another server by mistake was
/// not carried out, whatever that answers.
const PRODUCT: &str = "elbow";
