//! What all flows of one core share.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::SystemTime;

use crate::balance::{RetryBudget, Shunned};
use crate::base::Instant;
use crate::proxy::account::Account;
use crate::proxy::admission::Admission;
use crate::proxy::backend::Backend;
use crate::proxy::idle_pool::IdlePool;
use crate::proxy::shared_pool::SharedPool;
use crate::proxy::worker::WorkerSettings;
use crate::registry::{ListenerEntry, LiveId, Place, Snapshot, TargetId};
use crate::runtime::Io;
use crate::telemetry::{AccessLogQueue, Block, FlightRecord, FlightRecorder, RequestId};
use crate::wire::head::{RequestHead, ResponseHead};

/// Heads kept for reuse by one core; as many as requests are usually in flight at once.
const KEPT_HEADS: usize = 128;

/// One data-plane thread's common things. Nothing in here leaves the thread.
pub struct Core {
    /// The executor.
    pub io: Io,
    /// Which core this is, counted from 0 in the order of the workers.
    pub number: usize,
    /// Idle connections to instances.
    pub idle: IdlePool,
    /// Connections to instances that carry many requests at once.
    pub shared: SharedPool,
    /// What may be repeated when instances fail.
    pub retry_budget: RefCell<RetryBudget>,
    /// Who could not be connected to just now.
    pub shunned: RefCell<Shunned<LiveId>>,
    /// Whether bulk moves by splice; off only to measure what it gains.
    pub may_splice: bool,
    snapshot: RefCell<Arc<Snapshot>>,
    version: Cell<u32>,
    draining_since: Cell<Option<Instant>>,
    admission: Arc<Admission>,
    held: Cell<usize>,
    finished: RefCell<Option<Waker>>,
    #[expect(clippy::vec_box, reason = "an exchange takes and gives back the box, not what is in it")]
    heads: RefCell<Vec<Box<Heads>>>,
    /// What clocks on the wall showed when ours showed nothing, as seen last.
    wall_clock_at_zero: Cell<SystemTime>,
    recorder: Arc<FlightRecorder>,
    /// Ids given out so far.
    named: Cell<u64>,
    /// Lines for access logs that have not been offered yet.
    lines: RefCell<Vec<(Arc<AccessLogQueue>, Block)>>,
}

/// Memory for the heads of one exchange.
#[derive(Default)]
pub struct Heads {
    /// What the client asks.
    pub request: RequestHead,
    /// What the instance answers.
    pub response: ResponseHead,
    /// What becomes of it.
    pub account: Account,
    /// Bytes being written.
    pub memory: Vec<u8>,
}

impl Core {
    /// A core that serves the snapshot that its reader knows.
    pub fn new(io: Io, settings: &WorkerSettings) -> Core {
        let snapshot = settings.reader.current().clone();
        Core {
            retry_budget: RefCell::new(RetryBudget::new(io.now())),
            io,
            number: settings.number,
            idle: IdlePool::default(),
            shared: SharedPool::default(),
            shunned: RefCell::default(),
            may_splice: settings.may_splice,
            version: Cell::new(snapshot.version()),
            snapshot: RefCell::new(snapshot),
            draining_since: Cell::new(None),
            admission: settings.admission.clone(),
            held: Cell::new(0),
            finished: RefCell::default(),
            heads: RefCell::default(),
            wall_clock_at_zero: Cell::new(SystemTime::UNIX_EPOCH),
            recorder: settings.recorder.clone(),
            named: Cell::new(0),
            lines: RefCell::default(),
        }
    }

    /// What should be, as this core knows it.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Serves another snapshot from the next request on. Idle connections to instances that it does not have are closed.
    pub fn adopt(&self, snapshot: Arc<Snapshot>) {
        self.version.set(snapshot.version());
        self.idle.retain(|target| snapshot.is_registered(target.live));
        self.shared.retain(|target| snapshot.is_registered(target.live));
        *self.snapshot.borrow_mut() = snapshot;
    }

    /// Keeps a connection for the next request to `target`, unless its instance has left meanwhile.
    pub fn keep(&self, target: TargetId, backend: Box<Backend>) {
        if self.snapshot.borrow().is_registered(target.live) {
            self.idle.put(target, backend, self.io.now());
        }
    }

    /// The version of the snapshot that this core serves.
    pub fn version(&self) -> u32 {
        self.version.get()
    }

    /// Since when this core takes no new connections and asks clients to close theirs.
    pub fn draining_since(&self) -> Option<Instant> {
        self.draining_since.get()
    }

    /// Begins to drain: every flow is polled once more and sees it.
    pub fn drain(&self) {
        if self.draining_since.get().is_none() {
            self.draining_since.set(Some(self.io.now()));
            self.idle.clear();
            self.shared.clear();
            self.io.wake_all();
        }
    }

    /// The listener at `address` as this core knows it now.
    pub fn listener(&self, address: SocketAddr) -> Option<Arc<ListenerEntry>> {
        self.snapshot.borrow().listener(address).cloned()
    }

    /// Admits a client connection, counted for as long as its place is held; `None` when the node is full.
    pub fn admit(&self) -> Option<Place> {
        self.admission.admit()
    }

    /// Keeps the core from being finished for as long as the guard lives.
    pub fn hold(self: &Rc<Core>) -> Hold {
        self.held.set(self.held.get() + 1);
        Hold { core: self.clone() }
    }

    /// Waits until no client connection is left, and nobody who may still bring one.
    pub async fn finished(&self) {
        poll_fn(|context| {
            *self.finished.borrow_mut() = Some(context.waker().clone());
            if self.held.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What clocks on the wall show at this moment, give or take what they were set by within the last second.
    pub fn wall_clock(&self, at: Instant) -> SystemTime {
        self.wall_clock_at_zero.get() + at.since(Instant::ZERO)
    }

    /// Looks at the clock on the wall.
    pub fn read_wall_clock(&self) {
        self.wall_clock_at_zero.set(SystemTime::now() - self.io.now().since(Instant::ZERO));
    }

    /// What clocks on the wall show now, in seconds since the Unix epoch.
    pub fn unix_seconds(&self) -> u64 {
        self.wall_clock(self.io.now()).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// An id that nothing else has: 24 hexadecimal digits.
    pub fn own_id(&self) -> RequestId {
        let number = self.named.get();
        self.named.set(number.wrapping_add(1));
        self.recorder.id(self.number, number)
    }

    /// Remembers what became of a request.
    pub fn remember(&self, record: &FlightRecord<'_>) {
        self.recorder.record(self.number, record);
    }

    /// Adds the line that `write` appends to an access log.
    pub fn log(&self, log: &Arc<AccessLogQueue>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut lines = self.lines.borrow_mut();
        let index = lines.iter().position(|(known, _)| Arc::ptr_eq(known, log)).unwrap_or_else(|| {
            lines.push((log.clone(), Block::default()));
            lines.len() - 1
        });
        if let Some((_, block)) = lines.get_mut(index)
            && block.add(write)
        {
            log.offer(std::mem::take(block));
        }
    }

    /// Gives away the lines that have been added, and forgets their logs.
    pub fn offer_lines(&self) {
        for (log, block) in self.lines.borrow_mut().drain(..) {
            log.offer(block);
        }
    }

    /// Memory for one exchange, used before if possible.
    pub fn take_heads(&self) -> Box<Heads> {
        self.heads.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives the memory back for the next exchange.
    pub fn give_back_heads(&self, heads: Box<Heads>) {
        let mut kept = self.heads.borrow_mut();
        if kept.len() < KEPT_HEADS {
            kept.push(heads);
        }
    }
}

/// The core in the hands of work that it must finish before it ends.
pub struct Hold {
    core: Rc<Core>,
}

impl Deref for Hold {
    type Target = Rc<Core>;

    fn deref(&self) -> &Rc<Core> {
        &self.core
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let left = self.core.held.get() - 1;
        self.core.held.set(left);
        if left == 0 {
            self.core.finished.borrow().iter().for_each(Waker::wake_by_ref);
        }
    }
}
