//! Floor 3: a protocol on a stream. Owns dialling, the two halves of a connection, HTTP/1 messages on it, and moving
//! bytes from one connection to another; reaches the kernel through `runtime` only.
//!
//! Not here: which instance to dial, what a failure means to a client (`proxy`).
//!
//! A connection is two halves that live apart: a [`Receiver`] owns the receive in flight, so a dropped wait
//! loses no bytes; a [`Sender`] counts what went out. They end together when the last half is dropped. Inside TLS
//! ([`accept_tls`], [`connect_tls`]) they share a session, and nobody above sees a difference.

mod activity;
mod dial;
mod halves;
mod handshake;
mod http1_reader;
mod http1_writer;
mod linger;
mod plain;
mod preface;
mod relay;
mod splice;
mod tls_stream;

pub use activity::Activity;
pub use dial::{DialError, dial};
pub use halves::{Receiver, Sender, plain_halves};
pub use handshake::{Accepted, HandshakeError, accept_tls, connect_tls};
pub use http1_reader::{Http1Reader, Piece, ReadError};
pub use http1_writer::Http1Writer;
pub use linger::{close, linger};
pub use plain::PlainReceiver;
pub use preface::{PrefaceError, read_preface};
pub use relay::{Broken, relay};
pub use splice::{BodyBroken, splice_body};
