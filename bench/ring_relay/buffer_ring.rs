//! The provided buffers: one ring of them, shared by every receive.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// 8 MiB of buffers in all; a direction that finds none waits for the next one returned.
const BUFFER_COUNT: u16 = 512;
pub const BUFFER_BYTES: usize = 16 * 1024;
pub const BUFFER_GROUP: u16 = 0;
const PAGE_BYTES: usize = 4096;

/// Receive memory shared with the kernel; lives as long as the process.
pub struct BufferRing {
    entries: *mut BufRingEntry,
    storage: *mut u8,
    tail: u16,
    has_returned: bool,
}

impl BufferRing {
    pub fn register(ring: &IoUring) -> io::Result<Self> {
        let entries = zeroed_pages(usize::from(BUFFER_COUNT) * size_of::<BufRingEntry>()).cast();
        let storage = zeroed_pages(usize::from(BUFFER_COUNT) * BUFFER_BYTES);
        // SAFETY: `entries` is page-aligned, holds BUFFER_COUNT entries and is never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFER_COUNT, BUFFER_GROUP, 0)? };
        let mut buffers = Self { entries, storage, tail: 0, has_returned: false };
        (0..BUFFER_COUNT).for_each(|buffer| buffers.give_back(buffer));
        buffers.publish();
        Ok(buffers)
    }

    pub fn address(&self, buffer: u16) -> *mut u8 {
        debug_assert!(buffer < BUFFER_COUNT);
        // SAFETY: the kernel only names buffers that were given to it, and those are below BUFFER_COUNT.
        unsafe { self.storage.add(usize::from(buffer) * BUFFER_BYTES) }
    }

    pub fn give_back(&mut self, buffer: u16) {
        let place = usize::from(self.tail % BUFFER_COUNT);
        let address = self.address(buffer);
        // SAFETY: `place` is below BUFFER_COUNT; the kernel does not read an entry before the tail passes it.
        let entry = unsafe { &mut *self.entries.add(place) };
        entry.set_addr(address as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.has_returned = true;
    }

    /// Whether any buffer came back in this turn, so that a starved direction may try again.
    pub fn has_returned(&self) -> bool {
        self.has_returned
    }

    /// Shows all returned buffers to the kernel with one store.
    pub fn publish(&mut self) {
        self.has_returned = false;
        // SAFETY: the tail lives in the first entry of the registered ring, aligned for u16; the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

fn zeroed_pages(bytes: usize) -> *mut u8 {
    let layout = Layout::from_size_align(bytes, PAGE_BYTES).expect("a constant, valid layout");
    // SAFETY: the layout has a size above zero.
    let pages = unsafe { alloc_zeroed(layout) };
    if pages.is_null() { handle_alloc_error(layout) } else { pages }
}
