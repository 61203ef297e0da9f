//! Floor 4: the data plane. One worker per core: it accepts, speaks to clients, chooses instances, carries requests
//! and streams to them and brings the answers back.
//!
//! Owns the flows and the idle connections to instances. Does not own protocols (`transport`, `wire`), the choice
//! itself (`balance`), or what should be (`registry`).
//!
//! A [`worker`] is born with its thread and ends with the drain. An [`acceptor`] lives as long as its listener. Each
//! accepted connection that [`entrance`] lets in becomes one task, [`http1::serve`] or [`tcp::serve`]; one that speaks
//! HTTP/2 goes over to [`http2`] and has one more task per stream; what a request needs beyond its connection is one boxed
//! future that dies with the answer, so an idle connection costs a few hundred bytes.

pub mod acceptor;
pub mod account;
pub mod admission;
pub mod affinity;
pub mod backend;
pub mod carrier;
pub mod core;
pub mod download;
pub mod entrance;
pub mod exchange;
pub mod failure;
pub mod http1;
pub mod http2;
pub mod idle_pool;
pub mod naming;
pub mod secure;
mod session;
pub mod shared_pool;
pub mod stop;
pub mod tcp;
pub mod tunnel;
pub mod upload;
pub mod upstream;
pub mod worker;
