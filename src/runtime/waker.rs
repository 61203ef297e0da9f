//! Wakers. One is a number: which mailbox, which task. It owns nothing, so cloning and dropping it are free.
//!
//! On the thread of its executor, while that runs, a wake goes straight to the ready queue; from anywhere else by way of
//! the mailbox.

use std::cell::RefCell;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::base::slab::Key;
use crate::runtime::io::Io;
use crate::runtime::mailbox;

thread_local! {
    /// The executor that runs on this thread right now.
    static CURRENT: RefCell<Option<Io>> = const { RefCell::new(None) };
}

/// Says which executor runs on this thread from now on; answers which did before.
pub(in crate::runtime) fn set_current(io: Option<Io>) -> Option<Io> {
    CURRENT.replace(io)
}

/// The waker of a task of the executor that reads mailbox number `mailbox`.
pub(in crate::runtime) fn waker(mailbox: u16, task: Key) -> Waker {
    let data = u64::from(mailbox) << Key::BITS | task.to_bits();
    #[expect(unsafe_code, reason = "a waker from a number")]
    // SAFETY: the data is a number that is never dereferenced; every function of the table takes any number and may be
    // called from any thread.
    unsafe {
        Waker::from_raw(RawWaker::new(std::ptr::without_provenance(data as usize), &VTABLE))
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| ());

fn wake(data: *const ()) {
    let data = data.addr() as u64;
    let (mailbox, task) = ((data >> Key::BITS) as u16, data & ((1 << Key::BITS) - 1));
    let here = CURRENT.with_borrow(|current| match current {
        Some(io) if io.mailbox() == mailbox => {
            io.tasks().wake(Key::from_bits(task));
            true
        }
        _ => false,
    });
    if !here {
        mailbox::post(mailbox, task);
    }
}
