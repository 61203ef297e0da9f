//! Requests that wait because every instance has as many as it may have: ELB's surge queue.
//!
//! Exact over all cores: first come, first served. Whoever finds somebody waiting waits too; whoever gives an instance
//! back has it given to the one who has waited longest, of those it can be given to: a client that is bound to another
//! instance, and a request that this one has failed, are passed over. A core that finds nobody waiting has touched one
//! number and no lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who waits, in the order of arrival. `W` is what it takes to serve one.
#[derive(Debug)]
pub struct SurgeQueue<W> {
    line: Mutex<Line<W>>,
    /// As many as the line has, for those who only ask whether there is any.
    length: AtomicUsize,
}

#[derive(Debug)]
struct Line<W> {
    waiting: VecDeque<(Ticket, W)>,
    next: u64,
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What became of one that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It waits no longer.
    Served,
    /// There is nothing for it; perhaps for another.
    Passed,
    /// There is nothing for anybody.
    NoRoom,
}

/// The queue is as long as it may be: ELB's spill-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<W> Default for SurgeQueue<W> {
    fn default() -> Self {
        Self { line: Mutex::new(Line { waiting: VecDeque::new(), next: 0 }), length: AtomicUsize::new(0) }
    }
}

impl<W> SurgeQueue<W> {
    /// Whether nobody waits: one load.
    pub fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    /// Adds one at the end. It must then call [`SurgeQueue::serve`], since room may have come up since it looked, and
    /// whoever gave that back has found nobody waiting; and then [`SurgeQueue::settle`].
    pub fn enter(&self, waiter: W) -> Ticket {
        let mut line = self.line();
        let ticket = Ticket(line.next);
        line.next += 1;
        line.waiting.push_back((ticket, waiter));
        self.note(&line);
        ticket
    }

    /// Says to one that has just entered whether it may stay: when it was served, as may be though many wait for something
    /// else, or fewer than `limit` wait in front of it. Otherwise it is taken out again.
    pub fn settle(&self, ticket: Ticket, limit: usize) -> Result<(), Full> {
        let in_front = self.line().waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket);
        // It may have been served meanwhile.
        let is_beyond = in_front.is_ok_and(|in_front| in_front >= limit) && self.leave(ticket).is_some();
        if is_beyond { Err(Full) } else { Ok(()) }
    }

    /// Takes one out of the queue that waits no longer; `None` when it has been served.
    pub fn leave(&self, ticket: Ticket) -> Option<W> {
        let mut line = self.line();
        let index = line.waiting.binary_search_by_key(&ticket, |(ticket, _)| *ticket).ok()?;
        let (_, waiter) = line.waiting.remove(index)?;
        self.note(&line);
        Some(waiter)
    }

    /// Serves one after the other, as far as `serve` can. To be called after anything has been given back; where nobody
    /// waits that costs a fence and a load.
    pub fn serve(&self, mut serve: impl FnMut(&W) -> Service) {
        // What was given back must be seen by whoever is just entering, or else the entering be seen here.
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return;
        }
        let mut line = self.line();
        let mut index = 0;
        while let Some((_, waiter)) = line.waiting.get(index) {
            match serve(waiter) {
                Service::Served => drop(line.waiting.remove(index)),
                Service::Passed => index += 1,
                Service::NoRoom => break,
            }
        }
        self.note(&line);
    }

    fn line(&self) -> MutexGuard<'_, Line<W>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, line: &Line<W>) {
        self.length.store(line.waiting.len(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Lease, Load};
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    #[test]
    fn the_first_is_served_first_and_one_too_many_is_turned_away() {
        let queue = SurgeQueue::default();
        let tickets: Vec<_> = (0..4).map(|number| queue.enter(number)).collect();
        let settled: Vec<_> = tickets.iter().map(|ticket| queue.settle(*ticket, 3)).collect();
        assert_eq!(settled, [Ok(()), Ok(()), Ok(()), Err(Full)]);
        assert_eq!(queue.leave(tickets[1]), Some(1));
        assert_eq!(queue.leave(tickets[1]), None);
        let mut served = Vec::new();
        queue.serve(|number| {
            served.push(*number);
            Service::Served
        });
        assert_eq!((served, queue.is_empty()), (vec![0, 2], true));
        assert_eq!(queue.leave(tickets[0]), None, "it has been served");
        assert_eq!(queue.settle(tickets[0], 0), Ok(()));
    }

    #[test]
    fn whoever_wants_something_else_is_passed_over() {
        let queue = SurgeQueue::default();
        for wish in ["a", "b", "a"] {
            queue.enter(wish);
        }
        let (mut left, mut seen) = (1, Vec::new());
        queue.serve(|wish| {
            seen.push(*wish);
            match (*wish, left) {
                (_, 0) => Service::NoRoom,
                ("b", _) => {
                    left -= 1;
                    Service::Served
                }
                _ => Service::Passed,
            }
        });
        assert_eq!(seen, ["a", "b", "a"]);
        let mut rest = Vec::new();
        queue.serve(|wish| {
            rest.push(*wish);
            Service::Served
        });
        assert_eq!(rest, ["a", "a"]);
    }

    proptest! {
        /// Against a plain list.
        #[test]
        fn it_is_a_line(steps in prop::collection::vec((0_u8..3, any::<prop::sample::Index>()), 0..100)) {
            const LIMIT: usize = 8;
            let (queue, mut model, mut next) = (SurgeQueue::default(), Vec::new(), 0_u32);
            for (step, index) in steps {
                match step {
                    0 => {
                        let ticket = queue.enter(next);
                        let settled = queue.settle(ticket, LIMIT);
                        prop_assert_eq!(settled.is_ok(), model.len() < LIMIT);
                        model.extend(settled.ok().map(|()| (ticket, next)));
                        next += 1;
                    }
                    1 if !model.is_empty() => {
                        let (ticket, number) = model.remove(index.index(model.len()));
                        prop_assert_eq!(queue.leave(ticket), Some(number));
                    }
                    _ => {
                        let mut left = 1;
                        let mut served = Vec::new();
                        queue.serve(|number| {
                            left -= 1;
                            if left < 0 {
                                return Service::NoRoom;
                            }
                            served.push(*number);
                            Service::Served
                        });
                        let expected: Vec<u32> = model.drain(..model.len().min(1)).map(|(_, number)| number).collect();
                        prop_assert_eq!(served, expected);
                    }
                }
                prop_assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }

    #[derive(Default)]
    struct Record(Load);

    impl AsRef<Load> for Record {
        fn as_ref(&self) -> &Load {
            &self.0
        }
    }

    /// Four cores that want one instance with two places: nobody waits for ever, and there are never three.
    #[test]
    fn no_place_that_is_given_back_is_missed() {
        let limit = NonZeroU32::new(2);
        let record = Arc::new(Record::default());
        record.0.set_in_service(true);
        let queue: SurgeQueue<Sender<Lease<Record>>> = SurgeQueue::default();
        let serve = || {
            queue.serve(|waiter| match Lease::take(&record, limit) {
                Some((lease, _)) => {
                    waiter.send(lease).expect("it waits");
                    Service::Served
                }
                None => Service::NoRoom,
            });
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let at_once = queue.is_empty().then(|| Lease::take(&record, limit)).flatten();
                        let lease = at_once.map(|(lease, _)| lease).unwrap_or_else(|| {
                            let (grant, granted) = channel();
                            queue.enter(grant);
                            serve();
                            granted.recv_timeout(Duration::from_secs(20)).expect("served")
                        });
                        assert!(record.0.in_flight() <= 2);
                        drop(lease);
                        serve();
                    }
                });
            }
        });
        assert!(queue.is_empty() && record.0.in_flight() == 0);
    }
}
