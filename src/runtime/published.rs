//! A value that one thread replaces and every thread reads, without a lock: one pointer, and epochs that say when what
//! it pointed to before is no longer looked at (Fraser, 2004; the crossbeam-epoch crate).

use std::sync::atomic::Ordering;

use crossbeam::epoch::{self, Atomic, Owned};

/// One value, replaced as a whole. Meant for something cheap to clone, such as an `Arc`.
#[derive(Debug)]
pub struct Published<T> {
    /// Never null until it is dropped.
    pointer: Atomic<T>,
}

impl<T: Clone + Send + Sync + 'static> Published<T> {
    /// Publishes the first value.
    pub fn new(value: T) -> Self {
        Self { pointer: Atomic::new(value) }
    }

    /// The value published last.
    #[expect(unsafe_code, reason = "an epoch pointer is read through a raw one")]
    pub fn get(&self) -> T {
        let guard = epoch::pin();
        let shared = self.pointer.load(Ordering::Acquire, &guard);
        // SAFETY: the pointer came from `new` or `replace`, is not null, and what it points to is destroyed only after
        // every thread that was pinned when it was replaced, such as this one, has unpinned.
        unsafe { shared.deref() }.clone()
    }

    /// Publishes another value. The one before is dropped once no thread is inside of [`Published::get`] with it,
    /// mostly before this returns.
    #[expect(unsafe_code, reason = "destroying what an epoch pointer pointed to")]
    pub fn replace(&self, value: T) {
        let guard = epoch::pin();
        let before = self.pointer.swap(Owned::new(value), Ordering::AcqRel, &guard);
        // SAFETY: the swap took the only pointer to it away; threads that loaded it before are pinned, and nobody else
        // destroys it, because every swap answers each value once.
        unsafe { guard.defer_destroy(before) };
        drop(guard);
        // What is deferred waits for two epochs to pass. Without help that might be at the next replacement, and a
        // configuration may be megabytes.
        for _ in 0..EPOCHS_TO_PASS {
            epoch::pin().flush();
        }
    }
}

/// One more than needed when no reader is pinned.
const EPOCHS_TO_PASS: usize = 4;

impl<T> Drop for Published<T> {
    #[expect(unsafe_code, reason = "taking back what an epoch pointer owns")]
    fn drop(&mut self) {
        let pointer = std::mem::take(&mut self.pointer);
        // SAFETY: `&mut self` says that no thread reads through it any more, and it is not null.
        drop(unsafe { pointer.into_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    #[test]
    fn readers_see_whole_values_in_order_while_they_are_replaced() {
        const LAST: u64 = 20_000;
        let published = Published::new(Arc::new((0, 0)));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut seen = 0;
                    while !over.load(Ordering::Relaxed) {
                        let (one, other) = *published.get();
                        assert!(one == other && one >= seen, "{one} and {other} after {seen}");
                        seen = one;
                    }
                });
            }
            (1..=LAST).for_each(|value| published.replace(Arc::new((value, value))));
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(*published.get(), (LAST, LAST));
    }

    #[test]
    fn what_was_replaced_goes_and_so_does_the_last() {
        let published = Published::new(Arc::new(0));
        let first = Arc::downgrade(&published.get());
        let held = published.get();
        published.replace(Arc::new(1));
        assert!(first.upgrade().is_some(), "whoever got it keeps it");
        drop(held);
        // Tests on other threads may be pinned just now, but not for long.
        for _ in 0..10_000 {
            if first.upgrade().is_none() {
                break;
            }
            epoch::pin().flush();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(first.upgrade().is_none());

        let last = Arc::downgrade(&published.get());
        drop(published);
        assert!(last.upgrade().is_none());
    }
}
