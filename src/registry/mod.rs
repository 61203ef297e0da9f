//! Floor 3: what should be (snapshots) and what is (live records).
//!
//! Owns: the compilation of a [`Configuration`](crate::model::Configuration) into an immutable [`Snapshot`], its
//! publication to every thread, the [`Live`] record of each registered instance, the [`Lifecycle`] of the node, and what
//! metrics and status read of all this. Does not own: how an instance is chosen (`balance`), how it is probed
//! (`prober`), sockets.
//!
//! # Births and deaths
//!
//! One [`Registry`] is made from the first configuration; every thread has its own [`Reader`] of it.
//! [`Registry::apply`] compiles the next configuration, which shows every error before anything changes, and publishes it
//! behind one pointer. A reader's thread adopts it when its [`Reader::change`] completes, and keeps its own counted
//! reference ([`View`]), so that a request reads it without touching anything shared. A snapshot goes when the last
//! view of it does. Instances that the next configuration names again keep their live record, and with it health,
//! counts and metrics; a record goes with the last snapshot and the last [`Lease`] that hold it.
//!
//! # A request
//!
//! [`Reader::view`], [`Snapshot::listener`], [`Targets::choose`], which answers an [`Assignment`]: an address and the
//! lease that counts the request as in flight until it is dropped.

mod compile;
mod lifecycle;
mod live;
mod publication;
mod reading;
mod snapshot;
mod targets;
#[cfg(test)]
pub(crate) mod testing;

pub use compile::{CompileError, compile};
pub use lifecycle::Lifecycle;
pub use live::{Lease, Live, LiveId};
pub use publication::{Reader, Registry, View};
pub use snapshot::{InstanceEntry, ListenerEntry, LoadBalancerEntry, Snapshot};
pub use targets::{Assignment, Targets, Tried};
