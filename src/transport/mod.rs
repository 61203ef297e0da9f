//! Floor 3: a protocol on a stream. Owns dialling, the two halves of a connection, HTTP messages on it, and moving
//! bytes from one connection to another; reaches the kernel through `runtime` only.
//!
//! Not here: which instance to dial, what a failure means to a client (`proxy`).
//!
//! A connection is two halves that live apart: a [`Receiver`] owns the receive in flight, so a dropped wait
//! loses no bytes; a [`Sender`] counts what went out. They end together when the last half is dropped. Inside TLS
//! ([`accept_tls`], [`connect_tls`]) they share a session, and nobody above sees a difference.

mod activity;
mod bulk;
mod dial;
mod halves;
mod handshake;
mod http1_reader;
mod http1_writer;
mod http2_client;
mod http2_flood;
mod http2_frames;
mod http2_heads;
mod http2_link;
mod http2_reader;
mod http2_secrets;
mod http2_server;
mod http2_writer;
mod linger;
mod outbox;
mod outlet;
mod piece;
mod plain;
mod preface;
mod relay;
mod sink;
mod source;
mod splice;
mod tls_stream;

pub use activity::{Activity, Pace, RateFloor};
pub use bulk::{BodyBroken, move_body};
pub use dial::{DialError, dial};
pub use halves::{Receiver, Sender, plain_halves};
pub use handshake::{Accepted, HandshakeError, accept_tls, connect_tls};
pub use http1_reader::{Http1Reader, ReadError};
pub use http1_writer::Http1Writer;
pub use http2_client::{Answered, CallError, Http2Call, Http2Client, Http2Place};
pub use http2_flood::{Credit as Http2Credit, Flood as Http2Flood};
pub use http2_reader::Http2Reader;
pub use http2_server::{Http2Ended, Http2Request, Http2Server, Http2Stream};
pub use http2_writer::{Http2Cancellation, Http2Writer};
pub use linger::{close, linger};
pub use piece::{Data, Piece};
pub use plain::PlainReceiver;
pub use preface::{PrefaceError, read_preface};
pub use relay::{Broken, relay};
pub use sink::Sink;
pub use source::Source;
