//! How every thread learns that something has changed: one load tells a thread that is awake, a wake-up one that sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Counts what there was to be told, and knows who is to be told.
#[derive(Debug, Default)]
pub(super) struct News {
    count: AtomicU64,
    /// Locked when somebody begins to listen or goes to sleep, and by whoever has news.
    sleepers: Mutex<Vec<Weak<Sleeper>>>,
}

/// Where somebody who waits for news leaves its waker.
#[derive(Debug)]
struct Sleeper {
    waker: Mutex<Option<Waker>>,
    /// The news that it has acted upon.
    settled: AtomicU64,
}

/// One thread's ear for news. It has heard everything up to the moment in which it was made.
#[derive(Debug)]
pub(super) struct Ear {
    heard: u64,
    sleeper: Arc<Sleeper>,
}

impl News {
    /// Tells everybody that there is news, and wakes those that sleep.
    pub fn announce(&self) {
        self.count.fetch_add(1, Ordering::Release);
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers.retain(|sleeper| {
            let Some(sleeper) = sleeper.upgrade() else { return false };
            let waker = sleeper.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            waker.inspect(Waker::wake_by_ref);
            true
        });
    }

    /// Begins to listen.
    pub fn listen(&self) -> Ear {
        let heard = self.count.load(Ordering::Acquire);
        let sleeper = Arc::new(Sleeper { waker: Mutex::new(None), settled: AtomicU64::new(heard) });
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&sleeper));
        Ear { heard, sleeper }
    }

    /// Whether everybody has acted upon all that was announced up to now ([`Ear::settle`]).
    pub fn is_settled(&self) -> bool {
        let count = self.count.load(Ordering::Acquire);
        let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = |sleeper: Arc<Sleeper>| sleeper.settled.load(Ordering::Acquire) >= count;
        sleepers.iter().filter_map(Weak::upgrade).all(settled)
    }
}

impl Ear {
    /// Whether there has been news since this was asked last: one load.
    pub fn has_heard(&mut self, news: &News) -> bool {
        let count = news.count.load(Ordering::Acquire);
        std::mem::replace(&mut self.heard, count) != count
    }

    /// Says that all that was heard has been acted upon.
    pub fn settle(&self) {
        self.sleeper.settled.store(self.heard, Ordering::Release);
    }

    /// Waits for news. What comes together is heard once.
    pub fn poll_heard(&mut self, news: &News, context: &mut Context<'_>) -> Poll<()> {
        if !self.has_heard(news) {
            *self.sleeper.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            // News may have come before the waker was there to be found.
            if !self.has_heard(news) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}
