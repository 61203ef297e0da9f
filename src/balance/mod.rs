//! Floor 2: which instance gets the next request, as pure decisions over live counters.
//!
//! Owns: the in-flight count of an instance ([`Load`]) and the guard that keeps it exact ([`Lease`]), the choice among
//! [`Candidates`] (least outstanding or in turn), the growing [`Share`] of newcomers, whom a core just failed to connect
//! to ([`Shunned`]), which zones a node serves, what may be tried again, the tokens that bind clients to instances, and
//! the line of those who wait ([`SurgeQueue`]). Does not own: what the candidates are (`registry`), why an instance is
//! out of service (`health`), connections.
//!
//! Counts are shared by all cores and outlive every configuration; candidates are rebuilt with each one. A choice takes
//! no lock and allocates nothing.

mod candidates;
mod load;
mod retry;
mod rotation;
mod share;
mod shunned;
mod sticky;
mod surge;
mod zones;

pub use candidates::{Candidates, Member, Unavailable};
pub use load::{Lease, Limit, Load};
pub use retry::{ATTEMPTS_MAX, Lost, NoRetry, Retry, RetryBudget};
pub use share::Share;
pub use shunned::Shunned;
pub use sticky::{ShortSecret, StickyKey, StickyToken};
pub use surge::{Full, Service, SurgeQueue, Ticket};
pub use zones::{Placement, Zoning};
