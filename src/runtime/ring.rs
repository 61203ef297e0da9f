//! The real kernel: one io_uring, made and used on one thread.
//!
//! Set up for one issuer with deferred task work, so completions appear only when the executor asks; one system call
//! per turn submits and waits. The ring may run only the operations listed here (IORING_REGISTER_RESTRICTIONS), none of
//! which ever reaches a kernel worker thread. See io_uring_setup(2), io_uring_enter(2), io_uring_register(2).

#![expect(unsafe_code, reason = "the ring's memory and raw system calls")]

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::register::Restriction;
use io_uring::squeue::Flags;
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::base::Instant;
use crate::base::slab::Key;
use crate::runtime::buffers::{BUFFER_SIZE, BufferId, BufferPool};
use crate::runtime::features::Features;
use crate::runtime::kernel::{Completion, Direction, Kernel, ListenOptions, Wait};
use crate::runtime::operation::{Interest, LITTLE, Manner, Operation};
use crate::runtime::outgoing::Outgoing;
use crate::runtime::system;

/// Submissions that fit in one turn before an extra system call is needed.
const SUBMISSIONS: u32 = 512;

/// Completions that fit in one turn; beyond them the kernel keeps a slow list and ends multishot operations.
const COMPLETIONS: u32 = 8192;

/// Slots of the provided-buffer ring; a power of two above what the executor ever lends.
const LENDABLE: u16 = 1024;

/// The one provided-buffer group.
const GROUP: u16 = 0;

/// `user_data` of completions that are not an operation's: keys stay below 2^52.
const DOORBELL: u64 = u64::MAX;
const CANCELLATION: u64 = u64::MAX - 1;

/// One io_uring with its provided buffers and doorbell.
pub struct Ring {
    ring: IoUring,
    lent: LentBuffers,
    doorbell: OwnedFd,
    doorbell_armed: bool,
    features: Features,
}

impl Ring {
    /// Makes the ring on the thread that will use it. `buffers` is the pool that the lent buffers come from.
    ///
    /// # Errors
    /// When the kernel refuses; [`Features::explain`] turns the error into a sentence with the remedy.
    pub fn new(buffers: &BufferPool) -> io::Result<Ring> {
        let (ring, no_array) = match build(true) {
            Ok(ring) => (ring, true),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (build(false)?, false),
            Err(error) => return Err(error),
        };
        let lent = LentBuffers::new(buffers.clone())?;
        // SAFETY: the entries are a live, page-aligned mapping of LENDABLE entries that the ring's owner keeps until
        // after the ring is gone (field order of `Ring`).
        unsafe { ring.submitter().register_buf_ring_with_flags(lent.entries.as_ptr() as u64, LENDABLE, GROUP, 0)? };
        ring.submitter().register_iowq_max_workers(&mut [1, 4])?;
        ring.submitter().register_restrictions(&mut restrictions())?;
        ring.submitter().register_enable_rings()?;
        let doorbell = system::doorbell()?;
        let features = Features::of(&ring, no_array);
        Ok(Ring { ring, lent, doorbell, doorbell_armed: false, features })
    }

    /// What this kernel offers and the ring uses.
    pub fn features(&self) -> &Features {
        &self.features
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what the entry points to lives in the executor's slot (or in `self`) until the last completion.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // The queue is full: hand what is in it to the kernel. An error here (EBUSY: completions must be reaped
            // first) leaves the queue full only while the completion ring overflows, which submitting resolves.
            if self.ring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let submitter = self.ring.submitter();
        let entered = match wait {
            Wait::No => submitter.submit(),
            Wait::Forever => submitter.submit_and_wait(1),
            Wait::Until(deadline) => {
                let remaining = deadline.since(system::now());
                let timeout = Timespec::from(remaining);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timeout))
            }
        };
        match entered {
            Ok(_) => Ok(()),
            // Timed out; interrupted; or the completion ring must be emptied first: all mean "look at completions".
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn arm_doorbell(&mut self) {
        if !self.doorbell_armed {
            self.doorbell_armed = true;
            let poll = opcode::PollAdd::new(Fd(self.doorbell.as_raw_fd()), libc::POLLIN as u32);
            self.push(&poll.build().user_data(DOORBELL));
        }
    }
}

impl Kernel for Ring {
    fn now(&self) -> Instant {
        system::now()
    }

    fn submit(&mut self, key: Key, operation: &mut Operation) {
        let entry = entry(operation, self.features.repeats_receives()).user_data(key.to_bits());
        self.push(&entry);
    }

    fn cancel(&mut self, key: Key) {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(key.to_bits()));
        self.push(&cancel.build().flags(Flags::SKIP_SUCCESS).user_data(CANCELLATION));
    }

    fn provide(&mut self, buffer: BufferId) {
        self.lent.provide(&buffer);
    }

    fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        self.arm_doorbell();
        self.lent.publish();
        let entered = self.enter(wait);
        for entry in self.ring.completion() {
            match entry.user_data() {
                DOORBELL => {
                    self.doorbell_armed = false;
                    system::silence(&self.doorbell);
                }
                CANCELLATION => {}
                bits => completions.push(Completion {
                    key: Key::from_bits(bits),
                    result: entry.result(),
                    buffer: cqueue::buffer_select(entry.flags()).map(BufferId::from_kernel),
                    more: cqueue::more(entry.flags()),
                }),
            }
        }
        entered
    }

    fn doorbell(&self) -> Option<RawFd> {
        Some(self.doorbell.as_raw_fd())
    }

    fn listen(&mut self, options: &ListenOptions) -> io::Result<RawFd> {
        system::listen(options).map(IntoRawFd::into_raw_fd)
    }

    fn open(&mut self, address: &SocketAddr) -> io::Result<RawFd> {
        system::open(address).map(IntoRawFd::into_raw_fd)
    }

    fn accept_now(&mut self, listener: RawFd) -> io::Result<RawFd> {
        system::accept_now(listener)
    }

    fn refuse_new(&mut self, listener: RawFd) {
        system::refuse_new(listener);
    }

    fn close(&mut self, descriptor: RawFd) {
        // SAFETY: the executor owns the descriptor and gives it up with this call.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }

    fn shutdown(&mut self, socket: RawFd, direction: Direction) {
        system::shutdown(socket, direction);
    }

    fn reset_on_close(&mut self, socket: RawFd) {
        system::reset_on_close(socket);
    }

    fn peer_address(&self, socket: RawFd) -> io::Result<SocketAddr> {
        system::peer_address(socket)
    }

    fn local_address(&self, socket: RawFd) -> io::Result<SocketAddr> {
        system::local_address(socket)
    }

    fn pipe(&mut self) -> io::Result<(RawFd, RawFd, usize)> {
        system::pipe()
    }

    fn receive_now(&mut self, socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
        system::receive_now(socket, into)
    }

    fn splice(&mut self, from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
        system::splice(from, to, length)
    }
}

fn build(no_array: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .setup_clamp()
        .setup_r_disabled()
        .dontfork();
    if no_array {
        builder.setup_no_sqarray();
    }
    builder.build(SUBMISSIONS)
}

fn restrictions() -> [Restriction; 8] {
    let flags = Flags::BUFFER_SELECT.bits() | Flags::SKIP_SUCCESS.bits();
    [
        Restriction::sqe_flags_allowed(flags),
        Restriction::sqe_op(opcode::Accept::CODE),
        Restriction::sqe_op(opcode::AsyncCancel::CODE),
        Restriction::sqe_op(opcode::Connect::CODE),
        Restriction::sqe_op(opcode::PollAdd::CODE),
        Restriction::sqe_op(opcode::Recv::CODE),
        Restriction::sqe_op(opcode::Send::CODE),
        Restriction::sqe_op(opcode::SendMsg::CODE),
    ]
}

fn entry(operation: &mut Operation, may_repeat: bool) -> squeue::Entry {
    let descriptor = Fd(operation.descriptor());
    match operation {
        Operation::Accept { .. } => {
            opcode::AcceptMulti::new(descriptor).flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).build()
        }
        Operation::Connect { address, .. } => {
            opcode::Connect::new(descriptor, address.as_ptr().cast(), address.len()).build()
        }
        Operation::Receive { manner: Manner::Repeatedly, .. } if may_repeat => {
            opcode::RecvMulti::new(descriptor, GROUP).len(BUFFER_SIZE as u32).build()
        }
        Operation::Receive { manner, .. } => {
            let priority = if *manner == Manner::Now { 0 } else { POLL_FIRST };
            let length = if *manner == Manner::Little { LITTLE as u32 } else { 0 };
            opcode::Recv::new(descriptor, std::ptr::null_mut(), length)
                .buf_group(GROUP)
                .ioprio(priority)
                .build()
                .flags(Flags::BUFFER_SELECT)
        }
        Operation::Send { bytes, ends, .. } => send_entry(descriptor, bytes, *ends),
        Operation::Poll { interest, .. } => {
            let mask = match interest {
                Interest::Readable => libc::POLLIN | libc::POLLRDHUP,
                Interest::Writable => libc::POLLOUT,
            };
            opcode::PollAdd::new(descriptor, mask as u32).build()
        }
    }
}

/// `IORING_RECVSEND_POLL_FIRST` of io_uring_prep_recv(3), which the crate does not name.
const POLL_FIRST: u16 = 1;

fn send_entry(descriptor: Fd, bytes: &mut Outgoing, ends: bool) -> squeue::Entry {
    let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL | if ends { libc::MSG_MORE } else { 0 };
    if let Outgoing::Parts(_) = bytes {
        let slices = bytes
            .slices()
            .map(|slice| libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() });
        if let Outgoing::Parts(parts) = bytes {
            let message = &mut parts.message;
            message.slices = slices;
            // SAFETY: an all-zero msghdr is valid: no name, no control data, no slices.
            let header = message.header.insert(unsafe { mem::zeroed() });
            header.msg_iov = message.slices.as_mut_ptr();
            header.msg_iovlen = message.slices.len();
            return opcode::SendMsg::new(descriptor, header).flags(flags as u32).build();
        }
    }
    let slice = bytes.slices()[0];
    let length = u32::try_from(slice.len()).unwrap_or(u32::MAX);
    opcode::Send::new(descriptor, slice.as_ptr(), length).flags(flags).build()
}

/// The provided-buffer ring: memory shared with the kernel, from which it takes a buffer when data has arrived.
struct LentBuffers {
    entries: NonNull<BufRingEntry>,
    tail: u16,
    pool: BufferPool,
}

impl LentBuffers {
    const BYTES: usize = LENDABLE as usize * mem::size_of::<BufRingEntry>();

    fn new(pool: BufferPool) -> io::Result<LentBuffers> {
        let entries = system::map_anonymous(Self::BYTES)?.cast();
        Ok(LentBuffers { entries, tail: 0, pool })
    }

    fn provide(&mut self, buffer: &BufferId) {
        let index = usize::from(self.tail % LENDABLE);
        // SAFETY: the index is inside the mapping, and the kernel reads entries only below the published tail.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(self.pool.address(buffer) as u64);
        entry.set_len(BUFFER_SIZE as u32);
        entry.set_bid(buffer.number());
        self.tail = self.tail.wrapping_add(1);
    }

    /// Makes everything provided so far visible to the kernel.
    fn publish(&self) {
        // SAFETY: `tail` points into the first entry of the live mapping, at a naturally aligned u16 that the kernel
        // only reads.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for LentBuffers {
    fn drop(&mut self) {
        system::unmap(self.entries.cast(), Self::BYTES);
    }
}
