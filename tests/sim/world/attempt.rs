//! What operations do when they are looked at: each tries its system call, and waits when that says EAGAIN.

use std::os::fd::RawFd;
use std::time::Duration;

use elbow::base::slab::Key;
use elbow::runtime::{BUFFER_SIZE, BufferId, Completion, Interest, LITTLE, Manner};

use super::World;
use crate::network::{Errno, Network};
use crate::ring::{Finished, InFlight, RingEvent, Work};
use crate::stage::Event;

/// Receives of one operation in a row before others get their turn, as MULTISHOT_MAX_RETRY of the kernel.
const RETRIES: usize = 32;

/// How soon a receive goes on that gave way to others: mostly with the next turn.
const GIVEN_WAY: Duration = Duration::from_micros(5);

/// How an attempt at an operation went.
enum Attempt {
    Wait,
    Done(Result<u32, Errno>, Option<BufferId>),
}

impl World {
    pub(super) fn attempt(&mut self, ring: usize, key: Key) {
        let Some(mut flight) = self.rings[ring].in_flight.remove(&key.to_bits()) else { return };
        if flight.held_until > self.stage.now() {
            self.rings[ring].in_flight.insert(key.to_bits(), flight);
            return;
        }
        let attempt = match &mut flight.work {
            Work::Accept => return self.accept(ring, key, flight),
            Work::Receive(Manner::Repeatedly) if self.stage.faults().repeats_receives => {
                return self.receive_repeatedly(ring, key, flight);
            }
            Work::Receive(manner) => self.receive(ring, flight.descriptor, *manner),
            Work::Connect { to, started } => {
                if !std::mem::replace(started, true) {
                    self.network.connect(flight.descriptor, *to, &mut self.stage);
                }
                settled(self.network.connected(flight.descriptor).map(|()| 0))
            }
            Work::Send { bytes, sent, ends } => self.send(flight.descriptor, bytes, sent, *ends),
            Work::Poll(interest) => {
                let ready = self.network.is_ready(flight.descriptor, *interest);
                match ready == Ok(true) || self.stage.strikes(|faults| faults.spurious_poll) {
                    true => Attempt::Done(Ok(1), None),
                    false => settled(ready.and(Err::<u32, _>(Errno::AGAIN))),
                }
            }
        };
        match attempt {
            Attempt::Wait => drop(self.rings[ring].in_flight.insert(key.to_bits(), flight)),
            Attempt::Done(result, buffer) => self.finish(ring, key, &flight, result, buffer),
        }
    }

    /// Accepts until the queue is empty; each connection is a completion of the same operation.
    fn accept(&mut self, ring: usize, key: Key, mut flight: InFlight) {
        if self.stage.strikes(|faults| faults.aborted_accept) {
            return self.finish(ring, key, &flight, Err(Errno::CONNABORTED), None);
        }
        loop {
            match self.network.accept(flight.descriptor, &mut self.stage) {
                Ok(descriptor) if self.stage.strikes(|faults| faults.ended_accept) => {
                    return self.finish(ring, key, &flight, Ok(descriptor as u32), None);
                }
                Ok(descriptor) => self.go_on(ring, key, &mut flight, descriptor as u32, None),
                Err(Errno::AGAIN) => break,
                Err(errno) => return self.finish(ring, key, &flight, Err(errno), None),
            }
        }
        self.rings[ring].in_flight.insert(key.to_bits(), flight);
    }

    /// Receives once. What does not expect bytes right now waits for them first, and needs a buffer only then.
    fn receive(&mut self, ring: usize, descriptor: RawFd, manner: Manner) -> Attempt {
        if manner != Manner::Now && self.network.is_ready(descriptor, Interest::Readable) == Ok(false) {
            return Attempt::Wait;
        }
        let most = if manner == Manner::Little { LITTLE } else { BUFFER_SIZE };
        self.receive_into_buffer(ring, descriptor, most)
    }

    /// Receives for as long as there is something; each time is a completion of the same operation. A full buffer, or
    /// too many that are not, let others go first. Ends with the stream, and when no buffer is left.
    fn receive_repeatedly(&mut self, ring: usize, key: Key, mut flight: InFlight) {
        for retry in 1.. {
            let (count, buffer) = match self.receive_into_buffer(ring, flight.descriptor, BUFFER_SIZE) {
                Attempt::Wait => break,
                Attempt::Done(Ok(count), Some(buffer)) if count > 0 => (count, buffer),
                Attempt::Done(result, buffer) => return self.finish(ring, key, &flight, result, buffer),
            };
            if self.stage.strikes(|faults| faults.ended_receive) {
                return self.finish(ring, key, &flight, Ok(count), Some(buffer));
            }
            self.go_on(ring, key, &mut flight, count, Some(buffer));
            if self.network.is_ready(flight.descriptor, Interest::Readable) == Ok(false) {
                break;
            }
            if count as usize == BUFFER_SIZE || retry == RETRIES {
                let delay = self.stage.up_to(GIVEN_WAY);
                self.stage.plan(delay, Event::Ring(RingEvent::Attempt { ring, key }));
                break;
            }
        }
        self.rings[ring].in_flight.insert(key.to_bits(), flight);
    }

    /// Receives into a lent buffer. Without one it fails at once, whether data is there or not.
    fn receive_into_buffer(&mut self, ring: usize, descriptor: RawFd, most: usize) -> Attempt {
        let Some(buffer) = self.rings[ring].lent.pop_front() else {
            return Attempt::Done(Err(Errno::NOBUFS), None);
        };
        let most = match self.stage.strikes(|faults| faults.short_receive) {
            true => 1 + self.stage.random().below(500) as usize,
            false => most,
        };
        match self.network.receive(descriptor, most, &mut self.stage) {
            Ok(bytes) if !bytes.is_empty() => {
                self.rings[ring].pool.fill(&buffer, &bytes);
                Attempt::Done(Ok(bytes.len() as u32), Some(buffer))
            }
            Err(Errno::AGAIN) => {
                self.rings[ring].lent.push_front(buffer);
                Attempt::Wait
            }
            ended if self.stage.strikes(|faults| faults.stray_buffer) => Attempt::Done(ended.map(|_| 0), Some(buffer)),
            ended => {
                self.rings[ring].lent.push_front(buffer);
                Attempt::Done(ended.map(|_| 0), None)
            }
        }
    }

    /// With MSG_WAITALL a send goes on until its last byte; what it has sent before an error counts.
    fn send(&mut self, descriptor: RawFd, bytes: &[u8], sent: &mut usize, ends: bool) -> Attempt {
        let end = match self.stage.strikes(|faults| faults.short_send) {
            true => *sent + self.stage.random().below((bytes.len() - *sent) as u64) as usize + 1,
            false => bytes.len(),
        };
        let end = end.min(bytes.len());
        let send = if ends { Network::send_more } else { Network::send };
        match send(&mut self.network, descriptor, &bytes[*sent..end], &mut self.stage) {
            Ok(count) => {
                *sent += count;
                if *sent == end { Attempt::Done(Ok(end as u32), None) } else { Attempt::Wait }
            }
            Err(Errno::AGAIN) => Attempt::Wait,
            Err(_) if *sent > 0 => Attempt::Done(Ok(*sent as u32), None),
            Err(errno) => Attempt::Done(Err(errno), None),
        }
    }

    /// A completion of an operation that goes on.
    fn go_on(&mut self, ring: usize, key: Key, flight: &mut InFlight, result: u32, buffer: Option<BufferId>) {
        let completion = Completion { key, result: result as i32, buffer, more: true };
        let finished = Finished { completion, descriptor: flight.descriptor };
        self.deliver(ring, finished, &mut flight.delivered_until);
    }
}

fn settled(result: Result<impl TryInto<u32>, Errno>) -> Attempt {
    match result {
        Ok(count) => Attempt::Done(Ok(count.try_into().unwrap_or(u32::MAX)), None),
        Err(Errno::AGAIN) => Attempt::Wait,
        Err(errno) => Attempt::Done(Err(errno), None),
    }
}
