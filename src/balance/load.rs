//! How much an instance has in flight, counted exactly over all cores, and whether it takes more.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam::utils::CachePadded;

use super::Share;

/// Set while the instance is out of service.
const CLOSED: u32 = 1 << 31;

/// Set while the instance is ejected, in service or not.
const EJECTED: u32 = 1 << 30;

/// Either: it takes nothing.
const SHUT: u32 = CLOSED | EJECTED;

/// The most that may be in flight on one instance; `None`: no limit.
pub type Limit = Option<NonZeroU32>;

/// Requests (TCP: connections) in flight on one instance, together with whether it takes more.
///
/// Both share one word: a scan reads one number per instance, and whoever takes an instance learns in the same step
/// whether it was still open, so that closing it holds for every core at once. On cache lines of its own, because every
/// core writes it; what a slow start needs beside it costs no further one.
#[derive(Debug)]
pub struct Load(CachePadded<Cell>);

#[derive(Debug)]
struct Cell {
    word: AtomicU32,
    /// Of its full share, what it gets now: a [`Share`] in parts.
    share: AtomicU32,
    /// What its turns so far have left of that, as [`Share::takes_turn`] counts it.
    credit: AtomicU32,
}

impl Load {
    /// Nothing in flight; out of service until a probe says otherwise, then with its full share.
    pub const fn new() -> Self {
        Self(CachePadded::new(Cell {
            word: AtomicU32::new(CLOSED),
            share: AtomicU32::new(Share::FULL.to_parts()),
            credit: AtomicU32::new(0),
        }))
    }

    /// How much is in flight now.
    pub fn in_flight(&self) -> u32 {
        self.word() & !SHUT
    }

    /// Whether the instance takes more.
    pub fn is_open(&self) -> bool {
        self.word() & SHUT == 0
    }

    /// Whether the instance is ejected, in service or not.
    pub fn is_ejected(&self) -> bool {
        self.word() & EJECTED != 0
    }

    /// Closes the instance, whatever its health, until it is readmitted. False when it was ejected already: of several
    /// cores that eject it at once, one does.
    pub fn eject(&self) -> bool {
        self.0.word.fetch_or(EJECTED, Ordering::Relaxed) & EJECTED == 0
    }

    /// Ends that. False when it was not ejected.
    pub fn readmit(&self) -> bool {
        self.0.word.fetch_and(!EJECTED, Ordering::Relaxed) & EJECTED != 0
    }

    /// How much of its full share it gets.
    pub fn share(&self) -> Share {
        Share::from_parts(self.0.share.load(Ordering::Relaxed))
    }

    /// Gives it this much of its full share from here on, where candidates start slowly.
    pub fn set_share(&self, share: Share) {
        self.0.share.store(share.to_parts(), Ordering::Relaxed);
    }

    /// Whether it takes a turn that has come to it: of its turns so many as its share says.
    pub(super) fn takes_turn(&self) -> bool {
        let share = self.share();
        share.is_full() || share.takes_turn(self.0.credit.fetch_add(share.to_parts(), Ordering::Relaxed))
    }

    /// Opens or closes the instance as its health demands. What is in flight stays.
    pub fn set_in_service(&self, in_service: bool) {
        if in_service {
            self.0.word.fetch_and(!CLOSED, Ordering::Relaxed);
        } else {
            self.0.word.fetch_or(CLOSED, Ordering::Relaxed);
        }
    }

    /// What is in flight, if there is room for one more.
    pub(super) fn with_room(&self, limit: Limit) -> Option<u32> {
        room(self.word(), limit)
    }

    /// Counts one more; answers how many there are with it. `None`: closed, or the limit is reached.
    fn acquire(&self, limit: Limit) -> Option<u32> {
        if limit.is_some() {
            // Add-and-undo would let two cores that meet at the limit turn each other away from the last place.
            let taken = self
                .0
                .word
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| room(word, limit).map(|count| count + 1));
            return taken.ok().map(|count| count + 1);
        }
        let before = self.0.word.fetch_add(1, Ordering::Relaxed);
        if before & SHUT != 0 {
            self.release();
            return None;
        }
        Some(before + 1)
    }

    fn release(&self) {
        self.0.word.fetch_sub(1, Ordering::Relaxed);
    }

    fn word(&self) -> u32 {
        self.0.word.load(Ordering::Relaxed)
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}

/// The count in `word` if it is open and below the limit.
fn room(word: u32, limit: Limit) -> Option<u32> {
    (word & SHUT == 0 && limit.is_none_or(|limit| word < limit.get())).then_some(word)
}

/// One request (TCP: connection) in flight on the instance that `R` is the record of. Dropping it ends that, once.
#[derive(Debug)]
#[must_use = "dropping it at once counts nothing"]
pub struct Lease<R: AsRef<Load>> {
    record: Arc<R>,
}

impl<R: AsRef<Load>> Lease<R> {
    /// Takes one of an instance, if it is open and below the limit; answers how many are in flight with this one.
    pub(super) fn take(record: &Arc<R>, limit: Limit) -> Option<(Self, u32)> {
        let in_flight = (**record).as_ref().acquire(limit)?;
        Some((Self { record: Arc::clone(record) }, in_flight))
    }

    /// The instance's record.
    pub fn record(&self) -> &Arc<R> {
        &self.record
    }
}

impl<R: AsRef<Load>> Drop for Lease<R> {
    fn drop(&mut self) {
        (*self.record).as_ref().release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::fence;

    #[derive(Default)]
    struct Record(Load);

    impl AsRef<Load> for Record {
        fn as_ref(&self) -> &Load {
            &self.0
        }
    }

    fn open() -> Arc<Record> {
        let record = Arc::new(Record::default());
        record.0.set_in_service(true);
        record
    }

    #[test]
    fn it_takes_nothing_while_it_is_out_of_service_and_keeps_what_it_has() {
        let record = Arc::new(Record::default());
        assert!(Lease::take(&record, None).is_none());
        record.0.set_in_service(true);
        let (lease, in_flight) = Lease::take(&record, None).expect("open");
        assert_eq!((in_flight, record.0.in_flight()), (1, 1));
        record.0.set_in_service(false);
        assert!(Lease::take(&record, None).is_none());
        assert_eq!(record.0.in_flight(), 1);
        drop(lease);
        assert_eq!(record.0.in_flight(), 0);
    }

    #[test]
    fn whoever_is_ejected_takes_nothing_however_healthy_until_it_is_readmitted() {
        let record = open();
        let (held, _) = Lease::take(&record, None).expect("open");
        assert!(record.0.eject() && !record.0.eject(), "once");
        record.0.set_in_service(true);
        assert!(!record.0.is_open() && Lease::take(&record, None).is_none());
        record.0.set_in_service(false);
        assert!(record.0.readmit() && !record.0.readmit() && !record.0.is_open(), "it is out of service");
        record.0.set_in_service(true);
        assert!(record.0.is_open() && record.0.in_flight() == 1);
        drop(held);
        assert_eq!(record.0.in_flight(), 0);
    }

    #[test]
    fn closing_while_cores_take_and_release_leaks_no_count_and_holds_at_once() {
        let record = open();
        // Odd while the record is closed for certain.
        let era = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        let before = era.load(Ordering::SeqCst);
                        let lease = Lease::take(&record, None);
                        fence(Ordering::SeqCst);
                        let closed = before % 2 == 1 && era.load(Ordering::SeqCst) == before;
                        assert!(!(closed && lease.is_some()), "taken while it was closed");
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..1_000 {
                    record.0.set_in_service(false);
                    era.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    era.fetch_add(1, Ordering::SeqCst);
                    record.0.set_in_service(true);
                }
            });
        });
        assert_eq!(record.0.in_flight(), 0);
    }

    #[test]
    fn the_limit_is_never_exceeded_and_never_wasted() {
        const LIMIT: u32 = 3;
        let record = open();
        let limit = NonZeroU32::new(LIMIT);
        let (held, highest) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        let Some(lease) = Lease::take(&record, limit) else { continue };
                        highest.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(lease);
                    }
                });
            }
        });
        assert!(highest.into_inner() <= LIMIT);
        assert_eq!(record.0.in_flight(), 0);
        let all: Vec<_> = (0..LIMIT).map_while(|_| Lease::take(&record, limit)).collect();
        assert_eq!(all.len(), LIMIT as usize);
        assert!(Lease::take(&record, limit).is_none());
    }
}
