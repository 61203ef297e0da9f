//! Receive memory. It belongs to the pool; a flow only ever holds a [`Chunk`], a counted lease of what was received.
//!
//! Buffers are lent to the kernel ahead of time and come back filled, so an idle connection holds none. Few are lent
//! at once and the last returned is lent first: the working set stays in cache. Memory is address space until a buffer
//! is used for the first time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::runtime::system;

/// Bytes in one buffer: holds any usual request head, and eleven segments of a bulk stream.
pub const BUFFER_SIZE: usize = 16 * 1024;

/// Distance between buffers: not a power of two, so that the heads of different requests do not compete for the same
/// cache sets.
const STRIDE: usize = BUFFER_SIZE + 256;

/// Where the first buffer begins, so that none begins with a page: see [`super::block::Block::bytes`].
const FIRST: usize = 128;

/// A buffer on its way to or from the kernel. There is one value per buffer: whoever holds it may lend it or give it back.
#[derive(Debug, PartialEq, Eq)]
pub struct BufferId(u16);

impl BufferId {
    pub(in crate::runtime) fn from_kernel(id: u16) -> BufferId {
        BufferId(id)
    }

    /// The number the kernel knows the buffer by.
    pub fn number(&self) -> u16 {
        self.0
    }
}

/// All receive buffers of one executor. Clones are handles to the same pool.
#[derive(Clone)]
pub struct BufferPool {
    shared: Rc<Shared>,
}

struct Shared {
    memory: NonNull<u8>,
    /// How many chunks share each buffer; 0 for one that is spare or lent to the kernel.
    leases: Box<[Cell<u32>]>,
    /// Buffers that were used before and are not in use, the warmest last.
    spare: RefCell<Vec<BufferId>>,
    /// Buffers from here on have never been used.
    untouched: Cell<usize>,
}

impl BufferPool {
    /// A pool of at most `count` buffers (at most 65,535).
    ///
    /// # Errors
    /// When the address space cannot be reserved.
    pub fn new(count: u16) -> std::io::Result<BufferPool> {
        let count = usize::from(count);
        let memory = system::map_anonymous(FIRST + count * STRIDE)?;
        let leases = (0..count).map(|_| Cell::new(0)).collect();
        let shared = Shared { memory, leases, spare: RefCell::default(), untouched: Cell::new(0) };
        Ok(BufferPool { shared: Rc::new(shared) })
    }

    /// Takes a buffer that may be lent to the kernel; `None` when all are in use.
    pub fn take(&self) -> Option<BufferId> {
        if let Some(id) = self.shared.spare.borrow_mut().pop() {
            return Some(id);
        }
        let next = self.shared.untouched.get();
        (next < self.shared.leases.len()).then(|| {
            self.shared.untouched.set(next + 1);
            BufferId(next as u16)
        })
    }

    /// Gives back a buffer that holds nothing of interest.
    pub fn give_back(&self, id: BufferId) {
        self.shared.spare.borrow_mut().push(id);
    }

    /// The first `length` bytes of a buffer that has come back filled, as a lease.
    pub fn lease(&self, id: BufferId, length: usize) -> Chunk {
        self.shared.leases[usize::from(id.0)].set(1);
        let end = length.min(BUFFER_SIZE) as u32;
        Chunk { shared: self.shared.clone(), id: id.0, start: 0, end }
    }

    /// `bytes`, as many as fit, as if they had been received; `None` when every buffer is in use.
    pub fn copy(&self, bytes: &[u8]) -> Option<Chunk> {
        let id = self.take()?;
        let length = self.fill(&id, bytes);
        Some(self.lease(id, length))
    }

    /// Copies `bytes` (as many as fit) into a buffer that is not leased: how a simulated kernel receives. Returns how many
    /// were copied.
    pub fn fill(&self, id: &BufferId, bytes: &[u8]) -> usize {
        let length = bytes.len().min(BUFFER_SIZE);
        #[expect(unsafe_code, reason = "writes pool memory")]
        // SAFETY: `id` exists only while its buffer is unleased, so nothing else refers to these bytes, and
        // `length` stays inside the buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address(id), length);
        }
        length
    }

    /// The most buffers there can be.
    pub fn capacity(&self) -> usize {
        self.shared.leases.len()
    }

    /// Number of buffers that can be taken.
    pub fn spare(&self) -> usize {
        self.capacity() - self.in_use()
    }

    /// Number of buffers that are leased or lent.
    pub fn in_use(&self) -> usize {
        self.shared.untouched.get() - self.shared.spare.borrow().len()
    }

    /// Where the buffer's memory starts.
    pub(in crate::runtime) fn address(&self, id: &BufferId) -> *mut u8 {
        self.shared.address(id.0)
    }
}

impl Shared {
    #[expect(unsafe_code, reason = "offset into the pool's mapping")]
    fn address(&self, id: u16) -> *mut u8 {
        let index = usize::from(id);
        assert!(index < self.leases.len(), "buffer id outside its pool");
        // SAFETY: behind `FIRST` the mapping holds `leases.len()` strides, and the index was just checked.
        unsafe { self.memory.as_ptr().add(FIRST + index * STRIDE) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        system::unmap(self.memory, FIRST + self.leases.len() * STRIDE);
    }
}

/// Bytes that were received, held in a buffer of the pool. Clones share the buffer; the last one gives it back.
pub struct Chunk {
    shared: Rc<Shared>,
    id: u16,
    start: u32,
    end: u32,
}

impl Chunk {
    /// Drops the first `count` bytes (all of them when there are fewer).
    pub fn advance(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count as u32));
    }

    /// Keeps the first `count` bytes at the most.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start.saturating_add(count as u32));
    }

    /// Splits off the first `count` bytes (all when there are fewer); `self` keeps the rest.
    pub fn split_to(&mut self, count: usize) -> Chunk {
        let mut front = self.clone();
        front.truncate(count);
        self.advance(count);
        front
    }

    /// Appends the bytes of `other` where this buffer has room for all of them and no other chunk shares it. Whether it
    /// did.
    pub(in crate::runtime) fn absorb(&mut self, other: &Chunk) -> bool {
        let (end, length) = (self.end as usize, other.len());
        let unshared = self.shared.leases[usize::from(self.id)].get() == 1;
        if !unshared || length > BUFFER_SIZE - end {
            return false;
        }
        #[expect(unsafe_code, reason = "writes pool memory")]
        // SAFETY: the lease count is one and it is this chunk's, so nobody reads behind its end; the bytes fit into the
        // buffer, as was just checked, and `other` is in another one.
        unsafe {
            std::ptr::copy_nonoverlapping(other.as_ptr(), self.shared.address(self.id).add(end), length);
        }
        self.end += length as u32;
        true
    }

    /// The bytes, writable, while no other chunk shares the buffer.
    #[expect(unsafe_code, reason = "a unique view of pool memory")]
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        if self.shared.leases[usize::from(self.id)].get() != 1 {
            return None;
        }
        let length = (self.end - self.start) as usize;
        // SAFETY: the lease count is one and it is this chunk's, so no other reference to the buffer exists while
        // `self` is borrowed; the range lies inside the buffer and was initialised by the kernel or by zeroed pages.
        Some(unsafe { std::slice::from_raw_parts_mut(self.shared.address(self.id).add(self.start as usize), length) })
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[expect(unsafe_code, reason = "a view of pool memory")]
    fn deref(&self) -> &[u8] {
        let length = (self.end - self.start) as usize;
        // SAFETY: a leased buffer is not lent to the kernel, so nobody writes it; the range lies inside it, and an
        // anonymous mapping is initialised memory.
        unsafe { std::slice::from_raw_parts(self.shared.address(self.id).add(self.start as usize), length) }
    }
}

impl Clone for Chunk {
    fn clone(&self) -> Chunk {
        let leases = &self.shared.leases[usize::from(self.id)];
        leases.set(leases.get() + 1);
        Chunk { shared: self.shared.clone(), id: self.id, start: self.start, end: self.end }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let leases = &self.shared.leases[usize::from(self.id)];
        leases.set(leases.get() - 1);
        if leases.get() == 0 {
            self.shared.spare.borrow_mut().push(BufferId(self.id));
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Chunk({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_chunk_gives_the_buffer_back() {
        let pool = BufferPool::new(2).expect("address space");
        let id = pool.take().expect("a buffer");
        let length = pool.fill(&id, b"head and body");
        let mut head = pool.lease(id, length);
        let mut body = head.clone();
        head.truncate(4);
        body.advance(9);
        assert_eq!((&*head, &*body), (&b"head"[..], &b"body"[..]));
        assert!(body.bytes_mut().is_none());
        drop(head);
        body.bytes_mut().expect("unique").copy_from_slice(b"BODY");
        assert_eq!((&*body, pool.in_use()), (&b"BODY"[..], 1));
        drop(body);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn an_exhausted_pool_says_so_and_reuses_the_warmest() {
        let pool = BufferPool::new(2).expect("address space");
        let (first, second) = (pool.take().expect("first"), pool.take().expect("second"));
        assert_eq!(pool.take(), None);
        let warm = second.number();
        pool.give_back(first);
        pool.give_back(second);
        assert_eq!(pool.take().map(|id| id.number()), Some(warm));
    }

    #[test]
    fn a_chunk_absorbs_what_fits_unless_it_is_shared() {
        let pool = BufferPool::new(2).expect("address space");
        let chunk_of = |bytes: &[u8]| pool.copy(bytes).expect("a buffer");
        let mut first = chunk_of(b"one");
        assert!(first.absorb(&chunk_of(b", two")));
        assert_eq!(&*first, b"one, two");
        let shared = first.split_to(3);
        assert!(!first.absorb(&chunk_of(b"!")), "another chunk shares the buffer");
        drop(shared);
        assert!(!first.absorb(&chunk_of(&[0; BUFFER_SIZE - 7])), "one byte too many");
        assert!(first.absorb(&chunk_of(&[0; BUFFER_SIZE - 8])));
        assert_eq!((first.len(), pool.in_use()), (BUFFER_SIZE - 3, 1));
    }

    #[test]
    fn splitting_past_the_end_takes_all() {
        let pool = BufferPool::new(1).expect("address space");
        let id = pool.take().expect("a buffer");
        pool.fill(&id, b"abc");
        let mut rest = pool.lease(id, 3);
        let front = rest.split_to(10);
        assert_eq!((&*front, rest.len()), (&b"abc"[..], 0));
    }
}
