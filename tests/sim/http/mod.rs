//! HTTP clients and back ends around the proxy, and what must be true between them. They read and write HTTP/1.1 with
//! code of their own, so that a mistake of the proxy's is not made twice; HTTP/2 they speak by the `h2` crate, as the
//! proxy does, and what is compared are the messages.

pub mod backend;
pub mod client;
pub mod cookies;
pub mod h2_backend;
pub mod h2_client;
pub mod ledger;
pub mod plan;
pub mod streams;
