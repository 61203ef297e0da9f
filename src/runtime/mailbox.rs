//! Wake-ups from other threads.
//!
//! A waker names a mailbox and a task. On the executor's own thread waking goes straight to its ready queue; from
//! anywhere else it goes through the mailbox: a bounded lock-free queue, and an eventfd(2) that is written only when
//! the executor sleeps. Mailboxes live for ever, so a waker that outlives its executor wakes nobody instead of dangling.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use crossbeam::queue::ArrayQueue;

/// Executors alive at the same time: one per core and control thread, and a margin for simulations run side by side.
const MAILBOXES: usize = 1024;

/// Wakes that may wait in one mailbox. When it is full every task is woken instead: spurious wakes are harmless.
const CAPACITY: usize = 4096;

static ALL: [OnceLock<Mailbox>; MAILBOXES] = [const { OnceLock::new() }; MAILBOXES];
static FREE: Mutex<Vec<u16>> = Mutex::new(Vec::new());
static NEVER_USED: Mutex<u16> = Mutex::new(0);

/// What other threads see of an executor.
pub(in crate::runtime) struct Mailbox {
    wakes: ArrayQueue<u64>,
    overflowed: AtomicBool,
    parked: AtomicBool,
    doorbell: AtomicI32,
}

/// What a mailbox held.
pub(in crate::runtime) enum Mail {
    /// The tasks to wake were handed out one by one.
    Delivered,
    /// There were too many: wake every task.
    Everything,
}

/// The right to read one mailbox; dropping it frees the mailbox for another executor.
pub(in crate::runtime) struct Claim {
    number: u16,
}

impl Claim {
    /// Claims a mailbox. Locks, but only when an executor is made or dropped. `None` when all are taken.
    pub(in crate::runtime) fn new(doorbell: Option<RawFd>) -> Option<Claim> {
        let recycled = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let number = recycled.or_else(|| {
            let mut next = NEVER_USED.lock().unwrap_or_else(PoisonError::into_inner);
            (usize::from(*next) < MAILBOXES).then(|| {
                *next += 1;
                *next - 1
            })
        })?;
        let claim = Claim { number };
        let mailbox = claim.mailbox();
        while mailbox.wakes.pop().is_some() {}
        mailbox.overflowed.store(false, Ordering::Relaxed);
        mailbox.doorbell.store(doorbell.unwrap_or(-1), Ordering::Release);
        Some(claim)
    }

    /// Which mailbox this is.
    pub(in crate::runtime) fn number(&self) -> u16 {
        self.number
    }

    /// Declares that the executor is about to sleep. False when mail has come in: then it must not.
    pub(in crate::runtime) fn park(&self) -> bool {
        let mailbox = self.mailbox();
        mailbox.parked.store(true, Ordering::SeqCst);
        // Pairs with the fence in `post`: either this sees the mail, or the poster sees the flag and rings.
        fence(Ordering::SeqCst);
        let empty = mailbox.wakes.is_empty() && !mailbox.overflowed.load(Ordering::SeqCst);
        if !empty {
            self.unpark();
        }
        empty
    }

    /// Declares that the executor is awake.
    pub(in crate::runtime) fn unpark(&self) {
        self.mailbox().parked.store(false, Ordering::Relaxed);
    }

    /// Hands every waiting wake to `wake`.
    pub(in crate::runtime) fn collect(&self, mut wake: impl FnMut(u64)) -> Mail {
        let mailbox = self.mailbox();
        for _ in 0..CAPACITY {
            match mailbox.wakes.pop() {
                Some(task) => wake(task),
                None => break,
            }
        }
        match mailbox.overflowed.load(Ordering::Relaxed) && mailbox.overflowed.swap(false, Ordering::SeqCst) {
            true => Mail::Everything,
            false => Mail::Delivered,
        }
    }

    fn mailbox(&self) -> &'static Mailbox {
        mailbox(self.number)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.mailbox().doorbell.store(-1, Ordering::Release);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}

/// Posts a wake for `task` to mailbox `number`, from any thread.
pub(in crate::runtime) fn post(number: u16, task: u64) {
    let mailbox = mailbox(number);
    if mailbox.wakes.push(task).is_err() {
        mailbox.overflowed.store(true, Ordering::SeqCst);
    }
    fence(Ordering::SeqCst);
    if mailbox.parked.load(Ordering::SeqCst) && mailbox.parked.swap(false, Ordering::SeqCst) {
        ring(mailbox.doorbell.load(Ordering::Acquire));
    }
}

fn mailbox(number: u16) -> &'static Mailbox {
    ALL[usize::from(number) % MAILBOXES].get_or_init(|| Mailbox {
        wakes: ArrayQueue::new(CAPACITY),
        overflowed: AtomicBool::new(false),
        parked: AtomicBool::new(false),
        doorbell: AtomicI32::new(-1),
    })
}

#[expect(unsafe_code, reason = "write(2) to an eventfd")]
fn ring(doorbell: RawFd) {
    if doorbell < 0 {
        return;
    }
    let one = 1u64.to_ne_bytes();
    // SAFETY: the buffer is eight valid bytes. A doorbell that was closed meanwhile gives EBADF; one whose number was
    // reused cannot occur while its executor is parked, and only then is it rung.
    unsafe { libc::write(doorbell, one.as_ptr().cast(), one.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_prevents_sleep_and_overflow_wakes_everything() {
        let claim = Claim::new(None).expect("a mailbox");
        assert!(claim.park());
        post(claim.number(), 7);
        assert!(!claim.park());
        let mut got = Vec::new();
        assert!(matches!(claim.collect(|task| got.push(task)), Mail::Delivered));
        assert_eq!(got, [7]);
        (0..=CAPACITY as u64).for_each(|task| post(claim.number(), task));
        assert!(matches!(claim.collect(|_| ()), Mail::Everything));
        assert!(claim.park());
    }
}
