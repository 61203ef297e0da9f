//! Floor 3: what should be (snapshots) and what is (live records).
//!
//! Owns: the compilation of a [`Configuration`](crate::model::Configuration) into an immutable [`Snapshot`], its
//! publication to every thread, the certificates and keys in their files ([`Keyring`]), the [`Live`] record of each
//! registered instance, who is [`Ejected`] and for how long, whose share still grows, what [`Clients`] have of a load
//! balancer, by which rules instances are probed ([`Probing`]), the [`Lifecycle`] of the node, and what metrics and
//! status read of all this. Does not own: how an instance is chosen (`balance`), how it is probed (`prober`), sockets.
//!
//! # Births and deaths
//!
//! One [`Registry`] is made from the first configuration; every thread has its own [`Reader`] of it.
//! [`Registry::apply`] compiles the next configuration, which shows every error before anything changes, publishes it
//! behind one pointer and wakes every reader's thread, which adopts it when its [`Reader::change`] completes. A snapshot
//! goes when the last reader has left it; the [`ListenerEntry`] of an open connection stays for as long as it needs it.
//! Instances that the next configuration names again keep their live record, and with it health, counts and metrics; a
//! record goes with the last snapshot, entry and [`Lease`] that hold it.
//!
//! # A request
//!
//! Its connection holds a [`ListenerEntry`]. [`Targets::choose`] answers an [`Assignment`]: an address, and the lease that
//! counts the request as in flight until it is dropped.

mod clients;
mod compile;
mod departures;
mod ejections;
mod keyring;
mod lifecycle;
mod live;
mod newcomers;
mod news;
mod places;
mod probing;
mod publication;
mod reading;
mod secure;
mod snapshot;
mod standing;
mod stickiness;
mod surge;
mod targets;
#[cfg(test)]
pub(crate) mod testing;

pub use clients::{Clients, TurnedAway, Visit};
pub use compile::{CompileError, Keys, compile};
pub use departures::Deregistered;
pub use ejections::Ejected;
pub use keyring::{
    KeyFileError, Keyring, KeyringError, Refreshed, check_ticket_key, read_authorities, read_certificate,
};
pub use lifecycle::Lifecycle;
pub use live::{Lease, Live, LiveId};
pub use places::{Place, Places};
pub use probing::Probing;
pub use publication::{Reader, Registry};
use secure::BackendTls;
pub use secure::{BackendTlsId, FrontTls, TlsError};
pub use snapshot::{InstanceEntry, ListenerEntry, LoadBalancerEntry, Rules, Snapshot};
pub use standing::Standing;
pub use stickiness::{Follows, Stickiness};
pub use surge::{SurgeQueue, Turn, Waiting, Wish};
pub use targets::{Assignment, TargetId, Targets, Tried};
