//! The handle through which flows use the executor that they run on.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;

use crate::base::Instant;
use crate::base::slab::Key;
use crate::base::wheel::Wheel;
use crate::runtime::block::Block;
use crate::runtime::buffers::BufferPool;
use crate::runtime::in_flight::InFlight;
use crate::runtime::kernel::Kernel;
use crate::runtime::mailbox::Claim;
use crate::runtime::operation::{Operation, Submitted};
use crate::runtime::pipe::PipePool;
use crate::runtime::tasks::Tasks;

/// What has happened in an executor since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns, each at most one system call for submitting and waiting.
    pub turns: u64,
    /// Completions taken.
    pub completions: u64,
    /// Receives that found no buffer.
    pub starved: u64,
    /// Waits that ended because buffers were scarce and they held some.
    pub taken_back: u64,
    /// Tasks that ended by a panic; each is a bug, and cost its own connection only.
    pub panics: u64,
}

/// How flows submit, sleep and spawn. Cheap to clone, never leaves its thread.
#[derive(Clone)]
pub struct Io {
    shared: Rc<Shared>,
}

/// What an executor and its flows share.
pub(in crate::runtime) struct Shared {
    pub(in crate::runtime) tasks: Tasks,
    pub(in crate::runtime) in_flight: InFlight,
    pub(in crate::runtime) timers: RefCell<Wheel<Waker>>,
    pub(in crate::runtime) pipes: PipePool,
    pub(in crate::runtime) block: RefCell<Block>,
    /// Time at the start of this turn.
    pub(in crate::runtime) now: Cell<Instant>,
    pub(in crate::runtime) mailbox: Claim,
    /// When waits are looked at again, while buffers are scarce.
    pub(in crate::runtime) next_look: Cell<Instant>,
    pub(in crate::runtime) turns: Cell<u64>,
    pub(in crate::runtime) completions: Cell<u64>,
}

impl Io {
    pub(in crate::runtime) fn new(shared: &Rc<Shared>) -> Io {
        Io { shared: shared.clone() }
    }

    /// Time at the start of this turn.
    pub fn now(&self) -> Instant {
        self.shared.now.get()
    }

    /// Starts a task that lives until it ends or the executor goes.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.shared.tasks.spawn(|| work);
    }

    /// As [`Io::spawn`], for the task that `make` makes, in its place: for large ones that are started often.
    pub fn spawn_in_place<W: Future<Output = ()> + 'static>(&self, make: impl FnOnce() -> W) {
        self.shared.tasks.spawn(make);
    }

    /// Polls every task once more: how flows that watch a flag of their core learn that it changed.
    pub fn wake_all(&self) {
        self.shared.tasks.wake_all();
    }

    /// Submits an operation; it is on its way even if the result is never polled.
    pub fn submit(&self, operation: Operation) -> Submitted {
        Submitted::new(self.clone(), self.shared.in_flight.submit(operation))
    }

    /// The receive buffers.
    pub fn buffers(&self) -> &BufferPool {
        self.shared.in_flight.lending().pool()
    }

    /// Memory for receives that are made at once.
    pub(in crate::runtime) fn block(&self) -> &RefCell<Block> {
        &self.shared.block
    }

    /// The pipes for splicing.
    pub fn pipes(&self) -> &PipePool {
        &self.shared.pipes
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        let Shared { turns, completions, in_flight, tasks, .. } = &*self.shared;
        Counts {
            turns: turns.get(),
            completions: completions.get(),
            starved: in_flight.lending().shortages(),
            taken_back: in_flight.lending().taken_back(),
            panics: tasks.panics(),
        }
    }

    /// Calls that never wait, straight to the kernel.
    pub fn with_kernel<T>(&self, call: impl FnOnce(&mut dyn Kernel) -> T) -> T {
        call(&mut **self.shared.in_flight.kernel())
    }

    pub(in crate::runtime) fn arm_timer(&self, deadline: Instant, waker: Waker) -> Key {
        self.shared.timers.borrow_mut().arm(deadline, waker)
    }

    pub(in crate::runtime) fn disarm_timer(&self, key: Key) {
        self.shared.timers.borrow_mut().disarm(key);
    }

    pub(in crate::runtime) fn timer_is_armed(&self, key: Key) -> bool {
        self.shared.timers.borrow().is_armed(key)
    }

    pub(in crate::runtime) fn in_flight(&self) -> &InFlight {
        &self.shared.in_flight
    }

    pub(in crate::runtime) fn tasks(&self) -> &Tasks {
        &self.shared.tasks
    }

    /// The number of the mailbox that other threads reach this executor by.
    pub(in crate::runtime) fn mailbox(&self) -> u16 {
        self.shared.mailbox.number()
    }
}
