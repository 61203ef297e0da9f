//! The relay itself: pairs of connections and the completions that drive them.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::buffer_ring::{BUFFER_BYTES, BUFFER_GROUP, BufferRing};
use crate::operation::{Operation, Side};

const SUBMISSIONS: u32 = 1024;
/// Room for every connection of a 64-connection load to complete many times in one turn.
const COMPLETIONS: u32 = 8192;
const LISTEN_BACKLOG: i32 = 4096;
/// `IORING_RECVSEND_POLL_FIRST`: wait for readiness before the first attempt.
const POLL_FIRST: u16 = 1;

/// All connections of the relay and the ring that drives them.
pub struct Relay {
    ring: IoUring,
    buffers: BufferRing,
    routes: Box<[Route]>,
    pairs: Vec<Option<Pair>>,
    free_slots: Vec<u32>,
    starved: VecDeque<(u32, Side)>,
    /// Routes whose accept ended for want of descriptors; they resume when a pair has closed.
    paused_routes: Vec<u32>,
}

/// A listener and where its connections go.
struct Route {
    listener: TcpListener,
    backend: SockAddr,
}

/// A client connection and the back-end connection that serves it.
struct Pair {
    client: OwnedFd,
    backend: OwnedFd,
    /// Operations the kernel still holds; the pair is closed when this falls to zero after it broke or both sides
    /// ended.
    in_flight: u8,
    ended_sides: u8,
    broken: bool,
}

impl Relay {
    /// Listens on the first address of each route for its second and prepares the ring.
    pub fn new(routes: &[(SocketAddr, SocketAddr)]) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        Ok(Self {
            buffers: BufferRing::register(&ring)?,
            ring,
            routes: routes.iter().map(Route::open).collect::<io::Result<_>>()?,
            pairs: Vec::new(),
            free_slots: Vec::new(),
            starved: VecDeque::new(),
            paused_routes: Vec::new(),
        })
    }

    /// Serves until the ring fails.
    pub fn run(&mut self) -> io::Result<()> {
        for route in 0..self.routes.len() {
            self.arm_accept(route as u32)?;
        }
        let mut completions: Vec<cqueue::Entry> = Vec::with_capacity(COMPLETIONS as usize);
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {}
                Err(error) => return Err(error),
            }
            completions.extend(self.ring.completion());
            for completion in completions.drain(..) {
                self.handle_completion(&completion)?;
            }
            self.rearm_starved()?;
            self.buffers.publish();
        }
    }

    fn handle_completion(&mut self, completion: &cqueue::Entry) -> io::Result<()> {
        let result = completion.result();
        match Operation::decode(completion.user_data()) {
            Operation::Accept { route } => self.handle_accept(route, result, cqueue::more(completion.flags())),
            Operation::Connect { slot } => self.handle_connect(slot, result),
            Operation::Receive { slot, from } => {
                self.handle_receive(slot, from, result, cqueue::buffer_select(completion.flags()))
            }
            Operation::Send { slot, from, buffer } => self.handle_send(slot, from, buffer, result),
        }
    }

    fn handle_accept(&mut self, route: u32, result: i32, armed: bool) -> io::Result<()> {
        if result >= 0 {
            // SAFETY: a successful accept completion hands a new descriptor to this process; nothing else owns it.
            let client = unsafe { OwnedFd::from_raw_fd(result) };
            self.dial(route, client)?;
        }
        match (armed, -result) {
            (true, _) => Ok(()),
            (false, libc::EMFILE | libc::ENFILE) => {
                self.paused_routes.push(route);
                Ok(())
            }
            (false, _) => self.arm_accept(route),
        }
    }

    fn dial(&mut self, route: u32, client: OwnedFd) -> io::Result<()> {
        let address = &self.routes[route as usize].backend;
        let domain = Domain::from(i32::from(address.family()));
        let Ok(backend) = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)) else {
            return Ok(());
        };
        if SockRef::from(&client).set_tcp_nodelay(true).and(backend.set_tcp_nodelay(true)).is_err() {
            return Ok(());
        }
        let connect = opcode::Connect::new(Fd(backend.as_raw_fd()), address.as_ptr().cast(), address.len());
        let pair = Pair { client, backend: backend.into(), in_flight: 1, ended_sides: 0, broken: false };
        let slot = self.free_slots.pop().unwrap_or(self.pairs.len() as u32);
        match self.pairs.get_mut(slot as usize) {
            Some(place) => *place = Some(pair),
            None => self.pairs.push(Some(pair)),
        }
        self.push(connect.build(), Operation::Connect { slot })
    }

    fn handle_connect(&mut self, slot: u32, result: i32) -> io::Result<()> {
        self.retire(slot);
        if result < 0 {
            return self.break_pair(slot);
        }
        self.arm_receive(slot, Side::Client, 0)?;
        self.arm_receive(slot, Side::Backend, POLL_FIRST)
    }

    fn handle_receive(&mut self, slot: u32, from: Side, result: i32, buffer: Option<u16>) -> io::Result<()> {
        self.retire(slot);
        match (result, buffer) {
            (1.., Some(buffer)) => self.send(slot, from, buffer, result as u32),
            (0, buffer) => {
                self.give_back(buffer);
                self.end_side(slot, from)
            }
            (error, None) if error == -libc::ENOBUFS => {
                self.starved.push_back((slot, from));
                Ok(())
            }
            (_, buffer) => {
                self.give_back(buffer);
                self.break_pair(slot)
            }
        }
    }

    fn handle_send(&mut self, slot: u32, from: Side, buffer: u16, result: i32) -> io::Result<()> {
        self.retire(slot);
        self.give_back(Some(buffer));
        if result < 0 {
            return self.break_pair(slot);
        }
        let full = result as usize == BUFFER_BYTES;
        self.arm_receive(slot, from, if full { 0 } else { POLL_FIRST })
    }

    fn arm_accept(&mut self, route: u32) -> io::Result<()> {
        let listener = Fd(self.routes[route as usize].listener.as_raw_fd());
        let accept = opcode::AcceptMulti::new(listener).flags(libc::SOCK_CLOEXEC);
        self.push(accept.build(), Operation::Accept { route })
    }

    fn arm_receive(&mut self, slot: u32, from: Side, poll_first: u16) -> io::Result<()> {
        let Some(pair) = self.live_pair(slot) else {
            return self.close_when_idle(slot);
        };
        pair.in_flight += 1;
        let receive = opcode::Recv::new(Fd(pair.descriptor(from)), std::ptr::null_mut(), BUFFER_BYTES as u32)
            .buf_group(BUFFER_GROUP)
            .ioprio(poll_first)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(receive, Operation::Receive { slot, from })
    }

    fn send(&mut self, slot: u32, from: Side, buffer: u16, length: u32) -> io::Result<()> {
        let bytes = self.buffers.address(buffer);
        let Some(pair) = self.live_pair(slot) else {
            self.give_back(Some(buffer));
            return self.close_when_idle(slot);
        };
        pair.in_flight += 1;
        let send = opcode::Send::new(Fd(pair.descriptor(from.opposite())), bytes, length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL);
        self.push(send.build(), Operation::Send { slot, from, buffer })
    }

    fn rearm_starved(&mut self) -> io::Result<()> {
        while self.buffers.has_returned()
            && let Some((slot, from)) = self.starved.pop_front()
        {
            self.arm_receive(slot, from, 0)?;
        }
        Ok(())
    }

    /// One side said end of stream: pass it on, and close once the other has said so too.
    fn end_side(&mut self, slot: u32, from: Side) -> io::Result<()> {
        if let Some(pair) = self.live_pair(slot) {
            pair.ended_sides += 1;
            shutdown(pair.descriptor(from.opposite()), libc::SHUT_WR);
        }
        self.close_when_idle(slot)
    }

    /// A side failed: wake whatever is still in flight on both, and close when it has come back.
    fn break_pair(&mut self, slot: u32) -> io::Result<()> {
        if let Some(pair) = self.live_pair(slot) {
            pair.broken = true;
            shutdown(pair.descriptor(Side::Client), libc::SHUT_RDWR);
            shutdown(pair.descriptor(Side::Backend), libc::SHUT_RDWR);
        }
        self.close_when_idle(slot)
    }

    fn close_when_idle(&mut self, slot: u32) -> io::Result<()> {
        let Some(place) = self.pairs.get_mut(slot as usize) else {
            return Ok(());
        };
        if place.as_ref().is_none_or(|pair| pair.in_flight > 0 || !(pair.broken || pair.ended_sides == 2)) {
            return Ok(());
        }
        *place = None;
        self.starved.retain(|&(starved, _)| starved != slot);
        self.free_slots.push(slot);
        while let Some(route) = self.paused_routes.pop() {
            self.arm_accept(route)?;
        }
        Ok(())
    }

    fn live_pair(&mut self, slot: u32) -> Option<&mut Pair> {
        self.pairs.get_mut(slot as usize)?.as_mut().filter(|pair| !pair.broken)
    }

    fn retire(&mut self, slot: u32) {
        if let Some(Some(pair)) = self.pairs.get_mut(slot as usize) {
            pair.in_flight -= 1;
        }
    }

    fn give_back(&mut self, buffer: Option<u16>) {
        if let Some(buffer) = buffer {
            self.buffers.give_back(buffer);
        }
    }

    fn push(&mut self, entry: squeue::Entry, operation: Operation) -> io::Result<()> {
        let entry = entry.user_data(operation.encode());
        // SAFETY: the descriptors stay open until the operation has completed (`Pair::in_flight`; the routes live as
        // long as the ring), a back end's address is in the boxed slice and never changes, and a buffer belongs to its
        // one operation from the receive's completion to the send's.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}

impl Route {
    fn open(&(listen, backend): &(SocketAddr, SocketAddr)) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&listen.into())?;
        socket.listen(LISTEN_BACKLOG)?;
        Ok(Self { listener: socket.into(), backend: backend.into() })
    }
}

impl Pair {
    fn descriptor(&self, side: Side) -> RawFd {
        match side {
            Side::Client => self.client.as_raw_fd(),
            Side::Backend => self.backend.as_raw_fd(),
        }
    }
}

/// The system call and not the ring's operation, which always runs on a kernel worker thread.
fn shutdown(descriptor: RawFd, how: i32) {
    // SAFETY: the pair owns the descriptor and is still in its slot. An error means the peer has gone already.
    unsafe { libc::shutdown(descriptor, how) };
}
