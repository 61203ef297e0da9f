//! Non-blocking sockets and pipes over in-memory connections: the system calls of the simulated kernel. What cannot be
//! done now fails with EAGAIN; when it may have become possible, the descriptor is named in `stirred`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::time::Duration;

use elbow::runtime::{Direction, Interest};

use crate::connection::{Connection, Side};
use crate::descriptors::{Descriptors, Object};
use crate::pipe::{FRAGMENT, SimPipe};
use crate::stage::{Event, Harm, Stage};

/// An error number, as errno(3) has them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    pub const AGAIN: Errno = Errno(libc::EAGAIN);
    pub const BADF: Errno = Errno(libc::EBADF);
    pub const CANCELED: Errno = Errno(libc::ECANCELED);
    pub const CONNABORTED: Errno = Errno(libc::ECONNABORTED);
    pub const CONNREFUSED: Errno = Errno(libc::ECONNREFUSED);
    pub const CONNRESET: Errno = Errno(libc::ECONNRESET);
    pub const MFILE: Errno = Errno(libc::EMFILE);
    pub const NOBUFS: Errno = Errno(libc::ENOBUFS);
    pub const NOTCONN: Errno = Errno(libc::ENOTCONN);
    pub const PIPE: Errno = Errno(libc::EPIPE);
    pub const TIMEDOUT: Errno = Errno(libc::ETIMEDOUT);
}

impl std::fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", io::Error::from(*self))
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

/// What will happen to a connection or a connect.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A connect reaches the other side, for the nth time.
    Knock { socket: RawFd, to: SocketAddr, attempt: u32 },
    /// The other side's answer to a connect reaches the connecting side.
    Answer { socket: RawFd, result: Result<u32, Errno> },
    /// Something on its way has come to one end.
    Arrival { connection: u32, side: Side },
    /// One end may send again.
    Room { connection: u32, side: Side },
    /// The connection is cut.
    Sever { connection: u32 },
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    backlog: usize,
    queue: VecDeque<u32>,
}

/// All sockets, connections and pipes.
#[derive(Debug, Default)]
pub struct Network {
    pub descriptors: Descriptors,
    listeners: BTreeMap<RawFd, Listening>,
    connections: BTreeMap<u32, Connection>,
    pipes: BTreeMap<u32, SimPipe>,
    numbered: u32,
    ports: u16,
    /// Descriptors whose readiness may have changed.
    pub stirred: Vec<RawFd>,
}

/// A SYN is sent again after one second, then two, then four; then the connect fails (tcp(7), tcp_syn_retries = 6).
const FIRST_RETRY: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 7;

/// The first port given out.
const PORTS_FROM: u16 = 10_000;

impl Network {
    /// socket(2), bind(2) and listen(2) with SO_REUSEPORT.
    pub fn listen(&mut self, ring: usize, mut address: SocketAddr, backlog: u32, stage: &mut Stage) -> RawFd {
        if address.port() == 0 {
            address.set_port(self.next_port());
        }
        let descriptor = self.descriptors.open(ring, Object::Listener);
        let backlog = 1 + stage.random().below(u64::from(backlog)) as usize;
        self.listeners.insert(descriptor, Listening { address, backlog, queue: VecDeque::new() });
        descriptor
    }

    /// socket(2).
    pub fn open(&mut self, ring: usize, stage: &mut Stage) -> Result<RawFd, Errno> {
        if stage.strikes(|faults| faults.no_descriptor) {
            let nowhere = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
            stage.injure(Harm::NoDescriptor, nowhere, nowhere);
            return Err(Errno::MFILE);
        }
        Ok(self.descriptors.open(ring, Object::Fresh))
    }

    /// connect(2): sets out. The result shows later in [`Network::connected`].
    pub fn connect(&mut self, socket: RawFd, to: SocketAddr, stage: &mut Stage) {
        if let Some(open) = self.descriptors.get_mut(socket) {
            open.object = Object::Connecting(None);
        }
        let delay = self.delay(stage);
        stage.plan(delay, Event::Network(NetworkEvent::Knock { socket, to, attempt: 1 }));
    }

    /// How a connect went; EAGAIN while it is on its way.
    pub fn connected(&mut self, socket: RawFd) -> Result<(), Errno> {
        match self.object(socket)? {
            Object::Connected(..) => Ok(()),
            Object::Failed(errno) => Err(errno),
            _ => Err(Errno::AGAIN),
        }
    }

    /// accept4(2), non-blocking.
    pub fn accept(&mut self, listener: RawFd, stage: &mut Stage) -> Result<RawFd, Errno> {
        let ring = self.descriptors.get(listener).ok_or(Errno::BADF)?.ring;
        let listening = self.listeners.get_mut(&listener).ok_or(Errno::BADF)?;
        let number = *listening.queue.front().ok_or(Errno::AGAIN)?;
        let connection = self.connections.get_mut(&number).ok_or(Errno::BADF)?;
        if stage.strikes(|faults| faults.no_descriptor) {
            stage.injure(Harm::NoDescriptor, connection.address(Side::Client), connection.address(Side::Server));
            return Err(Errno::MFILE);
        }
        listening.queue.pop_front();
        let descriptor = self.descriptors.open(ring, Object::Connected(number, Side::Server));
        connection.attach(Side::Server, descriptor);
        Ok(descriptor)
    }

    /// recv(2), non-blocking; empty at the end of the stream.
    pub fn receive(&mut self, socket: RawFd, most: usize, stage: &mut Stage) -> Result<Vec<u8>, Errno> {
        let (connection, side) = self.connection(socket)?;
        connection.receive(side, most, stage)
    }

    /// send(2), non-blocking.
    pub fn send(&mut self, socket: RawFd, bytes: &[u8], stage: &mut Stage) -> Result<usize, Errno> {
        let (connection, side) = self.connection(socket)?;
        connection.send(side, bytes, stage)
    }

    /// send(2) with MSG_MORE, non-blocking.
    pub fn send_more(&mut self, socket: RawFd, bytes: &[u8], stage: &mut Stage) -> Result<usize, Errno> {
        let (connection, side) = self.connection(socket)?;
        connection.send_more(side, bytes, stage)
    }

    /// poll(2) for one interest.
    pub fn is_ready(&mut self, descriptor: RawFd, interest: Interest) -> Result<bool, Errno> {
        if let Some(listening) = self.listeners.get(&descriptor) {
            return Ok(interest == Interest::Readable && !listening.queue.is_empty());
        }
        let (connection, side) = self.connection(descriptor)?;
        Ok(connection.is_ready(side, interest))
    }

    /// shutdown(2).
    pub fn shutdown(&mut self, socket: RawFd, direction: Direction, stage: &mut Stage) -> Result<(), Errno> {
        let (connection, side) = self.connection(socket)?;
        connection.shutdown(side, direction, stage);
        self.stirred.push(socket);
        Ok(())
    }

    /// SO_LINGER with zero seconds.
    pub fn reset_on_close(&mut self, socket: RawFd) -> Result<(), Errno> {
        let (connection, side) = self.connection(socket)?;
        connection.reset_on_close(side);
        Ok(())
    }

    /// getpeername(2).
    pub fn peer_address(&mut self, socket: RawFd) -> Result<SocketAddr, Errno> {
        let (connection, side) = self.connection(socket)?;
        match connection.is_open(side) {
            true => Ok(connection.address(side.other())),
            false => Err(Errno::NOTCONN),
        }
    }

    /// getsockname(2).
    pub fn local_address(&mut self, socket: RawFd) -> Result<SocketAddr, Errno> {
        if let Some(listening) = self.listeners.get(&socket) {
            return Ok(listening.address);
        }
        let (connection, side) = self.connection(socket)?;
        Ok(connection.address(side))
    }

    /// pipe2(2) with the largest capacity to be had: read end, write end, capacity.
    pub fn pipe(&mut self, ring: usize, stage: &mut Stage) -> Result<(RawFd, RawFd, usize), Errno> {
        if stage.strikes(|faults| faults.no_pipe) {
            return Err(Errno::MFILE);
        }
        let pipe = SimPipe::drawn(stage);
        let (number, capacity) = (self.next_number(), pipe.capacity);
        self.pipes.insert(number, pipe);
        let output = self.descriptors.open(ring, Object::PipeOut(number));
        Ok((output, self.descriptors.open(ring, Object::PipeIn(number)), capacity))
    }

    /// splice(2), non-blocking, between a socket and a pipe.
    pub fn splice(&mut self, from: RawFd, to: RawFd, length: usize, stage: &mut Stage) -> Result<usize, Errno> {
        let length = match stage.strikes(|faults| faults.short_splice) {
            true => length.min(1 + stage.random().below(2_000) as usize),
            false => length,
        };
        if stage.strikes(|faults| faults.spurious_splice) {
            return Err(Errno::AGAIN);
        }
        match (self.object(from)?, self.object(to)?) {
            (Object::Connected(..), Object::PipeIn(pipe)) => self.fill(from, pipe, length, stage),
            (Object::PipeOut(pipe), Object::Connected(..)) => self.empty(pipe, to, length, stage),
            _ => Err(Errno(libc::EINVAL)),
        }
    }

    /// close(2). The descriptor is known to be open.
    pub fn close(&mut self, descriptor: RawFd, stage: &mut Stage) {
        let Some(open) = self.descriptors.close(descriptor) else { return };
        match open.object {
            Object::Listener => {
                let listening = self.listeners.remove(&descriptor);
                for number in listening.into_iter().flat_map(|listening| listening.queue) {
                    self.abort(number, Side::Server, stage);
                }
            }
            Object::Connecting(Some(number)) => self.abort(number, Side::Client, stage),
            Object::Connected(number, side) => self.close_end(number, side, stage),
            Object::PipeOut(number) => drop(self.pipes.remove(&number)),
            Object::PipeIn(_) | Object::Fresh | Object::Failed(_) | Object::Connecting(None) => {}
        }
    }

    /// Lets an event happen.
    pub fn handle(&mut self, event: NetworkEvent, stage: &mut Stage) {
        match event {
            NetworkEvent::Knock { socket, to, attempt } => self.knock(socket, to, attempt, stage),
            NetworkEvent::Answer { socket, result } => self.answer(socket, result),
            NetworkEvent::Arrival { connection, side } => {
                let stirred = self.connections.get_mut(&connection).and_then(|found| found.arrive(side, stage));
                self.stirred.extend(stirred);
            }
            NetworkEvent::Room { connection, side } => {
                let stirred = self.connections.get(&connection).and_then(|found| found.descriptor(side));
                self.stirred.extend(stirred);
            }
            NetworkEvent::Sever { connection } => {
                if let Some(found) = self.connections.get_mut(&connection) {
                    found.sever(stage);
                    self.stirred.extend(found.descriptor(Side::Client));
                    self.stirred.extend(found.descriptor(Side::Server));
                }
            }
        }
    }

    /// A connect has reached the other side: it is queued, refused, or dropped and tried again.
    fn knock(&mut self, socket: RawFd, to: SocketAddr, attempt: u32, stage: &mut Stage) {
        let Some(ring) = self.descriptors.get(socket).map(|open| open.ring) else { return };
        let client = SocketAddr::new(host(ring), self.next_port());
        if stage.strikes(|faults| faults.unanswered) {
            stage.injure(Harm::Unanswered, client, to);
            return retry(socket, to, ATTEMPTS, stage);
        }
        let at_address = |(_, listening): &(&RawFd, &Listening)| matches(&listening.address, &to);
        let listeners: Vec<RawFd> = self.listeners.iter().filter(at_address).map(|(number, _)| *number).collect();
        let refused = stage.strikes(|faults| faults.refused);
        if refused {
            stage.injure(Harm::Refused, client, to);
        }
        let delay = self.delay(stage);
        if refused || listeners.is_empty() {
            let result = Err(Errno::CONNREFUSED);
            return stage.plan(delay, Event::Network(NetworkEvent::Answer { socket, result }));
        }
        let listener = listeners[stage.random().below(listeners.len() as u64) as usize];
        let number = self.next_number();
        let Some(listening) = self.listeners.get_mut(&listener) else { return };
        if listening.queue.len() > listening.backlog {
            return retry(socket, to, attempt, stage);
        }
        listening.queue.push_back(number);
        let connection = Connection::new(number, client, to, stage);
        let answer = NetworkEvent::Answer { socket, result: Ok(number) };
        stage.plan(connection.latency(), Event::Network(answer));
        self.connections.insert(number, connection);
        self.stirred.push(listener);
        if let Some(open) = self.descriptors.get_mut(socket) {
            open.object = Object::Connecting(Some(number));
        }
    }

    fn answer(&mut self, socket: RawFd, result: Result<u32, Errno>) {
        let Some(open) = self.descriptors.get_mut(socket) else { return };
        open.object = match result {
            Ok(number) => Object::Connected(number, Side::Client),
            Err(errno) => Object::Failed(errno),
        };
        if let Ok(number) = result
            && let Some(connection) = self.connections.get_mut(&number)
        {
            connection.attach(Side::Client, socket);
        }
        self.stirred.push(socket);
    }

    fn fill(&mut self, from: RawFd, number: u32, length: usize, stage: &mut Stage) -> Result<usize, Errno> {
        let mut moved = 0;
        while moved < length {
            let pipe = self.pipes.get(&number).ok_or(Errno::PIPE)?;
            if pipe.is_full() {
                break;
            }
            let (connection, side) = self.connection(from)?;
            // What ended the stream, if anything, is for the next call to tell.
            if moved > 0 && !connection.has_received(side) {
                break;
            }
            match connection.receive_piece(side, FRAGMENT.min(length - moved), stage) {
                Ok(Some(piece)) => {
                    moved += piece.len();
                    self.pipes.get_mut(&number).ok_or(Errno::PIPE)?.push(piece);
                }
                Ok(None) => return Ok(moved),
                Err(errno) if moved == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        if moved == 0 && length > 0 { Err(Errno::AGAIN) } else { Ok(moved) }
    }

    fn empty(&mut self, number: u32, to: RawFd, length: usize, stage: &mut Stage) -> Result<usize, Errno> {
        let mut moved = 0;
        while moved < length {
            let pipe = self.pipes.get(&number).ok_or(Errno::BADF)?;
            let Some(fragment) = pipe.front() else { break };
            let fragment = fragment[..fragment.len().min(length - moved)].to_vec();
            let (connection, side) = self.connection(to)?;
            match connection.send(side, &fragment, stage) {
                Ok(count) => {
                    moved += count;
                    self.pipes.get_mut(&number).ok_or(Errno::BADF)?.take(count);
                }
                Err(errno) if moved == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        if moved == 0 && length > 0 { Err(Errno::AGAIN) } else { Ok(moved) }
    }

    /// Closes an end that nobody has got hold of, with a reset.
    fn abort(&mut self, number: u32, side: Side, stage: &mut Stage) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.reset_on_close(side);
        }
        self.close_end(number, side, stage);
    }

    fn close_end(&mut self, number: u32, side: Side, stage: &mut Stage) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.close(side, stage);
        if connection.is_over() {
            self.connections.remove(&number);
        }
    }

    fn object(&self, descriptor: RawFd) -> Result<Object, Errno> {
        self.descriptors.get(descriptor).map(|open| open.object).ok_or(Errno::BADF)
    }

    fn connection(&mut self, socket: RawFd) -> Result<(&mut Connection, Side), Errno> {
        match self.object(socket)? {
            Object::Connected(number, side) => {
                self.connections.get_mut(&number).map(|connection| (connection, side)).ok_or(Errno::NOTCONN)
            }
            _ => Err(Errno::NOTCONN),
        }
    }

    fn delay(&self, stage: &mut Stage) -> Duration {
        let longest = stage.faults().latency;
        Duration::from_micros(5) + stage.up_to(longest)
    }

    fn next_number(&mut self) -> u32 {
        self.numbered += 1;
        self.numbered
    }

    fn next_port(&mut self) -> u16 {
        self.ports = self.ports.max(PORTS_FROM).checked_add(1).unwrap_or(PORTS_FROM);
        self.ports
    }
}

/// The address from which a ring's sockets connect.
pub fn host(ring: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 1 + ring as u8])
}

fn matches(listening: &SocketAddr, to: &SocketAddr) -> bool {
    listening.port() == to.port() && (listening.ip() == to.ip() || listening.ip().is_unspecified())
}

/// The accept queue is full and the SYN was dropped: the connecting side sends it again.
fn retry(socket: RawFd, to: SocketAddr, attempt: u32, stage: &mut Stage) {
    let delay = FIRST_RETRY * (1 << (attempt - 1));
    let event = match attempt {
        ATTEMPTS => NetworkEvent::Answer { socket, result: Err(Errno::TIMEDOUT) },
        _ => NetworkEvent::Knock { socket, to, attempt: attempt + 1 },
    };
    stage.plan(delay, Event::Network(event));
}
