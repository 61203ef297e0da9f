//! The receive buffers that an executor keeps lent to its kernel, and the receives that found none.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::base::slab::Key;
use crate::runtime::buffers::{BufferId, BufferPool, Chunk};
use crate::runtime::kernel::Kernel;

/// Buffers lent at the start, and at the most after shortages.
pub(in crate::runtime) const LENT_AT_FIRST: usize = 32;
const LENT_AT_MOST: usize = 512;

/// How many buffers are lent, how many should be, and who waits for one.
pub(in crate::runtime) struct Lending {
    pool: BufferPool,
    lent: Cell<usize>,
    wanted: Cell<usize>,
    starved: RefCell<VecDeque<Key>>,
    shortages: Cell<u64>,
}

impl Lending {
    /// Nothing is lent yet.
    pub(in crate::runtime) fn new(pool: BufferPool) -> Lending {
        let (lent, wanted) = (Cell::new(0), Cell::new(LENT_AT_FIRST));
        Lending { pool, lent, wanted, starved: RefCell::default(), shortages: Cell::default() }
    }

    /// The buffers.
    pub(in crate::runtime) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// How often a receive found no buffer.
    pub(in crate::runtime) fn shortages(&self) -> u64 {
        self.shortages.get()
    }

    /// Lends what is wanted, as far as there are buffers. Answers how many receives may try again, at the most.
    pub(in crate::runtime) fn lend(&self, kernel: &mut dyn Kernel) -> usize {
        while self.lent.get() < self.wanted.get() {
            let Some(id) = self.pool.take() else { break };
            kernel.provide(id);
            self.lent.set(self.lent.get() + 1);
        }
        self.lent.get()
    }

    /// Takes back a buffer that a completion came with; what it holds, if anything.
    pub(in crate::runtime) fn take_back(&self, id: BufferId, result: i32) -> Option<Chunk> {
        self.lent.set(self.lent.get().saturating_sub(1));
        match usize::try_from(result) {
            Ok(length) if length > 0 => Some(self.pool.lease(id, length)),
            _ => {
                self.pool.give_back(id);
                None
            }
        }
    }

    /// A receive found no buffer: more are lent from now on.
    pub(in crate::runtime) fn grow(&self) {
        self.wanted.set((self.wanted.get() * 2).min(LENT_AT_MOST));
        self.shortages.set(self.shortages.get() + 1);
    }

    /// Puts a receive in the line of those that wait for a buffer.
    pub(in crate::runtime) fn push_starved(&self, key: Key) {
        self.starved.borrow_mut().push_back(key);
    }

    /// The receive that has waited longest.
    pub(in crate::runtime) fn pop_starved(&self) -> Option<Key> {
        self.starved.borrow_mut().pop_front()
    }
}
