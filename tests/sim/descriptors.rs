//! Every descriptor of the world: who holds it and what it stands for. Numbers are never used twice, so whatever is done
//! with a closed one is found.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use crate::connection::Side;
use crate::network::Errno;

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug)]
pub enum Object {
    /// A listening socket.
    Listener,
    /// A socket that is not connected to anything.
    Fresh,
    /// A connect is on its way; the number of the connection once the other side has answered.
    Connecting(Option<u32>),
    /// A connect has failed.
    Failed(Errno),
    /// One end of a connection.
    Connected(u32, Side),
    /// A pipe's read end.
    PipeOut(u32),
    /// A pipe's write end.
    PipeIn(u32),
}

/// An open descriptor.
#[derive(Debug)]
pub struct Open {
    /// The ring whose executor holds it.
    pub ring: usize,
    /// What it stands for.
    pub object: Object,
    /// Operations in flight on it.
    pub operations: usize,
}

/// All open descriptors.
#[derive(Debug, Default)]
pub struct Descriptors {
    open: BTreeMap<RawFd, Open>,
    next: RawFd,
}

/// Below are the standard streams, which nothing here touches.
const FIRST: RawFd = 3;

impl Descriptors {
    /// Opens the next number.
    pub fn open(&mut self, ring: usize, object: Object) -> RawFd {
        self.next = self.next.max(FIRST) + 1;
        self.open.insert(self.next, Open { ring, object, operations: 0 });
        self.next
    }

    /// What an open descriptor stands for.
    pub fn get(&self, descriptor: RawFd) -> Option<&Open> {
        self.open.get(&descriptor)
    }

    /// What an open descriptor stands for, to change it.
    pub fn get_mut(&mut self, descriptor: RawFd) -> Option<&mut Open> {
        self.open.get_mut(&descriptor)
    }

    /// Forgets a descriptor.
    pub fn close(&mut self, descriptor: RawFd) -> Option<Open> {
        self.open.remove(&descriptor)
    }

    /// Whether the number was open once and is not now.
    pub fn was_closed(&self, descriptor: RawFd) -> bool {
        (FIRST + 1..=self.next).contains(&descriptor) && !self.open.contains_key(&descriptor)
    }

    /// All that is open.
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, &Open)> {
        self.open.iter().map(|(number, open)| (*number, open))
    }
}
