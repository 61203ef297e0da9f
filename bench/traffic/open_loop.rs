//! A client that does not wait: requests fall due at a fixed rate whatever the answers do.
//!
//! Every latency runs from the moment a request was due, not from when a connection became free to send it, so a stall
//! counts for all the requests it held up (no coordinated omission).

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use serde_json::{Value, json};

use crate::http_connection::{HttpConnection, Progress};

const EVENTS_PER_TURN: usize = 256;
const CLOCK: u64 = u64::MAX;
/// Requests closer together than this share a wake-up.
const SHORTEST_TICK: Duration = Duration::from_micros(20);
const DEADLINE_CHECK: Duration = Duration::from_millis(10);
const LATENCY_MAX_NS: u64 = 120_000_000_000;

/// A fixed rate of `GET /` over keep-alive connections; more are opened when all are busy.
#[derive(Args)]
pub struct OpenLoop {
    #[arg(long)]
    to: SocketAddr,
    /// Requests per second.
    #[arg(long)]
    rate: f64,
    #[arg(long)]
    seconds: f64,
    /// Not recorded, before `seconds` begin.
    #[arg(long, default_value_t = 0.5)]
    warmup_seconds: f64,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 4096)]
    connections_max: usize,
    /// A request without an answer after this long has failed.
    #[arg(long, default_value_t = 10_000)]
    deadline_ms: u64,
    /// A good answer later than this is counted as slow.
    #[arg(long, default_value_t = 200)]
    slow_ms: u64,
}

impl OpenLoop {
    /// Runs the schedule, waits for the last answers and reports counts and latency percentiles in microseconds.
    pub fn run(&self) -> Result<Value, Box<dyn Error>> {
        Run::new(self)?.run()
    }
}

/// A schedule being carried out.
struct Run<'a> {
    load: &'a OpenLoop,
    request: Vec<u8>,
    poll: Epoll,
    connections: Vec<Option<HttpConnection>>,
    idle: VecDeque<usize>,
    vacant: Vec<usize>,
    /// Due while every connection was busy and no more could be opened.
    waiting: VecDeque<Instant>,
    start: Instant,
    issued: u32,
    interval: Duration,
    tally: Tally,
}

/// Why a request came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    Connect,
    Closed,
    Deadline,
}

/// What became of the requests that were due after the warm-up.
struct Tally {
    from: Instant,
    slow_after: Duration,
    ok: u64,
    slow: u64,
    statuses: BTreeMap<u16, u64>,
    failures: BTreeMap<Failure, u64>,
    latency: Histogram<u64>,
    /// How late this client itself was in taking up a request.
    lateness: Histogram<u64>,
}

impl<'a> Run<'a> {
    fn new(load: &'a OpenLoop) -> Result<Self, Box<dyn Error>> {
        nix::sys::prctl::set_timerslack(1)?;
        let now = Instant::now();
        let mut run = Self {
            load,
            request: format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", load.to).into_bytes(),
            poll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            connections: Vec::new(),
            idle: VecDeque::new(),
            vacant: Vec::new(),
            waiting: VecDeque::new(),
            start: now,
            issued: 0,
            interval: Duration::from_secs_f64(1.0 / load.rate),
            tally: Tally::new(now, Duration::from_millis(load.slow_ms))?,
        };
        for _ in 0..load.connections {
            let slot = run.open()?;
            run.idle.push_back(slot);
        }
        Ok(run)
    }

    fn run(mut self) -> Result<Value, Box<dyn Error>> {
        let clock = start_clock(self.interval)?;
        self.poll.add(&clock, EpollEvent::new(EpollFlags::EPOLLIN, CLOCK))?;
        self.start = Instant::now();
        self.tally.from = self.start + Duration::from_secs_f64(self.load.warmup_seconds);
        let total = ((self.load.warmup_seconds + self.load.seconds) * self.load.rate) as u32;
        let mut scratch = vec![0; 65536];
        let mut next_deadline_check = self.start;
        while self.issued < total || self.is_busy() {
            for token in self.wait()? {
                match token {
                    CLOCK => clock.wait()?,
                    slot => self.handle_ready(slot as usize, &mut scratch)?,
                }
            }
            let now = Instant::now();
            self.issue_due(total, now);
            if now >= next_deadline_check {
                next_deadline_check = now + DEADLINE_CHECK;
                self.fail_overdue(now);
            }
        }
        Ok(self.tally.report())
    }

    fn wait(&self) -> nix::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
        match self.poll.wait(&mut events, EpollTimeout::NONE) {
            Ok(count) => Ok(events[..count].iter().map(EpollEvent::data).collect()),
            Err(nix::Error::EINTR) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.connections.iter().flatten().any(|connection| connection.due().is_some())
    }

    fn issue_due(&mut self, total: u32, now: Instant) {
        while self.issued < total {
            let due = self.start + self.interval * self.issued;
            if due > now {
                return;
            }
            self.issued += 1;
            self.tally.note_lateness(due, now);
            self.issue(due);
        }
    }

    fn issue(&mut self, due: Instant) {
        if let Some(slot) = self.idle.pop_front() {
            return self.send(slot, due);
        }
        if self.connections.len() - self.vacant.len() >= self.load.connections_max {
            return self.waiting.push_back(due);
        }
        match self.open() {
            Ok(slot) => self.send(slot, due),
            Err(_) => self.tally.fail(due, Failure::Connect),
        }
    }

    fn open(&mut self) -> Result<usize, Box<dyn Error>> {
        let connection = HttpConnection::open(self.load.to)?;
        let slot = self.vacant.pop().unwrap_or(self.connections.len());
        self.poll.add(connection.stream().as_fd(), EpollEvent::new(EpollFlags::EPOLLOUT, slot as u64))?;
        if slot == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[slot] = Some(connection);
        Ok(slot)
    }

    fn send(&mut self, slot: usize, due: Instant) {
        if let Some(connection) = &mut self.connections[slot]
            && connection.send(&self.request, due).is_err()
        {
            self.close(slot, Failure::Closed);
        }
    }

    fn handle_ready(&mut self, slot: usize, scratch: &mut [u8]) -> nix::Result<()> {
        let Some(connection) = &mut self.connections[slot] else {
            return Ok(());
        };
        if !connection.is_connecting() {
            self.handle_readable(slot, scratch);
        } else if connection.finish_connecting(&self.request).is_ok() {
            let mut readable = EpollEvent::new(EpollFlags::EPOLLIN, slot as u64);
            self.poll.modify(connection.stream().as_fd(), &mut readable)?;
        } else {
            self.drop_idle(slot, Failure::Connect);
        }
        Ok(())
    }

    fn handle_readable(&mut self, slot: usize, scratch: &mut [u8]) {
        let Some(connection) = &mut self.connections[slot] else {
            return;
        };
        match connection.receive(scratch) {
            Progress::Partial => {}
            Progress::Ended => self.drop_idle(slot, Failure::Closed),
            Progress::Answered(answer) => {
                if let Some(due) = connection.due() {
                    self.tally.answer(due, Instant::now(), answer.status);
                }
                connection.finish();
                if answer.keep_alive {
                    self.idle.push_back(slot);
                } else {
                    self.close(slot, Failure::Closed);
                }
                if let Some(due) = self.waiting.pop_front() {
                    self.issue(due);
                }
            }
        }
    }

    fn fail_overdue(&mut self, now: Instant) {
        let deadline = Duration::from_millis(self.load.deadline_ms);
        for slot in 0..self.connections.len() {
            let due = self.connections[slot].as_ref().and_then(HttpConnection::due);
            if due.is_some_and(|due| now - due >= deadline) {
                self.close(slot, Failure::Deadline);
            }
        }
        while let Some(due) = self.waiting.pop_front_if(|due| now - *due >= deadline) {
            self.tally.fail(due, Failure::Deadline);
        }
    }

    /// Drops a connection that may be waiting for its next request.
    fn drop_idle(&mut self, slot: usize, reason: Failure) {
        self.idle.retain(|&idle| idle != slot);
        self.close(slot, reason);
    }

    /// Drops a connection; a request that was under way on it has failed.
    fn close(&mut self, slot: usize, reason: Failure) {
        if let Some(connection) = self.connections[slot].take() {
            self.vacant.push(slot);
            if let Some(due) = connection.due() {
                self.tally.fail(due, reason);
            }
        }
    }
}

impl Tally {
    fn new(from: Instant, slow_after: Duration) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            from,
            slow_after,
            ok: 0,
            slow: 0,
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1_000, LATENCY_MAX_NS, 3)?,
            lateness: Histogram::new_with_bounds(1_000, LATENCY_MAX_NS, 3)?,
        })
    }

    fn answer(&mut self, due: Instant, now: Instant, status: u16) {
        if due < self.from {
            return;
        }
        let latency = now - due;
        self.latency.saturating_record(latency.as_nanos() as u64);
        if status == 200 {
            self.ok += 1;
            self.slow += u64::from(latency >= self.slow_after);
        } else {
            *self.statuses.entry(status).or_default() += 1;
        }
    }

    fn fail(&mut self, due: Instant, failure: Failure) {
        if due >= self.from {
            *self.failures.entry(failure).or_default() += 1;
        }
    }

    fn note_lateness(&mut self, due: Instant, now: Instant) {
        if due >= self.from {
            self.lateness.saturating_record((now - due).as_nanos() as u64);
        }
    }

    fn report(&self) -> Value {
        let failures = |failure| self.failures.get(&failure).copied().unwrap_or(0);
        let bad_statuses: u64 = self.statuses.values().sum();
        let broken: u64 = self.failures.values().sum();
        json!({
            "ok": self.ok,
            "slow": self.slow,
            "failed": bad_statuses + broken,
            "statuses": self.statuses,
            "failures": {
                "connect": failures(Failure::Connect),
                "closed": failures(Failure::Closed),
                "deadline": failures(Failure::Deadline),
            },
            "latency_us": percentiles(&self.latency),
            "client_lateness_us": percentiles(&self.lateness),
        })
    }
}

/// Ticks with the schedule, so that a request is taken up when it falls due.
fn start_clock(interval: Duration) -> nix::Result<TimerFd> {
    let tick = interval.clamp(SHORTEST_TICK, DEADLINE_CHECK);
    let clock = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    let expiration = Expiration::Interval(TimeSpec::from_duration(tick));
    clock.set(expiration, TimerSetTimeFlags::empty())?;
    Ok(clock)
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    let microseconds = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "p50": microseconds(0.5),
        "p90": microseconds(0.9),
        "p99": microseconds(0.99),
        "p99_9": microseconds(0.999),
        "max": histogram.max() as f64 / 1000.0,
    })
}
