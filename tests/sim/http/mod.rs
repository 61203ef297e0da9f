//! HTTP/1.1 clients and back ends around the proxy, and what must be true between them. They read and write messages with
//! code of their own, so that a mistake of the proxy's is not made twice.

pub mod backend;
pub mod client;
pub mod ledger;
pub mod plan;
