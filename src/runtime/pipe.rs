//! Pipes for moving bytes between sockets without copying them to user space, and the pool they come from.
//!
//! A pipe is as good as its capacity: with the default 64 KiB, splicing gains nothing over copying. Unprivileged users
//! may hold 64 MiB of pipe buffers in all, so pipes are few and are held only while a flow is bulk.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::runtime::io::Io;
use crate::runtime::socket::{Descriptor, Socket};

/// Pipes kept for reuse by one executor.
const KEPT_AT_MOST: usize = 8;

/// A pipe smaller than this moves bulk no better than copying; such a pipe is not used.
const USEFUL_CAPACITY: usize = 256 * 1024;

/// How one call that moves bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// This many bytes moved.
    Bytes(usize),
    /// The source has ended.
    End,
    /// Nothing can move right now.
    NotReady,
}

impl Moved {
    /// As the call answered: 0 is the end of the source.
    pub(in crate::runtime) fn of(answer: io::Result<usize>) -> io::Result<Moved> {
        match answer {
            Ok(0) => Ok(Moved::End),
            Ok(count) => Ok(Moved::Bytes(count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Moved::NotReady)
            }
            Err(error) => Err(error),
        }
    }
}

/// A pipe with a count of what is in it.
pub struct Pipe {
    read: Rc<Descriptor>,
    write: Rc<Descriptor>,
    io: Io,
    held: usize,
    capacity: usize,
}

impl Pipe {
    /// Bytes in the pipe.
    pub fn held(&self) -> usize {
        self.held
    }

    /// How many bytes the pipe was made for. It may hold fewer: it has slots for fragments, not bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Moves at most `length` bytes from `source` into the pipe. `NotReady` is ambiguous while the pipe holds bytes: the
    /// source may be empty or the pipe out of slots, so empty the pipe before waiting for the source.
    ///
    /// # Errors
    /// As splice(2).
    pub fn fill(&mut self, source: &Socket, length: usize) -> io::Result<Moved> {
        let moved = self.io.with_kernel(|kernel| kernel.splice(source.raw(), self.write.raw(), length));
        let moved = Moved::of(moved)?;
        if let Moved::Bytes(count) = moved {
            self.held += count;
        }
        Ok(moved)
    }

    /// Moves what the pipe holds to `sink`, as far as the sink takes it.
    ///
    /// # Errors
    /// As splice(2).
    pub fn empty(&mut self, sink: &Socket) -> io::Result<Moved> {
        if self.held == 0 {
            return Ok(Moved::NotReady);
        }
        let moved = self.io.with_kernel(|kernel| kernel.splice(self.read.raw(), sink.raw(), self.held));
        match Moved::of(moved)? {
            Moved::Bytes(count) => {
                self.held -= count;
                Ok(Moved::Bytes(count))
            }
            Moved::End => Err(io::ErrorKind::WriteZero.into()),
            Moved::NotReady => Ok(Moved::NotReady),
        }
    }
}

/// The pipes of one executor that are not in use.
#[derive(Default)]
pub struct PipePool {
    idle: RefCell<Vec<Pipe>>,
}

impl PipePool {
    /// A pipe, or `None` when none of a useful size can be had: then copy.
    pub fn take(&self, io: &Io) -> Option<Pipe> {
        if let Some(pipe) = self.idle.borrow_mut().pop() {
            return Some(pipe);
        }
        let (read, write, capacity) = io.with_kernel(|kernel| kernel.pipe()).ok()?;
        let (read, write) = (Descriptor::new(io, read), Descriptor::new(io, write));
        (capacity >= USEFUL_CAPACITY).then(|| Pipe { read, write, io: io.clone(), held: 0, capacity })
    }

    /// Gives a pipe back. One that still holds bytes is closed: they belong to somebody.
    pub fn give_back(&self, pipe: Pipe) {
        let mut idle = self.idle.borrow_mut();
        if pipe.held == 0 && idle.len() < KEPT_AT_MOST {
            idle.push(pipe);
        }
    }

    pub(in crate::runtime) fn clear(&self) {
        let pipes = std::mem::take(&mut *self.idle.borrow_mut());
        drop(pipes);
    }
}
