//! The receive buffers that an executor keeps lent to its kernel, and the receives that found none.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::base::slab::Key;
use crate::runtime::buffers::{BufferId, BufferPool, Chunk};
use crate::runtime::kernel::Kernel;
use crate::runtime::scarcity;

/// Buffers lent at the start, and at the most after shortages.
pub(in crate::runtime) const LENT_AT_FIRST: usize = 32;
const LENT_AT_MOST: usize = 512;

/// The share of all buffers that is never lent: copies of what is spread over several have to be made when nothing else is
/// left to receive into, or the others could not be given back.
const RESERVED: usize = 8;

/// How many buffers are lent, how many should be, and who waits for one.
pub(in crate::runtime) struct Lending {
    pool: BufferPool,
    lent: Cell<usize>,
    wanted: Cell<usize>,
    starved: RefCell<VecDeque<Key>>,
    shortages: Cell<u64>,
    taken_back: Cell<u64>,
}

impl Lending {
    /// Nothing is lent yet.
    pub(in crate::runtime) fn new(pool: BufferPool) -> Lending {
        let (lent, wanted) = (Cell::new(0), Cell::new(LENT_AT_FIRST));
        Lending {
            pool,
            lent,
            wanted,
            starved: RefCell::default(),
            shortages: Cell::default(),
            taken_back: Cell::default(),
        }
    }

    /// The buffers.
    pub(in crate::runtime) fn pool(&self) -> &BufferPool {
        &self.pool
    }

    /// How often a receive found no buffer.
    pub(in crate::runtime) fn shortages(&self) -> u64 {
        self.shortages.get()
    }

    /// Whether flows hold so many buffers that hardly any is left for the others.
    pub(in crate::runtime) fn is_scarce(&self) -> bool {
        scarcity::is_scarce(self.pool.in_use().saturating_sub(self.lent.get()), self.pool.capacity())
    }

    /// How many waits ended because buffers were scarce.
    pub(in crate::runtime) fn taken_back(&self) -> u64 {
        self.taken_back.get()
    }

    /// Counts a wait that ended because buffers were scarce.
    pub(in crate::runtime) fn note_taken_back(&self) {
        self.taken_back.set(self.taken_back.get() + 1);
    }

    /// Lends what is wanted, as far as there are buffers. Answers how many receives may try again, at the most.
    pub(in crate::runtime) fn lend(&self, kernel: &mut dyn Kernel) -> usize {
        while self.lent.get() < self.wanted.get() && self.pool.spare() > self.pool.capacity() / RESERVED {
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
