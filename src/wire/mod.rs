//! Floor 2: bytes of protocols, without sockets, clock or tasks.
//!
//! Owns: HTTP/1 heads, body framing, what a gateway may and may not pass on, Elbow's own answers, cookies, desync
//! classes, the PROXY protocol, and what opens a WebSocket. Does not own: connections, deadlines, choosing a back end,
//! HTTP/2 frames.
//!
//! Safe against smuggling by construction: a message is parsed once, strictly; whatever could be read in two
//! ways is refused with a named fault; what goes on is serialised anew from that one reading, and its framing
//! fields are written by Elbow, never copied.
//!
//! A request's life: [`head::RequestHead::parse`] over what has been received until it is complete, then
//! [`forward::write_request_head`] towards the back end and a [`body::BodyDecoder`] over what follows. The
//! answer's: [`head::ResponseHead::parse`], [`head::ResponseHead::reply`] to learn what it means for this
//! request, [`forward::write_response_head`] towards the client. All objects are reused; in the steady state
//! nothing here allocates.

pub mod address;
pub mod answer;
pub mod body;
pub mod chunk;
pub mod connection;
pub mod cookie;
pub mod desync;
pub mod fault;
pub mod forward;
pub mod framing;
pub mod head;
pub mod proxy_protocol;
pub mod token;
pub mod trace;
pub mod trailers;
pub mod websocket;
