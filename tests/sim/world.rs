//! The simulated kernel as a whole: rings over one network, on one stage. An operation is looked at when it is submitted
//! and when its descriptor is stirred; what it does then is in `attempt.rs`.
//!
//! Time stands still while any executor has work. When all sleep it jumps to the next event or deadline.

mod attempt;

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use elbow::base::Instant;
use elbow::base::slab::Key;
use elbow::runtime::{BufferId, BufferPool, Completion, Manner, Wait};

use crate::faults::Faults;
use crate::network::{Errno, Network};
use crate::ring::{Finished, InFlight, RingEvent, SimRing, Sleep, Submission, Work};
use crate::stage::{Event, Stage};
use crate::trace::Note;

/// Most time a turn costs.
pub const TURN_COST: Duration = Duration::from_micros(5);

/// Most delay of a completion, a held operation or a late cancellation.
const LATE: Duration = Duration::from_millis(5);

/// Most time for which a ring's thread is not scheduled.
const PAUSE: Duration = Duration::from_millis(200);

/// A handle to a world; everything in it runs on one thread.
pub type Shared = Rc<RefCell<World>>;

/// Everything that is simulated.
pub struct World {
    pub stage: Stage,
    pub network: Network,
    rings: Vec<SimRing>,
    /// The only ring whose sleep moves time, while an executor is being closed.
    alone: Option<usize>,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, faults: Faults, verbose: bool) -> Shared {
        let stage = Stage::new(seed, faults, verbose);
        Rc::new(RefCell::new(World { stage, network: Network::default(), rings: Vec::new(), alone: None }))
    }

    /// A new ring; rings are numbered from zero.
    pub fn add_ring(&mut self, pool: BufferPool) -> usize {
        self.rings.push(SimRing::new(pool));
        self.rings.len() - 1
    }

    /// The rings that may take a turn: those that have something to do or have not yet seen that they have not. Moves time
    /// when there is none.
    pub fn runnable(&mut self) -> Vec<usize> {
        self.move_time();
        (0..self.rings.len()).filter(|ring| !self.rests(*ring)).collect()
    }

    /// From now on only the sleep of `ring` moves time, or that of all again.
    pub fn leave_alone(&mut self, ring: Option<usize>) {
        self.alone = ring;
    }

    /// Takes an operation; it starts with the ring's next turn.
    pub fn submit(&mut self, ring: usize, key: Key, flight: InFlight) {
        let (kind, descriptor) = (flight.work.kind(), flight.descriptor);
        self.stage.note(Note::Submit { ring, key: key.to_bits(), kind, descriptor });
        if let Work::Send { bytes, .. } = &flight.work {
            self.stage.trace().show(bytes);
        }
        if self.check(ring, descriptor, kind)
            && let Some(open) = self.network.descriptors.get_mut(descriptor)
        {
            open.operations += 1;
        }
        self.rings[ring].submitted.push(Submission::Start(key, flight));
    }

    /// Takes a cancellation; it starts with the ring's next turn.
    pub fn cancel(&mut self, ring: usize, key: Key) {
        self.stage.note(Note::Cancel { ring, key: key.to_bits() });
        self.rings[ring].submitted.push(Submission::Cancel(key));
    }

    /// Takes a buffer to receive into.
    pub fn provide(&mut self, ring: usize, buffer: BufferId) {
        if self.rings[ring].lent.contains(&buffer) {
            self.stage.find(format!("ring {ring}: buffer {} was lent twice", buffer.number()));
        }
        self.rings[ring].lent.push_back(buffer);
    }

    /// One turn of a ring's executor: starts what was submitted, lets due events happen, hands out completions. Sleeps
    /// when there are none; when every executor sleeps, time moves.
    pub fn turn(&mut self, ring: usize, wait: Wait, completions: &mut Vec<Completion>) {
        let cost = self.stage.up_to(TURN_COST);
        self.stage.advance_to(self.stage.now() + cost);
        for submission in std::mem::take(&mut self.rings[ring].submitted) {
            match submission {
                Submission::Start(key, flight) => self.start(ring, key, flight),
                Submission::Cancel(key) => self.begin_cancel(ring, key),
            }
        }
        self.happen();
        if self.stage.strikes(|faults| faults.paused_ring) {
            let pause = self.stage.up_to(PAUSE);
            self.rings[ring].paused_until = self.stage.now() + pause;
        }
        let awaited = match wait {
            Wait::No => None,
            Wait::Until(deadline) if deadline <= self.stage.now() => None,
            Wait::Until(deadline) => Some(Some(deadline)),
            Wait::Forever => Some(None),
        };
        let busy = !self.rings[ring].finished.is_empty() || self.stage.strikes(|faults| faults.spurious_turn);
        match awaited {
            Some(deadline) if !busy => {
                self.rings[ring].sleep = Sleep::Until(deadline);
                self.move_time();
            }
            _ => self.rouse(),
        }
        self.hand_out(ring, completions);
    }

    /// Checks the use of a descriptor; false, and a finding, when it is wrong.
    pub fn check(&mut self, ring: usize, descriptor: RawFd, call: &'static str) -> bool {
        let wrong = match self.network.descriptors.get(descriptor) {
            Some(open) if open.ring == ring => return true,
            Some(open) => format!("which is ring {}'s", open.ring),
            None if self.network.descriptors.was_closed(descriptor) => "which is closed".to_owned(),
            None => "which never was".to_owned(),
        };
        self.stage.find(format!("ring {ring}: {call} on descriptor {descriptor}, {wrong}"));
        false
    }

    /// close(2), which must find no operation in flight.
    pub fn close(&mut self, ring: usize, descriptor: RawFd) {
        if !self.check(ring, descriptor, "close") {
            return;
        }
        let operations = self.network.descriptors.get(descriptor).map_or(0, |open| open.operations);
        if operations > 0 {
            let finding =
                format!("ring {ring}: descriptor {descriptor} closed under {operations} operations in flight");
            self.stage.find(finding);
        }
        self.network.close(descriptor, &mut self.stage);
    }

    /// What should not be there when every executor has been closed.
    pub fn left_over(&self) -> Vec<String> {
        let mut left: Vec<String> = Vec::new();
        for (number, open) in self.network.descriptors.iter() {
            left.push(format!("ring {}: descriptor {number} is still open: {:?}", open.ring, open.object));
        }
        for (number, ring) in self.rings.iter().enumerate() {
            if !ring.in_flight.is_empty() || !ring.finished.is_empty() || ring.travelling > 0 {
                left.push(format!("ring {number}: operations are still in flight: {:?}", ring.in_flight));
            }
            if ring.pool.in_use() != ring.lent.len() {
                let (used, lent) = (ring.pool.in_use(), ring.lent.len());
                left.push(format!("ring {number}: {used} buffers are in use, {lent} of them lent"));
            }
        }
        left
    }

    fn start(&mut self, ring: usize, key: Key, mut flight: InFlight) {
        let doubled = |other: &InFlight| {
            !other.cancelled
                && other.descriptor == flight.descriptor
                && matches!(
                    (&other.work, &flight.work),
                    (Work::Receive(_), Work::Receive(_)) | (Work::Send { .. }, Work::Send { .. })
                )
        };
        if self.rings[ring].in_flight.values().any(doubled) {
            let (kind, descriptor) = (flight.work.kind(), flight.descriptor);
            self.stage.find(format!("ring {ring}: a second {kind} at the same time on descriptor {descriptor}"));
        }
        if self.stage.strikes(|faults| faults.held_operation) {
            let delay = self.stage.up_to(LATE);
            flight.held_until = self.stage.now() + delay;
            self.stage.plan(delay, Event::Ring(RingEvent::Attempt { ring, key }));
        }
        self.rings[ring].in_flight.insert(key.to_bits(), flight);
        self.attempt(ring, key);
    }

    fn begin_cancel(&mut self, ring: usize, key: Key) {
        let mut at_once = false;
        if let Some(flight) = self.rings[ring].in_flight.get_mut(&key.to_bits()) {
            flight.cancelled = true;
            // It waits on the thread that cancels it. Meanwhile it would take every buffer.
            at_once = matches!(flight.work, Work::Receive(Manner::Repeatedly));
        }
        if !at_once && self.stage.strikes(|faults| faults.late_cancel) {
            let delay = self.stage.up_to(LATE);
            return self.stage.plan(delay, Event::Ring(RingEvent::Cancel { ring, key }));
        }
        self.end_cancelled(ring, key);
    }

    fn end_cancelled(&mut self, ring: usize, key: Key) {
        if self.stage.strikes(|faults| faults.lost_cancel) {
            self.attempt(ring, key);
        }
        let Some(flight) = self.rings[ring].in_flight.remove(&key.to_bits()) else { return };
        let result = match flight.work {
            Work::Send { sent, .. } if sent > 0 => Ok(sent as u32),
            _ => Err(Errno::CANCELED),
        };
        self.finish(ring, key, &flight, result, None);
    }

    /// Lets every due event happen.
    fn happen(&mut self) {
        while let Some(event) = self.stage.due() {
            match event {
                Event::Network(event) => self.network.handle(event, &mut self.stage),
                Event::Ring(RingEvent::Attempt { ring, key }) => self.attempt(ring, key),
                Event::Ring(RingEvent::Cancel { ring, key }) => self.end_cancelled(ring, key),
                Event::Ring(RingEvent::Deliver { ring, finished }) => {
                    self.rings[ring].travelling -= 1;
                    self.arrive(ring, finished);
                }
            }
            self.attempt_stirred();
        }
        self.attempt_stirred();
    }

    /// Tries the operations on descriptors whose readiness may have changed.
    fn attempt_stirred(&mut self) {
        while let Some(descriptor) = self.network.stirred.pop() {
            let Some(ring) = self.network.descriptors.get(descriptor).map(|open| open.ring) else { continue };
            for key in self.rings[ring].waiting_for(descriptor) {
                self.attempt(ring, key);
            }
        }
    }

    fn finish(
        &mut self,
        ring: usize,
        key: Key,
        flight: &InFlight,
        result: Result<u32, Errno>,
        buffer: Option<BufferId>,
    ) {
        let result = result.map_or_else(|errno| -errno.0, |count| count as i32);
        let completion = Completion { key, result, buffer, more: false };
        let mut after = flight.delivered_until;
        self.deliver(ring, Finished { completion, descriptor: flight.descriptor }, &mut after);
    }

    fn deliver(&mut self, ring: usize, finished: Finished, not_before: &mut Instant) {
        let now = self.stage.now();
        if self.stage.strikes(|faults| faults.late_completion) {
            let delay = self.stage.up_to(LATE);
            *not_before = (*not_before).max(now + delay);
        }
        // Behind one that was late every other goes by way of its event: the time of that may have passed, and it be due.
        if *not_before == Instant::ZERO {
            return self.arrive(ring, finished);
        }
        self.rings[ring].travelling += 1;
        self.stage.plan_at(*not_before, Event::Ring(RingEvent::Deliver { ring, finished }));
    }

    /// A completion is there for the ring's next turn.
    fn arrive(&mut self, ring: usize, finished: Finished) {
        self.rings[ring].finished.push(finished);
        self.rings[ring].sleep = Sleep::Awake;
    }

    fn hand_out(&mut self, ring: usize, completions: &mut Vec<Completion>) {
        let mut finished = std::mem::take(&mut self.rings[ring].finished);
        for later in 1..finished.len() {
            let one_operation = finished[later].completion.key == finished[later - 1].completion.key;
            if !one_operation && self.stage.strikes(|faults| faults.shuffled_completions) {
                finished.swap(later, later - 1);
            }
        }
        for Finished { completion, descriptor } in finished {
            let Completion { key, result, more, .. } = completion;
            self.stage.note(Note::Complete { ring, key: key.to_bits(), result, more });
            if !more && let Some(open) = self.network.descriptors.get_mut(descriptor) {
                open.operations -= 1;
            }
            completions.push(completion);
        }
    }

    /// Whether a ring neither runs nor would if it could; the rings that are left out while one is alone always rest.
    fn rests(&self, ring: usize) -> bool {
        let left_out = self.alone.is_some_and(|alone| alone != ring);
        let SimRing { sleep, paused_until, .. } = self.rings[ring];
        left_out || sleep != Sleep::Awake || paused_until > self.stage.now()
    }

    /// While every ring rests, time jumps to the next event, deadline or end of a pause.
    fn move_time(&mut self) {
        while (0..self.rings.len()).all(|ring| self.rests(ring)) {
            let Some(next) = self.next_wake().into_iter().chain(self.stage.next_event()).min() else {
                return self.stage.find("everything waits for ever".to_owned());
            };
            self.stage.note(Note::Sleep);
            self.stage.advance_to(next);
            self.happen();
            let now = self.stage.now();
            let over = |ring: &&mut SimRing| matches!(ring.sleep, Sleep::Until(Some(deadline)) if deadline <= now);
            self.rings.iter_mut().filter(over).for_each(|ring| ring.sleep = Sleep::Awake);
        }
    }

    /// When the first ring wakes by itself.
    fn next_wake(&self) -> Option<Instant> {
        let in_play = |(number, _): &(usize, &SimRing)| self.alone.is_none_or(|alone| alone == *number);
        let wakes = self.rings.iter().enumerate().filter(in_play).filter_map(|(_, ring)| match ring.sleep {
            Sleep::Until(deadline) => deadline,
            Sleep::Awake => Some(ring.paused_until),
        });
        wakes.min()
    }

    /// Something has been done; whoever sleeps may have been woken by it.
    pub fn rouse(&mut self) {
        self.rings.iter_mut().for_each(|ring| ring.sleep = Sleep::Awake);
    }
}
