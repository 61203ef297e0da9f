//! The simulated kernel as one executor sees it: the other side of the seam that `elbow::runtime::Kernel` is.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use elbow::base::Instant;
use elbow::base::slab::Key;
use elbow::runtime::{BufferId, BufferPool, Completion, Direction, Kernel, ListenOptions, Operation, Wait};

use crate::network::Errno;
use crate::ring::InFlight;
use crate::trace::Note;
use crate::world::{Shared, World};

/// A kernel over a world that several executors share.
pub struct SimKernel {
    world: Shared,
    ring: usize,
}

impl SimKernel {
    /// A kernel whose receives go into buffers of `pool`.
    pub fn new(world: &Shared, pool: BufferPool) -> SimKernel {
        let ring = world.borrow_mut().add_ring(pool);
        SimKernel { world: world.clone(), ring }
    }

    /// The number of its ring in the world.
    pub fn ring(&self) -> usize {
        self.ring
    }

    /// A call that does not wait, on an open descriptor of this ring.
    fn call<T>(
        &self,
        name: &'static str,
        descriptor: RawFd,
        call: impl FnOnce(&mut World) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let mut world = self.world.borrow_mut();
        if !world.check(self.ring, descriptor, name) {
            return Err(Errno::BADF.into());
        }
        let result = call(&mut world);
        let noted = result.as_ref().map(|_| 0).map_err(|errno| *errno);
        world.stage.note(Note::Call { ring: self.ring, name, descriptor, result: noted });
        Ok(result?)
    }
}

impl Kernel for SimKernel {
    fn now(&self) -> Instant {
        self.world.borrow().stage.now()
    }

    fn submit(&mut self, key: Key, operation: &mut Operation) {
        let mut world = self.world.borrow_mut();
        match InFlight::of(operation) {
            Some(flight) => world.submit(self.ring, key, flight),
            None => world.stage.find(format!("ring {}: a connect to what is not an address", self.ring)),
        }
    }

    fn cancel(&mut self, key: Key) {
        self.world.borrow_mut().cancel(self.ring, key);
    }

    fn provide(&mut self, buffer: BufferId) {
        self.world.borrow_mut().provide(self.ring, buffer);
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        self.world.borrow_mut().turn(self.ring, wait, completions);
        Ok(())
    }

    fn doorbell(&self) -> Option<RawFd> {
        None
    }

    fn listen(&mut self, options: &ListenOptions) -> io::Result<RawFd> {
        let World { network, stage, .. } = &mut *self.world.borrow_mut();
        Ok(network.listen(self.ring, options.address, options.backlog, stage))
    }

    fn open(&mut self, _address: &SocketAddr) -> io::Result<RawFd> {
        let World { network, stage, .. } = &mut *self.world.borrow_mut();
        Ok(network.open(self.ring, stage)?)
    }

    fn accept_now(&mut self, listener: RawFd) -> io::Result<RawFd> {
        self.call("accept", listener, |world| world.network.accept(listener, &mut world.stage))
    }

    fn refuse_new(&mut self, _listener: RawFd) {
        // A simulated handshake is one step, and so are the last accept and the close: nothing falls between.
    }

    fn close(&mut self, descriptor: RawFd) {
        self.world.borrow_mut().close(self.ring, descriptor);
    }

    fn shutdown(&mut self, socket: RawFd, direction: Direction) {
        // An error (already shut, already reset) carries no news; a wrong descriptor has been found by then.
        let _ = self.call("shutdown", socket, |world| world.network.shutdown(socket, direction, &mut world.stage));
    }

    fn reset_on_close(&mut self, socket: RawFd) {
        // As for a shutdown.
        let _ = self.call("reset_on_close", socket, |world| world.network.reset_on_close(socket));
    }

    fn peer_address(&self, socket: RawFd) -> io::Result<SocketAddr> {
        self.call("peer_address", socket, |world| world.network.peer_address(socket))
    }

    fn local_address(&self, socket: RawFd) -> io::Result<SocketAddr> {
        self.call("local_address", socket, |world| world.network.local_address(socket))
    }

    fn pipe(&mut self) -> io::Result<(RawFd, RawFd, usize)> {
        let World { network, stage, .. } = &mut *self.world.borrow_mut();
        Ok(network.pipe(self.ring, stage)?)
    }

    fn receive_now(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len();
        let bytes = self.call("recv", socket, |world| world.network.receive(socket, most, &mut world.stage))?;
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn splice(&mut self, from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
        self.world.borrow_mut().check(self.ring, to, "splice");
        self.call("splice", from, |world| world.network.splice(from, to, length, &mut world.stage))
    }
}
