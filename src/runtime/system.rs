//! System calls that never wait, as the ring's kernel needs them. Each is a thin, safe face on one call.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io::{self, Read};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use crate::base::Instant;
use crate::runtime::kernel::{Direction, ListenOptions};

/// What pipes are asked to hold; the most an unprivileged process may ask for (pipe(7), pipe-max-size).
const PIPE_CAPACITY: i32 = 1024 * 1024;

/// CLOCK_MONOTONIC.
pub(super) fn now() -> Instant {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for one timespec; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Instant::from_nanoseconds(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// A non-blocking eventfd(2).
pub(super) fn doorbell() -> io::Result<OwnedFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_value_and_flags(0, flags)?;
    Ok(event.into())
}

/// Reads an eventfd down to zero.
pub(super) fn silence(doorbell: &OwnedFd) {
    let mut count = [0u8; 8];
    // An error means that it was zero already.
    let _ = nix::unistd::read(doorbell, &mut count);
}

pub(super) fn listen(options: &ListenOptions) -> io::Result<OwnedFd> {
    let socket = stream_socket(&options.address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if options.address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&options.address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

pub(super) fn open(address: &SocketAddr) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

fn stream_socket(address: &SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(*address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))
}

pub(super) fn accept_now(listener: RawFd) -> io::Result<RawFd> {
    with_socket(listener, |listener| {
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        Ok(socket.into_raw_fd())
    })
}

/// Drops the SYN of whoever has not begun, by a classic BPF program on the TCP header (socket(7), SO_ATTACH_FILTER). Such
/// a client tries again and finds the listener closed; without this it could be answered and reset between the last
/// accept and the close.
pub(super) fn refuse_new(listener: RawFd) {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    let instruction = |code: u32, jump_false, value| SockFilter::new(code as u16, 0, jump_false, value);
    let program = [
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, FLAGS),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, SYN),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
    ];
    // Failing, the window is as small as the time between two system calls.
    let _ = with_socket(listener, |listener| listener.attach_filter(&program));
}

pub(super) fn shutdown(socket: RawFd, direction: Direction) {
    let how = match direction {
        Direction::Write => std::net::Shutdown::Write,
        Direction::Both => std::net::Shutdown::Both,
    };
    // ENOTCONN and the like: the peer was faster.
    let _ = with_socket(socket, |socket| socket.shutdown(how));
}

pub(super) fn reset_on_close(socket: RawFd) {
    // Failing, the close is an ordinary one.
    let _ = with_socket(socket, |socket| socket.set_linger(Some(std::time::Duration::ZERO)));
}

pub(super) fn peer_address(socket: RawFd) -> io::Result<SocketAddr> {
    with_socket(socket, |socket| internet_address(socket.peer_addr()?))
}

pub(super) fn local_address(socket: RawFd) -> io::Result<SocketAddr> {
    with_socket(socket, |socket| internet_address(socket.local_addr()?))
}

fn internet_address(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

pub(super) fn pipe() -> io::Result<(RawFd, RawFd, usize)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
    let asked = nix::fcntl::fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE_CAPACITY));
    let capacity = match asked {
        Ok(capacity) => capacity,
        Err(_) => nix::fcntl::fcntl(&write, FcntlArg::F_GETPIPE_SZ)?,
    };
    Ok((read.into_raw_fd(), write.into_raw_fd(), usize::try_from(capacity).unwrap_or(0)))
}

pub(super) fn receive_now(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    with_socket(socket, |socket| (&*socket).read(into))
}

pub(super) fn splice(from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
    // SAFETY: the caller holds both descriptors open for the duration of the call.
    let (from, to) = unsafe { (BorrowedFd::borrow_raw(from), BorrowedFd::borrow_raw(to)) };
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(nix::fcntl::splice(from, None, to, None, length, flags)?)
}

/// Zeroed memory of at least `bytes`, page-aligned, outside the allocator.
pub(super) fn map_anonymous(bytes: usize) -> io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no existing memory.
    let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    match NonNull::new(memory.cast::<u8>()) {
        Some(memory) if memory.as_ptr() as isize != -1 => Ok(memory),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives back what [`map_anonymous`] gave, of the same length.
pub(super) fn unmap(memory: NonNull<u8>, bytes: usize) {
    // SAFETY: callers pass a mapping they own, whole, and do not use it again.
    unsafe { libc::munmap(memory.as_ptr().cast(), bytes) };
}

/// Runs `work` on a descriptor that somebody else owns.
fn with_socket<T>(raw: RawFd, work: impl FnOnce(SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
    // SAFETY: the caller holds the descriptor open for the duration of the call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
    work(SockRef::from(&borrowed))
}

/// Pins the calling thread to one CPU (sched_setaffinity(2)).
pub(super) fn pin_to(cpu: usize) -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(cpu)?;
    Ok(nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}

/// The CPUs that this process may run on.
pub(super) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
    Ok((0..nix::sched::CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Raises RLIMIT_NOFILE's soft limit to the hard one.
pub(super) fn raise_descriptor_limit() -> io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Not being allowed to is no failure: the soft limit then holds.
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard))
}

/// Gives up transparent huge pages for this process (PR_SET_THP_DISABLE of prctl(2)).
pub(super) fn forgo_huge_pages() -> io::Result<()> {
    Ok(nix::sys::prctl::set_thp_disable(true)?)
}

/// Binds and listens for a moment without SO_REUSEPORT, which fails while anybody else listens there.
pub(super) fn probe_address(address: SocketAddr) -> io::Result<()> {
    let socket = stream_socket(&address)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    // Whoever knocks meanwhile tries again, instead of being let in and reset.
    refuse_new(socket.as_raw_fd());
    socket.listen(1)
}

const _: () = assert!(mem::size_of::<usize>() == 8, "keys and wakers pack a task into one 64-bit word");

#[cfg(test)]
mod tests {
    use std::os::fd::FromRawFd;

    use super::*;

    #[test]
    fn a_doorbell_can_be_silenced() {
        let bell = doorbell().expect("eventfd");
        silence(&bell);
        nix::unistd::write(&bell, &1u64.to_ne_bytes()).expect("ring");
        silence(&bell);
        assert_eq!(nix::unistd::read(&bell, &mut [0; 8]), Err(nix::errno::Errno::EAGAIN));
    }

    #[test]
    fn a_listener_that_refuses_new_connections_keeps_those_it_has() {
        let any = "127.0.0.1:0".parse().expect("address");
        let listener = listen(&ListenOptions { address: any, backlog: 16 }).expect("listener");
        let address = local_address(listener.as_raw_fd()).expect("address");
        let early = std::net::TcpStream::connect(address).expect("connected");
        refuse_new(listener.as_raw_fd());
        let patience = std::time::Duration::from_millis(200);
        let late = std::net::TcpStream::connect_timeout(&address, patience).expect_err("ignored");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let accepted = accept_now(listener.as_raw_fd()).expect("the early one");
        assert_eq!(peer_address(accepted).expect("address"), early.local_addr().expect("address"));
        // SAFETY: it was just accepted, and nobody else knows of it.
        drop(unsafe { OwnedFd::from_raw_fd(accepted) });
        assert_eq!(accept_now(listener.as_raw_fd()).expect_err("nobody else").kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn nobody_connects_to_a_probe() {
        // Not where the clients' own addresses are: one of them might get this very port.
        let held = std::net::TcpListener::bind("127.9.8.7:0").expect("listener");
        let address = held.local_addr().expect("address");
        assert_eq!(probe_address(address).expect_err("held").kind(), io::ErrorKind::AddrInUse);
        drop(held);
        let done = std::sync::atomic::AtomicBool::new(false);
        let knock = || {
            let mut let_in = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let patience = std::time::Duration::from_millis(20);
                let_in += u32::from(std::net::TcpStream::connect_timeout(&address, patience).is_ok());
            }
            let_in
        };
        std::thread::scope(|scope| {
            let knocking: Vec<_> = (0..4).map(|_| scope.spawn(knock)).collect();
            (0..500).for_each(|_| probe_address(address).expect("free"));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(knocking.into_iter().all(|thread| thread.join().expect("no panic") == 0));
        });
    }

    #[test]
    fn two_listeners_share_an_address() {
        let any = "127.0.0.1:0".parse().expect("address");
        let first = listen(&ListenOptions { address: any, backlog: 16 }).expect("first");
        let address = local_address(first.as_raw_fd()).expect("address");
        let second = listen(&ListenOptions { address, backlog: 16 }).expect("second");
        assert_eq!(local_address(second.as_raw_fd()).expect("address"), address);
    }
}
