//! What one executor has in the simulated kernel: operations in flight, lent buffers, completions on their way. It keeps
//! the books; what an operation does is in `world.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use elbow::base::Instant;
use elbow::base::slab::Key;
use elbow::runtime::{BufferId, BufferPool, Completion, Interest, Manner, Operation};

/// What will happen to an operation.
#[derive(Debug)]
pub enum RingEvent {
    /// It is looked at.
    Attempt { ring: usize, key: Key },
    /// Its cancellation takes effect.
    Cancel { ring: usize, key: Key },
    /// Its completion can be handed out.
    Deliver { ring: usize, finished: Finished },
}

/// What an executor has submitted since its last turn.
#[derive(Debug)]
pub enum Submission {
    /// An operation.
    Start(Key, InFlight),
    /// A wish that one end.
    Cancel(Key),
}

/// The work of an operation.
#[derive(Debug)]
pub enum Work {
    Accept,
    Connect { to: SocketAddr, started: bool },
    Receive(Manner),
    Send { bytes: Vec<u8>, sent: usize, ends: bool },
    Poll(Interest),
}

impl Work {
    /// Its name in the trace.
    pub fn kind(&self) -> &'static str {
        match self {
            Work::Accept => "accept",
            Work::Connect { .. } => "connect",
            Work::Receive(Manner::Repeatedly) => "receive repeatedly",
            Work::Receive(_) => "receive",
            Work::Send { .. } => "send",
            Work::Poll(Interest::Readable) => "poll readable",
            Work::Poll(Interest::Writable) => "poll writable",
        }
    }
}

/// An operation that the kernel has.
#[derive(Debug)]
pub struct InFlight {
    /// What it operates on.
    pub descriptor: RawFd,
    /// What it does.
    pub work: Work,
    /// Nobody wants it any more.
    pub cancelled: bool,
    /// It is not looked at before this instant.
    pub held_until: Instant,
    /// Its next completion is not handed out before this instant: they stay in order.
    pub delivered_until: Instant,
}

impl InFlight {
    /// An operation as the executor submitted it. The simulated kernel takes a copy of what a send sends.
    pub fn of(operation: &Operation) -> Option<InFlight> {
        let work = match operation {
            Operation::Accept { .. } => Work::Accept,
            Operation::Connect { .. } => Work::Connect { to: operation.connect_address()?, started: false },
            Operation::Receive { manner, .. } => Work::Receive(*manner),
            Operation::Send { bytes, ends, .. } => Work::Send { bytes: bytes.slices().concat(), sent: 0, ends: *ends },
            Operation::Poll { interest, .. } => Work::Poll(*interest),
        };
        Some(InFlight::new(operation.descriptor(), work))
    }

    /// An operation that has not been looked at.
    pub fn new(descriptor: RawFd, work: Work) -> InFlight {
        let (held_until, delivered_until) = (Instant::ZERO, Instant::ZERO);
        InFlight { descriptor, work, cancelled: false, held_until, delivered_until }
    }
}

/// A completion, and the descriptor that it frees when it is the last.
#[derive(Debug)]
pub struct Finished {
    pub completion: Completion,
    pub descriptor: RawFd,
}

/// The kernel's side of one executor.
pub struct SimRing {
    pub pool: BufferPool,
    /// Buffers lent for receiving, taken in the order they were lent.
    pub lent: VecDeque<BufferId>,
    pub submitted: Vec<Submission>,
    pub in_flight: BTreeMap<u64, InFlight>,
    pub finished: Vec<Finished>,
    /// Completions that have a time of delivery.
    pub travelling: usize,
    pub sleep: Sleep,
    /// The thread does not run before.
    pub paused_until: Instant,
}

/// Whether an executor sleeps in its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// It runs.
    Awake,
    /// Until an instant, or for ever.
    Until(Option<Instant>),
}

impl SimRing {
    /// A ring that receives into buffers of `pool`.
    pub fn new(pool: BufferPool) -> SimRing {
        SimRing {
            pool,
            lent: VecDeque::new(),
            submitted: Vec::new(),
            in_flight: BTreeMap::new(),
            finished: Vec::new(),
            travelling: 0,
            sleep: Sleep::Awake,
            paused_until: Instant::ZERO,
        }
    }

    /// The operations that wait for a descriptor, in the order they were submitted.
    pub fn waiting_for(&self, descriptor: RawFd) -> Vec<Key> {
        let of_descriptor = |(_, flight): &(&u64, &InFlight)| flight.descriptor == descriptor;
        self.in_flight.iter().filter(of_descriptor).map(|(bits, _)| Key::from_bits(*bits)).collect()
    }
}
