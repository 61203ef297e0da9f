//! One TCP connection: two ends, and a lane from each to the other. Behaves as tcp(7) on Linux does where a program can
//! tell: a close with unread data resets, bytes received before a reset can still be read, bytes sent to an end that is
//! closed are answered with a reset, a pending error is reported once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::Duration;

use elbow::base::Instant;
use elbow::runtime::{Direction, Interest};

use crate::bytes::ByteQueue;
use crate::network::{Errno, NetworkEvent};
use crate::stage::{Event, Harm, Stage};
use crate::trace::Note;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The end that connected.
    Client,
    /// The end that was accepted.
    Server,
}

impl Side {
    /// The end across.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// A connection, from the moment the listening side has answered.
#[derive(Debug)]
pub struct Connection {
    number: u32,
    client: End,
    server: End,
    latency: Duration,
    fate: Fate,
    carried: u64,
}

/// Where one side stands, and the lane on which its bytes leave.
#[derive(Debug)]
struct End {
    address: SocketAddr,
    descriptor: Option<RawFd>,
    state: State,
    reading: Half,
    writing: Half,
    reset_on_close: bool,
    lane: Lane,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A reset has come; the error, until somebody was told.
    Reset(Option<Errno>),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Open,
    Shut,
}

/// Bytes on their way from one end to the other.
#[derive(Debug)]
struct Lane {
    /// Bytes that may be sent and not yet read.
    window: usize,
    /// Most bytes of one segment.
    segment: usize,
    flying: VecDeque<Flying>,
    flying_bytes: usize,
    /// Taken from the sender and not sent yet.
    held: Option<Vec<u8>>,
    received: ByteQueue,
    /// The end of the stream has arrived.
    ended: bool,
    last_arrival: Instant,
    /// The sender wants to know when there is room again.
    wanted: bool,
    /// Nothing arrives before.
    held_until: Instant,
}

#[derive(Debug)]
struct Flying {
    arrives: Instant,
    what: Segment,
}

#[derive(Debug)]
enum Segment {
    Data(Vec<u8>),
    End,
    Reset,
}

/// What chance has in store for a connection.
#[derive(Debug)]
struct Fate {
    severed_after: Option<u64>,
    stalled_after: Option<(u64, Side, Duration)>,
}

/// A stall of this length never ends.
const FOR_EVER: Duration = Duration::MAX;

impl Connection {
    /// A connection between two addresses; draws its latency, windows and fate.
    pub fn new(number: u32, client: SocketAddr, server: SocketAddr, stage: &mut Stage) -> Connection {
        let longest = stage.faults().latency;
        let latency = Duration::from_micros(5) + stage.up_to(longest);
        let fate = Fate::drawn(stage);
        if stage.strikes(|faults| faults.severed) {
            let delay = stage.up_to(Duration::from_secs(2));
            stage.plan(delay, Event::Network(NetworkEvent::Sever { connection: number }));
        }
        let (client, server) = (End::new(client, stage), End::new(server, stage));
        Connection { number, client, server, latency, fate, carried: 0 }
    }

    /// One-way delay.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// The address of one end.
    pub fn address(&self, side: Side) -> SocketAddr {
        self.end(side).address
    }

    /// The descriptor of one end while it is open and somebody holds it.
    pub fn descriptor(&self, side: Side) -> Option<RawFd> {
        self.end(side).descriptor
    }

    /// Gives one end to a descriptor.
    pub fn attach(&mut self, side: Side, descriptor: RawFd) {
        self.end_mut(side).descriptor = Some(descriptor);
    }

    /// Whether both ends are closed.
    pub fn is_over(&self) -> bool {
        self.client.state == State::Closed && self.server.state == State::Closed
    }

    /// Whether `side` is neither reset nor closed.
    pub fn is_open(&self, side: Side) -> bool {
        self.end(side).state == State::Open
    }

    /// recv(2), non-blocking: up to `most` bytes in as few pieces as they need; empty at the end of the stream.
    pub fn receive(&mut self, side: Side, most: usize, stage: &mut Stage) -> Result<Vec<u8>, Errno> {
        self.readable(side)?;
        let bytes = self.end_mut(side.other()).lane.received.take(most);
        self.made_room(side, stage);
        Ok(bytes)
    }

    /// Whether there are bytes to receive.
    pub fn has_received(&self, side: Side) -> bool {
        !self.end(side.other()).lane.received.is_empty()
    }

    /// Takes one piece of at most `most` bytes, as splice(2) moves them; `None` at the end of the stream.
    pub fn receive_piece(&mut self, side: Side, most: usize, stage: &mut Stage) -> Result<Option<Vec<u8>>, Errno> {
        self.readable(side)?;
        let piece = self.end_mut(side.other()).lane.received.take_piece(most);
        self.made_room(side, stage);
        Ok(piece)
    }

    /// send(2), non-blocking: how many bytes were taken.
    pub fn send(&mut self, side: Side, bytes: &[u8], stage: &mut Stage) -> Result<usize, Errno> {
        let sent = self.send_more(side, bytes, stage);
        self.push(side, stage);
        sent
    }

    /// As [`Connection::send`], with MSG_MORE: the last segment, which need not be full, waits for what comes after it,
    /// for ever if nothing comes. A kernel would wait for a fifth of a second; nobody should count on that.
    pub fn send_more(&mut self, side: Side, bytes: &[u8], stage: &mut Stage) -> Result<usize, Errno> {
        self.push(side, stage);
        let (latency, carried) = (self.latency, self.carried);
        let end = self.end_mut(side);
        match &mut end.state {
            State::Open if end.writing == Half::Open => {}
            State::Reset(error) => return Err(error.take().unwrap_or(Errno::PIPE)),
            State::Open | State::Closed => return Err(Errno::PIPE),
        }
        let count = end.lane.room().min(bytes.len());
        if count < bytes.len() {
            end.lane.wanted = true;
        }
        if count == 0 && !bytes.is_empty() {
            return Err(Errno::AGAIN);
        }
        let segment = end.lane.next_segment(carried);
        let mut pieces = bytes[..count].chunks(segment);
        // Without room for all of it nothing is held: room comes only from what is sent.
        end.lane.held = if count == bytes.len() { pieces.next_back().map(<[u8]>::to_vec) } else { None };
        for piece in pieces {
            self.fly(side, Segment::Data(piece.to_vec()), latency, stage);
        }
        self.carried += count as u64;
        self.meet_fate(stage);
        Ok(count)
    }

    /// poll(2) for one interest; errors and hang-ups count as ready.
    pub fn is_ready(&mut self, side: Side, interest: Interest) -> bool {
        match interest {
            Interest::Readable => self.can_read(side),
            Interest::Writable => {
                let end = self.end_mut(side);
                // As sk_stream_is_writeable(): a third of the buffer must be free.
                let ready =
                    end.state != State::Open || end.writing == Half::Shut || end.lane.room() * 3 >= end.lane.window;
                end.lane.wanted |= !ready;
                ready
            }
        }
    }

    /// shutdown(2).
    pub fn shutdown(&mut self, side: Side, direction: Direction, stage: &mut Stage) {
        if self.end(side).state != State::Open {
            return;
        }
        self.end_stream(side, stage);
        if direction == Direction::Both {
            self.end_mut(side).reading = Half::Shut;
        }
    }

    /// SO_LINGER with zero seconds.
    pub fn reset_on_close(&mut self, side: Side) {
        self.end_mut(side).reset_on_close = true;
    }

    /// close(2): a reset when asked for or when data was left unread, else the end of the stream.
    pub fn close(&mut self, side: Side, stage: &mut Stage) {
        let unread = !self.end(side.other()).lane.received.is_empty();
        if self.end(side).state == State::Open {
            if unread || self.end(side).reset_on_close {
                let kept = stage.random().below(self.end(side).lane.flying.len() as u64 + 1) as usize;
                self.end_mut(side).lane.discard_from(kept);
                self.end_mut(side).lane.held = None;
                self.fly(side, Segment::Reset, self.latency, stage);
            } else {
                self.end_stream(side, stage);
            }
        }
        let end = self.end_mut(side);
        (end.state, end.descriptor) = (State::Closed, None);
    }

    /// Whatever is due at `side` arrives. The descriptor whose readiness may have changed.
    pub fn arrive(&mut self, side: Side, stage: &mut Stage) -> Option<RawFd> {
        let lane = &mut self.end_mut(side.other()).lane;
        if lane.flying.front().is_none_or(|first| first.arrives > stage.now()) {
            return None;
        }
        let arrived = lane.flying.pop_front()?;
        let (what, bytes) = match &arrived.what {
            Segment::Data(bytes) => ("data", bytes.len()),
            Segment::End => ("end", 0),
            Segment::Reset => ("reset", 0),
        };
        lane.flying_bytes -= bytes;
        stage.note(Note::Arrive { connection: self.number, side: side as usize, what, bytes });
        match (arrived.what, self.end(side).state) {
            (Segment::Data(bytes), State::Open) => self.end_mut(side.other()).lane.received.push(bytes),
            (Segment::Data(_), State::Closed) => self.fly(side, Segment::Reset, self.latency, stage),
            (Segment::End, State::Open) => self.end_mut(side.other()).lane.ended = true,
            (Segment::Reset, State::Open) => self.reset(side),
            (_, State::Reset(_) | State::Closed) => return None,
        }
        self.end(side).descriptor
    }

    /// Cuts the connection: a reset at both ends, now.
    pub fn sever(&mut self, stage: &mut Stage) {
        if self.client.state == State::Open || self.server.state == State::Open {
            stage.injure(Harm::Severed, self.client.address, self.server.address);
        }
        for side in [Side::Client, Side::Server] {
            if self.end(side).state == State::Open {
                self.reset(side);
            }
        }
    }

    fn reset(&mut self, side: Side) {
        let end = self.end_mut(side);
        end.state = State::Reset(Some(Errno::CONNRESET));
        end.lane.discard_from(0);
    }

    fn can_read(&self, side: Side) -> bool {
        let (end, lane) = (self.end(side), &self.end(side.other()).lane);
        !lane.received.is_empty() || lane.ended || end.reading == Half::Shut || end.state != State::Open
    }

    /// What a read finds when it finds no bytes: nothing yet, the end, or an error.
    fn readable(&mut self, side: Side) -> Result<(), Errno> {
        if !self.can_read(side) {
            return Err(Errno::AGAIN);
        }
        let lane = &self.end(side.other()).lane;
        let (empty, ended) = (lane.received.is_empty(), lane.ended);
        match &mut self.end_mut(side).state {
            State::Reset(error) if empty && !ended => error.take().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    fn made_room(&mut self, side: Side, stage: &mut Stage) {
        let sender = side.other();
        if std::mem::take(&mut self.end_mut(sender).lane.wanted) {
            stage.plan(self.latency, Event::Network(NetworkEvent::Room { connection: self.number, side: sender }));
        }
    }

    /// Sends what was held back.
    fn push(&mut self, side: Side, stage: &mut Stage) {
        if let Some(held) = self.end_mut(side).lane.held.take() {
            self.fly(side, Segment::Data(held), self.latency, stage);
        }
    }

    fn end_stream(&mut self, side: Side, stage: &mut Stage) {
        self.push(side, stage);
        if std::mem::replace(&mut self.end_mut(side).writing, Half::Shut) == Half::Open {
            self.fly(side, Segment::End, self.latency, stage);
        }
    }

    fn fly(&mut self, from: Side, what: Segment, latency: Duration, stage: &mut Stage) {
        let (connection, jitter) = (self.number, stage.up_to(latency));
        let lane = &mut self.end_mut(from).lane;
        let arrives = (stage.now() + latency + jitter).max(lane.last_arrival).max(lane.held_until);
        if let Segment::Data(bytes) = &what {
            lane.flying_bytes += bytes.len();
        }
        lane.last_arrival = arrives;
        lane.flying.push_back(Flying { arrives, what });
        if arrives < Instant::ZERO + FOR_EVER {
            stage.plan_at(arrives, Event::Network(NetworkEvent::Arrival { connection, side: from.other() }));
        }
    }

    fn meet_fate(&mut self, stage: &mut Stage) {
        if self.fate.severed_after.is_some_and(|bytes| self.carried >= bytes) {
            self.fate.severed_after = None;
            let delay = stage.up_to(self.latency * 2);
            stage.plan(delay, Event::Network(NetworkEvent::Sever { connection: self.number }));
        }
        if let Some((bytes, side, duration)) = self.fate.stalled_after
            && self.carried >= bytes
        {
            self.fate.stalled_after = None;
            stage.injure(Harm::Stalled, self.client.address, self.server.address);
            self.end_mut(side).lane.held_until = stage.now() + duration;
        }
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl End {
    fn new(address: SocketAddr, stage: &mut Stage) -> End {
        End {
            address,
            descriptor: None,
            state: State::Open,
            reading: Half::Open,
            writing: Half::Open,
            reset_on_close: false,
            lane: Lane::drawn(stage),
        }
    }
}

impl Lane {
    fn drawn(stage: &mut Stage) -> Lane {
        let window = match stage.strikes(|faults| faults.small_window) {
            true => 200 + stage.random().below(4_000),
            false => (64 * 1024) << stage.random().below(3),
        };
        let segment = match stage.strikes(|faults| faults.small_segments) {
            true => 1 + stage.random().below(1_460),
            false => 1_460 << stage.random().below(6),
        };
        Lane {
            window: window as usize,
            segment: segment as usize,
            flying: VecDeque::new(),
            flying_bytes: 0,
            held: None,
            received: ByteQueue::default(),
            ended: false,
            last_arrival: Instant::ZERO,
            wanted: false,
            held_until: Instant::ZERO,
        }
    }

    /// Bytes of the next segment. Small ones are for the beginning, where protocols have their corners.
    fn next_segment(&self, carried: u64) -> usize {
        if carried < 4_096 { self.segment } else { self.segment.max(500) }
    }

    fn room(&self) -> usize {
        let held = self.held.as_ref().map_or(0, Vec::len);
        self.window.saturating_sub(self.flying_bytes + held + self.received.len())
    }

    /// Loses what is on its way, except the first `kept` segments.
    fn discard_from(&mut self, kept: usize) {
        for lost in self.flying.drain(kept..) {
            if let Segment::Data(bytes) = lost.what {
                self.flying_bytes -= bytes.len();
            }
        }
    }
}

impl Fate {
    fn drawn(stage: &mut Stage) -> Fate {
        let severed_after = stage.strikes(|faults| faults.severed).then(|| somewhere(stage));
        let stalled_after = stage.strikes(|faults| faults.stalled).then(|| {
            let side = if stage.random().chance(1, 2) { Side::Client } else { Side::Server };
            let duration = match stage.random().chance(1, 4) {
                true => FOR_EVER,
                false => stage.up_to(Duration::from_secs(100)),
            };
            (somewhere(stage), side, duration)
        });
        Fate { severed_after, stalled_after }
    }
}

/// A byte of a connection's life, the first ones most likely.
fn somewhere(stage: &mut Stage) -> u64 {
    let reach = 1 << stage.random().below(18);
    1 + stage.random().below(reach)
}
