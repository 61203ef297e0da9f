//! What each client address has of a load balancer: connections now, and requests lately. Exact over all cores.
//!
//! A connection finds its client's record once, when it is accepted, in a table of which only a 64th part is locked for
//! that moment; its requests then touch nothing but two numbers of that record. Load balancers without such limits have
//! no table to look into.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::Instant;

/// Parts of the table: enough that two of some hundred cores seldom meet.
const PARTS: usize = 64;

/// Records in one part at the most; a million clients, about 100 MB, in all. Whoever has neither a connection nor a
/// request within the last second needs none.
const RECORDS_MAX: usize = 16 * 1024;

/// How often a full part is looked through: after so long every client whose requests were counted has rested.
const CLEAN_INTERVAL: Duration = Duration::from_secs(1);

const SECOND_NS: u64 = 1_000_000_000;

/// The clients of one load balancer.
#[derive(Debug)]
pub struct Clients {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Part {
    records: HashMap<IpAddr, Arc<Record>>,
    /// Records that nobody needs are looked for when there are this many, or no room for one more.
    clean_at: usize,
    /// When they were looked for last.
    cleaned: Instant,
}

#[derive(Debug, Default)]
struct Record {
    connections: AtomicU32,
    /// When the client will have used up what it has been allowed so far, in nanoseconds.
    used_until: AtomicU64,
}

/// One connection of a client, until it is dropped.
#[derive(Debug)]
pub struct Visit(Arc<Record>);

/// Why a client may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// It has as many connections as it may have.
    TooManyConnections,
    /// No more clients can be told apart.
    TooManyClients,
}

impl Default for Clients {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Clients {
    /// Counts one more connection of `address`, of which there may be `limit`.
    pub fn enter(&self, address: IpAddr, limit: Option<u32>, now: Instant) -> Result<Visit, TurnedAway> {
        let address = address.to_canonical();
        let index = self.hasher.hash_one(address) as usize % PARTS;
        let mut part = self.parts[index].lock().unwrap_or_else(PoisonError::into_inner);
        let record = part.record(address, now).ok_or(TurnedAway::TooManyClients)?;
        let visit = Visit(record);
        let before = visit.0.connections.fetch_add(1, Ordering::Relaxed);
        // The visit uncounts itself where it is refused.
        if limit.is_some_and(|limit| before >= limit) { Err(TurnedAway::TooManyConnections) } else { Ok(visit) }
    }
}

impl Part {
    fn record(&mut self, address: IpAddr, now: Instant) -> Option<Arc<Record>> {
        if let Some(known) = self.records.get(&address) {
            return Some(known.clone());
        }
        // Where it is full of clients that need their records, looking through them for every new one would be an attack.
        let is_full = self.records.len() >= RECORDS_MAX;
        if self.records.len() >= self.clean_at.max(64) || is_full && now >= self.cleaned + CLEAN_INTERVAL {
            self.records.retain(|_, record| Arc::strong_count(record) > 1 || !record.is_rested(now));
            self.clean_at = self.records.len() * 2;
            self.cleaned = now;
        }
        if self.records.len() >= RECORDS_MAX {
            return None;
        }
        Some(self.records.entry(address).or_default().clone())
    }
}

impl Record {
    /// Whether a new record would say the same of the client.
    fn is_rested(&self, now: Instant) -> bool {
        self.used_until.load(Ordering::Relaxed) <= now.as_nanoseconds()
    }
}

impl Visit {
    /// Counts one more request, of which there may be `rate` a second, and as many at once; answers whether it may be.
    ///
    /// The generic cell rate algorithm (ITU-T I.371): each request uses up its share of a second, and the client may be
    /// ahead of the clock by one second at the most.
    pub fn may_request(&self, rate: NonZeroU32, now: Instant) -> bool {
        let share = SECOND_NS / u64::from(rate.get());
        let now = now.as_nanoseconds();
        let used = self.0.used_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used_until| {
            let next = used_until.max(now) + share;
            (next <= now + SECOND_NS).then_some(next)
        });
        used.is_ok()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanoseconds(10 * SECOND_NS) + Duration::from_millis(milliseconds)
    }

    fn client(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn connections_are_counted_by_address() {
        let clients = Clients::default();
        let enter = |number| clients.enter(client(number), Some(2), at(0));
        let held = (enter(1).expect("first"), enter(1).expect("second"));
        assert_eq!(enter(1).err(), Some(TurnedAway::TooManyConnections));
        let mapped: IpAddr = "::ffff:0.0.0.1".parse().expect("an address");
        assert!(clients.enter(mapped, Some(2), at(0)).is_err(), "the same client by another name");
        assert!(enter(2).is_ok());
        drop(held.0);
        assert!(enter(1).is_ok());
    }

    #[test]
    fn requests_are_limited_over_connections_and_time() {
        let clients = Clients::default();
        let rate = NonZeroU32::new(10).expect("not zero");
        let enter = || clients.enter(client(1), None, at(0)).expect("no limit");
        let ask = |visit: &Visit, time, count| (0..count).filter(|_| visit.may_request(rate, at(time))).count();
        let first = enter();
        assert_eq!(ask(&first, 0, 7), 7);
        drop(first);
        let second = enter();
        assert_eq!(ask(&second, 0, 20), 3, "a new connection is no new allowance");
        assert_eq!(ask(&second, 100, 20), 1);
        assert_eq!(ask(&second, 5_000, 20), 10, "what was not used does not add up");
    }

    #[test]
    fn the_rate_is_exact_over_threads() {
        let clients = Clients::default();
        let rate = NonZeroU32::new(1_000).expect("not zero");
        let allowed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let visit = clients.enter(client(1), None, at(0)).expect("no limit");
                    let mine = (0..1_000).filter(|_| visit.may_request(rate, at(0))).count();
                    allowed.fetch_add(mine as u32, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(allowed.into_inner(), 1_000);
    }

    #[test]
    fn a_part_in_which_most_are_busy_has_room_for_new_ones_when_others_rest() {
        let mut part = Part::default();
        let busy: Vec<_> = (0..9_000).map(|number| part.record(client(number), at(0)).expect("room")).collect();
        let others = (9_000..).take(2 * RECORDS_MAX);
        let refused = others.filter(|number| part.record(client(*number), at(u64::from(*number))).is_none());
        assert_eq!(refused.count(), 0);
        drop(busy);
    }

    #[test]
    fn clients_that_rest_are_forgotten() {
        let clients = Clients::default();
        let rate = NonZeroU32::new(1).expect("not zero");
        for number in 0..100_000 {
            // A second later nothing is left to remember.
            let visit = clients.enter(client(number), Some(1), at(u64::from(number) * 10)).expect("room");
            assert!(visit.may_request(rate, at(u64::from(number) * 10)));
        }
        let remembered: usize = clients.parts.iter().map(|part| part.lock().expect("sound").records.len()).sum();
        assert!(remembered <= PARTS * 64, "{remembered}");
    }
}
