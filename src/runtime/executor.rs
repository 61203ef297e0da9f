//! One thread's executor: tasks, operations and timers over one kernel.
//!
//! A turn: submit and sleep in one system call, take completions, fire timers, run ready tasks (at most a budget).
//! Nothing in here is `Send`; other threads reach a task only through its waker, which goes by way of the mailbox.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use crate::base::Instant;
use crate::base::slab::{Key, Slab};
use crate::base::wheel::Wheel;
use crate::runtime::buffers::BufferPool;
use crate::runtime::kernel::{Completion, Kernel, Wait};
use crate::runtime::mailbox::{self, Claim, Mail};
use crate::runtime::operation::{Arrival, Operation, Outcome, Slot, State, Submitted};
use crate::runtime::pipe::PipePool;

/// Task polls per turn, so that completions and timers are never far away.
const POLLS_PER_TURN: usize = 256;

/// Buffers lent to the kernel at the start, and at the most after shortages.
const LENT_AT_FIRST: usize = 32;
const LENT_AT_MOST: usize = 512;

/// Chunks that a repeating receive may be ahead of whoever takes them; then it is cancelled, and goes on when they are
/// taken. A slow reader costs this much memory and what the kernel had received before it saw the cancellation.
const RECEIVED_AHEAD: usize = 2;

thread_local! {
    /// The executor that runs on this thread right now, for wakers.
    static CURRENT: RefCell<Option<Io>> = const { RefCell::new(None) };
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    /// Absent while it is being polled.
    work: Option<Work>,
    queued: bool,
}

/// What has happened in an executor since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Turns, each at most one system call for submitting and waiting.
    pub turns: u64,
    /// Completions taken.
    pub completions: u64,
    /// Receives that found no buffer.
    pub starved: u64,
    /// Tasks that ended by a panic; each is a bug, and cost its own connection only.
    pub panics: u64,
}

struct Shared {
    kernel: RefCell<Box<dyn Kernel>>,
    tasks: RefCell<Slab<Task>>,
    ready: RefCell<VecDeque<Key>>,
    slots: RefCell<Slab<Slot>>,
    starved: RefCell<VecDeque<Key>>,
    timers: RefCell<Wheel<Waker>>,
    buffers: BufferPool,
    lent: Cell<usize>,
    lent_wanted: Cell<usize>,
    pipes: PipePool,
    now: Cell<Instant>,
    mailbox: Claim,
    counts: Cell<Counts>,
}

/// A handle to the executor: how flows submit, sleep and spawn. Cheap to clone, never leaves its thread.
#[derive(Clone)]
pub struct Io {
    shared: Rc<Shared>,
}

/// The executor itself, in the hands of whoever runs the thread.
pub struct Executor {
    io: Io,
    completions: Vec<Completion>,
}

impl Executor {
    /// An executor over `kernel` with at most `buffers` receive buffers. Must be made on the thread that will run it.
    ///
    /// # Errors
    /// When the buffers' address space cannot be reserved or more than a thousand executors are alive.
    pub fn new(kernel: Box<dyn Kernel>, buffers: BufferPool) -> io::Result<Executor> {
        let mailbox = Claim::new(kernel.doorbell()).ok_or_else(|| io::Error::other("too many executors"))?;
        let now = kernel.now();
        let shared = Shared {
            kernel: RefCell::new(kernel),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            slots: RefCell::default(),
            starved: RefCell::default(),
            timers: RefCell::new(Wheel::new(now)),
            buffers,
            lent: Cell::new(0),
            lent_wanted: Cell::new(LENT_AT_FIRST),
            pipes: PipePool::default(),
            now: Cell::new(now),
            mailbox,
            counts: Cell::default(),
        };
        Ok(Executor { io: Io { shared: Rc::new(shared) }, completions: Vec::new() })
    }

    /// The handle that flows use.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Runs turns until `main` is done, then returns its output. Other tasks stay where they are.
    ///
    /// # Errors
    /// When the kernel cannot be entered at all.
    pub fn run<T: 'static>(&mut self, main: impl Future<Output = T> + 'static) -> io::Result<T> {
        let output = Rc::new(Cell::new(None));
        let place = output.clone();
        self.io.spawn(async move { place.set(Some(main.await)) });
        loop {
            self.turn(true)?;
            if let Some(output) = output.take() {
                return Ok(output);
            }
        }
    }

    /// One turn. Sleeps only when `may_sleep`, nothing is ready and no mail has come.
    ///
    /// # Errors
    /// When the kernel cannot be entered.
    pub fn turn(&mut self, may_sleep: bool) -> io::Result<()> {
        let shared = self.io.shared.clone();
        let previous = CURRENT.replace(Some(self.io.clone()));
        self.io.lend_buffers();
        let sleeping = may_sleep && shared.ready.borrow().is_empty() && shared.mailbox.park();
        let wait = match shared.timers.borrow().next() {
            _ if !sleeping => Wait::No,
            Some(deadline) => Wait::Until(deadline),
            None => Wait::Forever,
        };
        let entered = shared.kernel.borrow_mut().turn(wait, &mut self.completions);
        shared.mailbox.unpark();
        shared.now.set(shared.kernel.borrow().now());
        self.io.count(|counts| {
            counts.turns += 1;
            counts.completions += self.completions.len() as u64;
        });
        for completion in self.completions.drain(..) {
            self.io.complete(completion);
        }
        self.io.collect_mail();
        self.io.fire_timers();
        self.io.run_ready();
        CURRENT.replace(previous);
        entered
    }

    /// Drops every task and waits until the kernel has given back all operations, at most for `patience`. True when
    /// nothing was left behind.
    pub fn close(&mut self, patience: Duration) -> bool {
        let deadline = self.io.shared.kernel.borrow().now() + patience;
        self.io.drop_tasks();
        self.io.shared.pipes.clear();
        loop {
            if self.io.shared.slots.borrow().is_empty() {
                return true;
            }
            let alarm = self.io.shared.timers.borrow_mut().arm(deadline, Waker::noop().clone());
            let entered = self.turn(true);
            self.io.shared.timers.borrow_mut().disarm(alarm);
            if entered.is_err() || self.io.now() >= deadline {
                return false;
            }
        }
    }

    /// Whether a task waits to be polled.
    pub fn has_ready_tasks(&self) -> bool {
        !self.io.shared.ready.borrow().is_empty()
    }

    /// Number of tasks, operations in flight and armed timers, for tests that look for leaks.
    pub fn population(&self) -> (usize, usize, usize) {
        let shared = &self.io.shared;
        (shared.tasks.borrow().len(), shared.slots.borrow().len(), shared.timers.borrow().len())
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.io.drop_tasks();
        self.io.shared.pipes.clear();
        // What is still in flight refers to this executor; taking it out here breaks the circle. The ring itself goes
        // last, with the kernel, and its memory stays valid until then.
        let keys: Vec<Key> = self.io.shared.slots.borrow().iter().map(|(key, _)| key).collect();
        let leaked: Vec<Option<Slot>> = keys.iter().map(|key| self.io.shared.slots.borrow_mut().remove(*key)).collect();
        std::mem::forget(leaked);
    }
}

impl Io {
    /// Time at the start of this turn.
    pub fn now(&self) -> Instant {
        self.shared.now.get()
    }

    /// Starts a task that lives until it ends or the executor goes.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let key = self.shared.tasks.borrow_mut().insert(Task { work: Some(Box::pin(work)), queued: true });
        self.shared.ready.borrow_mut().push_back(key);
    }

    /// Polls every task once more: how flows that watch a flag of their core learn that it changed.
    pub fn wake_all(&self) {
        let keys: Vec<Key> = self.shared.tasks.borrow().iter().map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| self.wake(key));
    }

    /// Submits an operation; it is on its way even if the result is never polled.
    pub fn submit(&self, operation: Operation) -> Submitted {
        let mut slots = self.shared.slots.borrow_mut();
        let key = slots.insert(Slot { operation, state: State::InFlight(None) });
        if let Some(slot) = slots.get_mut(key) {
            self.shared.kernel.borrow_mut().submit(key, &mut slot.operation);
        }
        Submitted::new(self.clone(), key)
    }

    /// The receive buffers.
    pub fn buffers(&self) -> &BufferPool {
        &self.shared.buffers
    }

    /// The pipes for splicing.
    pub fn pipes(&self) -> &PipePool {
        &self.shared.pipes
    }

    /// What has happened since the start.
    pub fn counts(&self) -> Counts {
        self.shared.counts.get()
    }

    /// Calls that never wait, straight to the kernel.
    pub fn with_kernel<T>(&self, call: impl FnOnce(&mut dyn Kernel) -> T) -> T {
        call(self.shared.kernel.borrow_mut().as_mut())
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

    pub(in crate::runtime) fn has_arrival(&self, key: Key) -> bool {
        match self.shared.slots.borrow().get(key) {
            Some(Slot { operation: Operation::Receive { received, .. }, state }) => {
                !received.is_empty() || matches!(state, State::Finished(_))
            }
            _ => false,
        }
    }

    pub(in crate::runtime) fn is_over(&self, key: Key) -> bool {
        match self.shared.slots.borrow().get(key) {
            Some(Slot { operation: Operation::Receive { received, .. }, state: State::Finished(result) }) => {
                received.is_empty() && is_over(*result)
            }
            _ => false,
        }
    }

    pub(in crate::runtime) fn poll_arrival(&self, key: Key, context: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(Slot { operation: Operation::Receive { received, .. }, state }) = slots.get_mut(key) else {
            return Poll::Ready(Ok(Arrival::Over));
        };
        if let Some(chunk) = received.pop_front() {
            return Poll::Ready(Ok(Arrival::Chunk(chunk)));
        }
        match state {
            State::InFlight(waiting) | State::Starved(waiting) => {
                waiting.get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
                Poll::Pending
            }
            State::Finished(0) => Poll::Ready(Ok(Arrival::End)),
            State::Finished(result) if is_over(*result) => Poll::Ready(Ok(Arrival::Over)),
            State::Finished(result) => Poll::Ready(Err(io::Error::from_raw_os_error(-*result))),
            State::Abandoned => Poll::Ready(Ok(Arrival::Over)),
        }
    }

    pub(in crate::runtime) fn cancel(&self, key: Key) {
        let starved = matches!(self.shared.slots.borrow().get(key), Some(Slot { state: State::Starved(_), .. }));
        match starved {
            true => self.finish(key, -libc::ECANCELED),
            false => self.shared.kernel.borrow_mut().cancel(key),
        }
    }

    pub(in crate::runtime) fn poll_outcome(&self, key: Key, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut slots = self.shared.slots.borrow_mut();
        match slots.get_mut(key).map(|slot| &mut slot.state) {
            Some(State::InFlight(waiting) | State::Starved(waiting)) => {
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

    pub(in crate::runtime) fn poll_accepted(&self, key: Key, context: &mut Context<'_>) -> Poll<Option<RawFd>> {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return Poll::Ready(None) };
        if let Operation::Accept { accepted, .. } = &mut slot.operation
            && let Some(descriptor) = accepted.pop_front()
        {
            return Poll::Ready(Some(descriptor));
        }
        match &mut slot.state {
            State::InFlight(waiting) => {
                waiting.get_or_insert_with(|| context.waker().clone()).clone_from(context.waker());
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }

    /// The future of an operation is gone.
    pub(in crate::runtime) fn abandon(&self, key: Key) {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        match slot.state {
            State::InFlight(_) => {
                slot.state = State::Abandoned;
                drop(slots);
                self.shared.kernel.borrow_mut().cancel(key);
            }
            _ => {
                let slot = slots.remove(key);
                drop(slots);
                slot.into_iter().for_each(|slot| self.release(slot));
            }
        }
    }

    fn run_ready(&self) {
        for _ in 0..POLLS_PER_TURN {
            let Some(key) = self.shared.ready.borrow_mut().pop_front() else { return };
            let work = self.shared.tasks.borrow_mut().get_mut(key).and_then(|task| {
                task.queued = false;
                task.work.take()
            });
            let Some(mut work) = work else { continue };
            let waker = waker(self.shared.mailbox.number(), key);
            let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
            match polled {
                Ok(Poll::Pending) => {
                    if let Some(task) = self.shared.tasks.borrow_mut().get_mut(key) {
                        task.work = Some(work);
                    }
                }
                Ok(Poll::Ready(())) => self.end_task(key, work),
                Err(_panic) => {
                    self.count(|counts| counts.panics += 1);
                    self.end_task(key, work);
                }
            }
        }
    }

    /// The work is dropped first and outside every borrow: destructors submit cancellations and wake others.
    fn end_task(&self, key: Key, work: Work) {
        drop(work);
        self.shared.tasks.borrow_mut().remove(key);
    }

    fn drop_tasks(&self) {
        loop {
            let keys: Vec<Key> = self.shared.tasks.borrow().iter().map(|(key, _)| key).collect();
            if keys.is_empty() {
                return;
            }
            for key in keys {
                let task = self.shared.tasks.borrow_mut().remove(key);
                drop(task);
            }
        }
    }

    fn complete(&self, completion: Completion) {
        let Completion { key, result, buffer, more } = completion;
        let chunk = buffer.and_then(|id| {
            self.shared.lent.set(self.shared.lent.get().saturating_sub(1));
            match usize::try_from(result) {
                Ok(length) if length > 0 => Some(self.shared.buffers.lease(id, length)),
                _ => {
                    self.shared.buffers.give_back(id);
                    None
                }
            }
        });
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        let mut full = false;
        match &mut slot.operation {
            Operation::Accept { accepted, .. } if result >= 0 => accepted.push_back(result),
            Operation::Receive { received, .. } => {
                received.extend(chunk);
                full = received.len() >= RECEIVED_AHEAD;
            }
            _ => {}
        }
        if more {
            let waiting = match &mut slot.state {
                State::InFlight(waiting) => waiting.take(),
                _ => None,
            };
            drop(slots);
            if full {
                self.shared.kernel.borrow_mut().cancel(key);
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
            self.lend_more();
            return if is_awaited { self.starve(key) } else { self.finish(key, result) };
        }
        if let Operation::Send { bytes, .. } = &mut slot.operation
            && result > 0
        {
            bytes.advance(result as usize);
            if !bytes.is_empty() && matches!(slot.state, State::InFlight(_)) {
                // MSG_WAITALL makes this rare: a signal or memory pressure cut the send short.
                return self.shared.kernel.borrow_mut().submit(key, &mut slot.operation);
            }
        }
        drop(slots);
        self.finish(key, result);
    }

    fn finish(&self, key: Key, result: i32) {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        match std::mem::replace(&mut slot.state, State::Finished(result)) {
            State::InFlight(waiting) | State::Starved(waiting) => {
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

    /// A receive found no buffer. It waits in line here.
    fn starve(&self, key: Key) {
        let mut slots = self.shared.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key) else { return };
        if matches!(slot.state, State::Abandoned) {
            drop(slots);
            return self.finish(key, -libc::ECANCELED);
        }
        if let State::InFlight(waiting) = &mut slot.state {
            slot.state = State::Starved(waiting.take());
        }
        self.shared.starved.borrow_mut().push_back(key);
    }

    /// Buffers were short.
    fn lend_more(&self) {
        self.shared.lent_wanted.set((self.shared.lent_wanted.get() * 2).min(LENT_AT_MOST));
        self.count(|counts| counts.starved += 1);
    }

    /// Keeps the wanted number of buffers with the kernel and lets starved receives try again.
    fn lend_buffers(&self) {
        let shared = &self.shared;
        while shared.lent.get() < shared.lent_wanted.get() {
            let Some(id) = shared.buffers.take() else { break };
            shared.kernel.borrow_mut().provide(id);
            shared.lent.set(shared.lent.get() + 1);
        }
        for _ in 0..shared.lent.get() {
            let Some(key) = shared.starved.borrow_mut().pop_front() else { return };
            let mut slots = shared.slots.borrow_mut();
            let Some(slot) = slots.get_mut(key) else { continue };
            if let State::Starved(waiting) = &mut slot.state {
                slot.state = State::InFlight(waiting.take());
                shared.kernel.borrow_mut().submit(key, &mut slot.operation);
            }
        }
    }

    /// What an operation still held when nobody wanted it any more: accepted connections are closed.
    fn release(&self, slot: Slot) {
        if let Operation::Accept { accepted, .. } = &slot.operation {
            accepted.iter().for_each(|descriptor| self.shared.kernel.borrow_mut().close(*descriptor));
        }
    }

    fn collect_mail(&self) {
        match self.shared.mailbox.collect(|task| self.wake(Key::from_bits(task))) {
            Mail::Delivered => {}
            Mail::Everything => self.wake_all(),
        }
    }

    fn fire_timers(&self) {
        self.shared.timers.borrow_mut().fire(self.shared.now.get(), Waker::wake);
    }

    fn wake(&self, key: Key) {
        if let Some(task) = self.shared.tasks.borrow_mut().get_mut(key)
            && !task.queued
        {
            task.queued = true;
            self.shared.ready.borrow_mut().push_back(key);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.shared.counts.get();
        change(&mut counts);
        self.shared.counts.set(counts);
    }
}

/// Whether a receive that ended with `result` says nothing about its connection.
fn is_over(result: i32) -> bool {
    result > 0 || matches!(-result, libc::ECANCELED | libc::ENOBUFS)
}

/// A waker is a number: which mailbox, which task. It owns nothing, so cloning and dropping it are free.
fn waker(mailbox: u16, task: Key) -> Waker {
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
        Some(io) if io.shared.mailbox.number() == mailbox => {
            io.wake(Key::from_bits(task));
            true
        }
        _ => false,
    });
    if !here {
        mailbox::post(mailbox, task);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::rc::Rc;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;
    use crate::runtime::{Direction, Interest, ListenOptions, Listener, Manner, Receiving, Ring, Socket};

    fn executor(buffers: u16) -> Executor {
        let pool = BufferPool::new(buffers).expect("address space");
        let ring = Ring::new(&pool).map_err(|error| crate::runtime::Features::explain(&error)).expect("a ring");
        Executor::new(Box::new(ring), pool).expect("an executor")
    }

    fn listener(io: &Io) -> Listener {
        let address = "127.0.0.1:0".parse().expect("an address");
        Listener::open(io, &ListenOptions { address, backlog: 64 }).expect("a listener")
    }

    async fn pair(io: &Io) -> (Socket, Socket) {
        let mut listener = listener(io);
        let address = listener.address().expect("its address");
        let client = Socket::connect(io, address).await.expect("connected");
        (client, listener.accept().await.expect("accepted"))
    }

    async fn next(receiving: &mut Receiving) -> Vec<u8> {
        match receiving.next().await {
            Ok(Arrival::Chunk(chunk)) => chunk.to_vec(),
            other => panic!("no bytes but {other:?}"),
        }
    }

    #[test]
    fn a_repeating_receive_stops_when_nobody_takes_and_loses_nothing() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let mut receiving = server.receive(Manner::Repeatedly);
                for number in 0..20u8 {
                    client.send(vec![number]).await.expect("sent");
                    io.sleep(Duration::from_millis(1)).await;
                }
                assert!(io.buffers().in_use() <= LENT_AT_FIRST + RECEIVED_AHEAD + 1);
                let mut all = Vec::new();
                while all.len() < 20 {
                    match receiving.next().await.expect("received") {
                        Arrival::Chunk(chunk) => all.extend_from_slice(&chunk),
                        Arrival::Over => receiving = server.receive(Manner::Repeatedly),
                        Arrival::End => panic!("the connection is open"),
                    }
                }
                assert!(all.into_iter().eq(0..20));
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
    }

    #[test]
    fn bytes_cross_a_connection_and_nothing_is_left() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                client.send(b"hello".to_vec()).await.expect("sent");
                assert_eq!(next(&mut server.receive(Manner::Now)).await, b"hello");
                server.shutdown(Direction::Write);
                assert!(matches!(client.receive(Manner::Now).next().await, Ok(Arrival::End)));
                client.ready(Interest::Writable).await.expect("writable");
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
        assert_eq!(executor.population(), (0, 0, 0));
    }

    #[test]
    fn a_dropped_receive_is_cancelled_and_the_connection_lives_on() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let mut receiving = server.receive(Manner::Little);
                let deadline = io.now() + Duration::from_millis(10);
                assert!(io.within(deadline, receiving.next()).await.is_err());
                client.send(b"late".to_vec()).await.expect("sent");
                assert_eq!(next(&mut receiving).await, b"late");
                drop(server.receive(Manner::Little));
                io.sleep(Duration::from_millis(5)).await;
                client.send(b"again".to_vec()).await.expect("sent");
                assert_eq!(next(&mut server.receive(Manner::Now)).await, b"again");
            })
            .expect("ran");
        assert!(executor.close(Duration::from_secs(1)));
    }

    #[test]
    fn a_refused_connect_and_a_stopped_listener_say_so() {
        let mut executor = executor(64);
        let io = executor.io().clone();
        executor
            .run(async move {
                let listener = listener(&io);
                let address = listener.address().expect("its address");
                let waiting = Socket::connect(&io, address).await.expect("queued");
                let accepted = listener.stop().await;
                assert_eq!(accepted.len(), 1);
                let error = Socket::connect(&io, address).await.expect_err("nobody listens");
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
                drop(waiting);
            })
            .expect("ran");
    }

    #[test]
    fn starved_receives_go_on_when_buffers_return() {
        let mut executor = executor(1);
        let io = executor.io().clone();
        let counts = executor
            .run(async move {
                let (client, server) = pair(&io).await;
                let (other_client, other_server) = pair(&io).await;
                client.send(b"first".to_vec()).await.expect("sent");
                other_client.send(b"second".to_vec()).await.expect("sent");
                let Ok(Arrival::Chunk(held)) = server.receive(Manner::Now).next().await else {
                    panic!("nothing received")
                };
                let mut waiting = other_server.receive(Manner::Now);
                let deadline = io.now() + Duration::from_millis(10);
                assert!(io.within(deadline, waiting.next()).await.is_err());
                drop(held);
                io.give_way().await;
                assert_eq!(next(&mut waiting).await, b"second");
                io.counts()
            })
            .expect("ran");
        assert!(counts.starved >= 1 && counts.turns < 100, "{counts:?}");
    }

    #[test]
    fn another_thread_wakes_a_sleeping_executor() {
        let mut executor = executor(1);
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let raised = flag.clone();
        let thread = std::thread::spawn(move || {
            let waker = receiver.recv().expect("a waker");
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            waker.wake();
        });
        let mut sent = false;
        executor
            .run(std::future::poll_fn(move |context| {
                if !std::mem::replace(&mut sent, true) {
                    sender.send(context.waker().clone()).expect("the thread lives");
                }
                match raised.load(std::sync::atomic::Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }))
            .expect("ran");
        thread.join().expect("joined");
    }

    #[test]
    fn a_panicking_task_ends_alone() {
        let mut executor = executor(1);
        let io = executor.io().clone();
        let ended = Rc::new(Cell::new(false));
        let guard = ended.clone();
        let counts = executor
            .run(async move {
                io.spawn(async move {
                    let _guard = Dropped(guard);
                    panic!("a bug in one flow");
                });
                io.sleep(Duration::from_millis(5)).await;
                io.counts()
            })
            .expect("ran");
        assert_eq!((counts.panics, ended.get()), (1, true));
    }

    struct Dropped(Rc<Cell<bool>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
}
