//! The operations of one executor between their submission and whoever fetches what came of them, and the kernel that
//! carries them out.

use std::cell::{RefCell, RefMut};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::task::{Context, Poll, Waker};

use crate::base::slab::{Key, Slab};
use crate::runtime::buffers::BufferPool;
use crate::runtime::kernel::{Completion, Kernel};
use crate::runtime::lending::Lending;
use crate::runtime::operation::{Arrival, Operation, Outcome};

/// Chunks that a repeating receive may be ahead of whoever takes them; then it is cancelled, and goes on when they are
/// taken. A slow reader costs this much memory and what the kernel had received before it saw the cancellation.
pub(in crate::runtime) const RECEIVED_AHEAD: usize = 2;

/// All operations of an executor that somebody may still ask for, or the kernel still has.
pub(in crate::runtime) struct InFlight {
    kernel: RefCell<Box<dyn Kernel>>,
    slots: RefCell<Slab<Slot>>,
    lending: Lending,
}

/// The place of one operation.
struct Slot {
    operation: Operation,
    state: State,
}

enum State {
    /// The kernel has it; `Waker` of whoever waits.
    Submitted(Option<Waker>),
    /// A receive that found no buffer: it is in the line of [`Lending`], not in the kernel.
    Starved(Option<Waker>),
    /// The last completion is here and nobody has fetched it.
    Finished(i32),
    /// Nobody asks for it any more; the kernel still has it.
    Abandoned,
}

impl InFlight {
    /// No operations, over `kernel`, receiving into `buffers`.
    pub(in crate::runtime) fn new(kernel: Box<dyn Kernel>, buffers: BufferPool) -> InFlight {
        InFlight { kernel: RefCell::new(kernel), slots: RefCell::default(), lending: Lending::new(buffers) }
    }

    /// The kernel.
    pub(in crate::runtime) fn kernel(&self) -> RefMut<'_, Box<dyn Kernel>> {
        self.kernel.borrow_mut()
    }

    /// The receive buffers.
    pub(in crate::runtime) fn lending(&self) -> &Lending {
        &self.lending
    }

    /// Number of operations.
    pub(in crate::runtime) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Submits an operation.
    pub(in crate::runtime) fn submit(&self, operation: Operation) -> Key {
        let mut slots = self.slots.borrow_mut();
        let key = slots.insert(Slot { operation, state: State::Submitted(None) });
        if let Some(slot) = slots.get_mut(key) {
            self.kernel().submit(key, &mut slot.operation);
        }
        key
    }

    /// Asks that an operation end.
    pub(in crate::runtime) fn cancel(&self, key: Key) {
        let starved = matches!(self.slots.borrow().get(key), Some(Slot { state: State::Starved(_), .. }));
        match starved {
            true => self.finish(key, -libc::ECANCELED),
            false => self.kernel().cancel(key),
        }
    }

    /// Nobody asks for an operation any more.
    pub(in crate::runtime) fn abandon(&self, key: Key) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        match slot.state {
            State::Submitted(_) => {
                slot.state = State::Abandoned;
                drop(slots);
                self.kernel().cancel(key);
            }
            _ => {
                let slot = slots.remove(key);
                drop(slots);
                slot.into_iter().for_each(|slot| self.release(slot));
            }
        }
    }

    /// Takes in what the kernel says of an operation.
    pub(in crate::runtime) fn handle(&self, completion: Completion) {
        let Completion { key, result, buffer, more } = completion;
        let chunk = buffer.and_then(|id| self.lending.take_back(id, result));
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        let mut full = false;
        match &mut slot.operation {
            Operation::Accept { accepted, .. } if result >= 0 => accepted.push_back(result),
            Operation::Receive { received, .. } => {
                chunk.into_iter().for_each(|chunk| received.push(chunk));
                full = received.len() >= RECEIVED_AHEAD;
            }
            _ => {}
        }
        if more {
            let waiting = match &mut slot.state {
                State::Submitted(waiting) => waiting.take(),
                _ => None,
            };
            drop(slots);
            if full {
                self.kernel().cancel(key);
            }
            waiting.into_iter().for_each(Waker::wake);
            return;
        }
        if result == -libc::ENOBUFS
            && let Operation::Receive { received, .. } = &slot.operation
        {
            // Whoever has something to take yet asks again when it has taken it.
            let is_awaited = received.is_empty();
            drop(slots);
            self.lending.grow();
            return if is_awaited { self.starve(key) } else { self.finish(key, result) };
        }
        if let Operation::Send { bytes, .. } = &mut slot.operation
            && result > 0
        {
            bytes.advance(result as usize);
            if !bytes.is_empty() && matches!(slot.state, State::Submitted(_)) {
                // MSG_WAITALL makes this rare: a signal or memory pressure cut the send short.
                return self.kernel().submit(key, &mut slot.operation);
            }
        }
        drop(slots);
        self.finish(key, result);
    }

    /// Keeps the wanted number of buffers with the kernel and lets starved receives try again.
    pub(in crate::runtime) fn lend_buffers(&self) {
        let lent = self.lending.lend(&mut **self.kernel());
        for _ in 0..lent {
            let Some(key) = self.lending.pop_starved() else { return };
            let mut slots = self.slots.borrow_mut();
            let Some(slot) = slots.get_mut(key) else { continue };
            if let State::Starved(waiting) = &mut slot.state {
                slot.state = State::Submitted(waiting.take());
                self.kernel().submit(key, &mut slot.operation);
            }
        }
    }

    /// Whether an [`Operation::Receive`] has something to say.
    pub(in crate::runtime) fn has_arrival(&self, key: Key) -> bool {
        match self.slots.borrow().get(key) {
            Some(Slot { operation: Operation::Receive { received, .. }, state }) => {
                !received.is_empty() || matches!(state, State::Finished(_))
            }
            _ => false,
        }
    }

    /// Whether an [`Operation::Receive`] has nothing to say but [`Arrival::Over`].
    pub(in crate::runtime) fn is_over(&self, key: Key) -> bool {
        match self.slots.borrow().get(key) {
            Some(Slot { operation: Operation::Receive { received, .. }, state: State::Finished(result) }) => {
                received.is_empty() && is_over(*result)
            }
            _ => false,
        }
    }

    /// What an [`Operation::Receive`] has received next.
    pub(in crate::runtime) fn poll_arrival(&self, key: Key, context: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        let mut slots = self.slots.borrow_mut();
        let Some(Slot { operation: Operation::Receive { received, .. }, state }) = slots.get_mut(key) else {
            return Poll::Ready(Ok(Arrival::Over));
        };
        if let Some(chunk) = received.pop() {
            return Poll::Ready(Ok(Arrival::Chunk(chunk)));
        }
        match state {
            State::Submitted(waiting) | State::Starved(waiting) => {
                waiting.get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
                Poll::Pending
            }
            State::Finished(0) => Poll::Ready(Ok(Arrival::End)),
            State::Finished(result) if is_over(*result) => Poll::Ready(Ok(Arrival::Over)),
            State::Finished(result) => Poll::Ready(Err(io::Error::from_raw_os_error(-*result))),
            State::Abandoned => Poll::Ready(Ok(Arrival::Over)),
        }
    }

    /// The next accepted descriptor of an [`Operation::Accept`]; `Ready(None)` when the operation has ended.
    pub(in crate::runtime) fn poll_accepted(&self, key: Key, context: &mut Context<'_>) -> Poll<Option<RawFd>> {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return Poll::Ready(None) };
        if let Operation::Accept { accepted, .. } = &mut slot.operation
            && let Some(descriptor) = accepted.pop_front()
        {
            return Poll::Ready(Some(descriptor));
        }
        match &mut slot.state {
            State::Submitted(waiting) => {
                waiting.get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }

    /// How an operation ended. Its place is gone with that.
    pub(in crate::runtime) fn poll_outcome(&self, key: Key, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut slots = self.slots.borrow_mut();
        match slots.get_mut(key).map(|slot| &mut slot.state) {
            Some(State::Submitted(waiting) | State::Starved(waiting)) => {
                waiting.get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
                return Poll::Pending;
            }
            Some(State::Finished(_)) => {}
            Some(State::Abandoned) | None => unreachable!("an outcome is fetched once"),
        }
        let Some(Slot { operation, state: State::Finished(result) }) = slots.remove(key) else {
            unreachable!("the slot was just found finished")
        };
        let result = match u32::try_from(result) {
            Ok(count) => Ok(count),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        Poll::Ready(Outcome { result, operation })
    }

    /// Forgets every operation, with all that it owns: the kernel may have it still, and what it owns refers back to
    /// the executor.
    pub(in crate::runtime) fn leak(&self) {
        let keys: Vec<Key> = self.slots.borrow().iter().map(|(key, _)| key).collect();
        let leaked: Vec<Option<Slot>> = keys.iter().map(|key| self.slots.borrow_mut().remove(*key)).collect();
        mem::forget(leaked);
    }

    fn finish(&self, key: Key, result: i32) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        match mem::replace(&mut slot.state, State::Finished(result)) {
            State::Submitted(waiting) | State::Starved(waiting) => {
                drop(slots);
                waiting.into_iter().for_each(Waker::wake);
            }
            State::Abandoned | State::Finished(_) => {
                let slot = slots.remove(key);
                drop(slots);
                slot.into_iter().for_each(|slot| self.release(slot));
            }
        }
    }

    /// A receive found no buffer. It waits in line for one.
    fn starve(&self, key: Key) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        if matches!(slot.state, State::Abandoned) {
            drop(slots);
            return self.finish(key, -libc::ECANCELED);
        }
        if let State::Submitted(waiting) = &mut slot.state {
            slot.state = State::Starved(waiting.take());
        }
        self.lending.push_starved(key);
    }

    /// What an operation still held when nobody wanted it any more: accepted connections are closed.
    fn release(&self, slot: Slot) {
        if let Operation::Accept { accepted, .. } = &slot.operation {
            accepted.iter().for_each(|descriptor| self.kernel().close(*descriptor));
        }
    }
}

/// Whether a receive that ended with `result` says nothing about its connection.
fn is_over(result: i32) -> bool {
    result > 0 || matches!(-result, libc::ECANCELED | libc::ENOBUFS)
}
