//! The tasks of one executor, and which of them are to be polled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::slab::{Key, Slab};
use crate::runtime::waker::waker;

/// Task polls per turn, so that completions and timers are never far away.
const POLLS_PER_TURN: usize = 256;

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// Absent while it is being polled.
    work: Option<Work>,
    queued: bool,
}

/// All tasks of an executor. A task that is woken waits its turn in the ready queue, once.
#[derive(Default)]
pub(in crate::runtime) struct Tasks {
    all: RefCell<Slab<Task>>,
    ready: RefCell<VecDeque<Key>>,
    panics: Cell<u64>,
}

impl Tasks {
    /// Starts the task that `make` makes. It is made where it stays: a flow is kilobytes, most of them of no meaning at
    /// its start, and would be copied with them.
    pub(in crate::runtime) fn spawn<W: Future<Output = ()> + 'static>(&self, make: impl FnOnce() -> W) {
        let work: Box<W> = Box::write(Box::new_uninit(), make());
        let key = self.all.borrow_mut().insert(Task { work: Some(Box::into_pin(work)), queued: true });
        self.ready.borrow_mut().push_back(key);
    }

    /// Has a task polled; one that has ended is not.
    pub(in crate::runtime) fn wake(&self, key: Key) {
        if let Some(task) = self.all.borrow_mut().get_mut(key)
            && !task.queued
        {
            task.queued = true;
            self.ready.borrow_mut().push_back(key);
        }
    }

    /// Has every task polled.
    pub(in crate::runtime) fn wake_all(&self) {
        let keys: Vec<Key> = self.all.borrow().iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.wake(key));
    }

    /// Polls tasks that are ready, at most a turn's worth. Wakers lead to mailbox number `mailbox`.
    pub(in crate::runtime) fn run_ready(&self, mailbox: u16) {
        for _ in 0..POLLS_PER_TURN {
            let Some(key) = self.ready.borrow_mut().pop_front() else { return };
            let work = self.all.borrow_mut().get_mut(key).and_then(|task| {
                task.queued = false;
                task.work.take()
            });
            let Some(mut work) = work else { continue };
            let waker = waker(mailbox, key);
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
            match polled {
                Ok(Poll::Pending) => {
                    if let Some(task) = self.all.borrow_mut().get_mut(key) {
                        task.work = Some(work);
                    }
                }
                Ok(Poll::Ready(())) => self.end(key, work),
                Err(_panic) => {
                    self.panics.set(self.panics.get() + 1);
                    self.end(key, work);
                }
            }
        }
    }

    /// Whether a task waits to be polled.
    pub(in crate::runtime) fn has_ready(&self) -> bool {
        !self.ready.borrow().is_empty()
    }

    /// Number of tasks.
    pub(in crate::runtime) fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// Tasks that ended by a panic.
    pub(in crate::runtime) fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Drops every task, also those that others start as they go.
    pub(in crate::runtime) fn clear(&self) {
        loop {
            let keys: Vec<Key> = self.all.borrow().iter().map(|(key, _)| key).collect();
            if keys.is_empty() {
                return;
            }
            for key in keys {
                let task = self.all.borrow_mut().remove(key);
                drop(task);
            }
        }
    }

    /// The work is dropped first and outside every borrow: destructors submit cancellations and wake others.
    fn end(&self, key: Key, work: Work) {
        drop(work);
        self.all.borrow_mut().remove(key);
    }
}
