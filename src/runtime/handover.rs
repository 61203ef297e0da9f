//! Descriptors that come from another process: over a stream that both hold (SCM_RIGHTS, unix(7)), or from the
//! supervisor at the start (sd_listen_fds(3)).

#![expect(unsafe_code, reason = "descriptors arrive as bare numbers")]

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use socket2::SockRef;

/// Names the successor's end of the stream: the process id of its parent and the number of the descriptor.
const CHANNEL: &str = "ELBOW_UPGRADE";

/// sd_listen_fds(3): whose the descriptors are, how many there are, and the first of them.
const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDS: &str = "LISTEN_FDS";
const FIRST_ACTIVATED: RawFd = 3;

/// Descriptors in one control message; the kernel takes 253 (SCM_MAX_FD).
const BATCH: usize = 200;

/// The longest message: facts of some hundred thousand instances.
const MESSAGE_BYTES_MAX: u32 = 64 << 20;

/// The most descriptors with one message: 1,000 listeners on 64 cores.
const SOCKETS_MAX: u32 = 64_000;

/// A stream of messages between a process and the one that it started to succeed it. Every call waits.
#[derive(Debug)]
pub struct HandoverChannel(UnixStream);

/// A message and the descriptors that came with it.
pub type Parcel = (Vec<u8>, Vec<OwnedFd>);

impl HandoverChannel {
    /// Starts `command`, which finds its end with [`HandoverChannel::inherited`].
    ///
    /// # Errors
    /// As socketpair(2) and as starting a process.
    pub fn start(command: &mut Command) -> io::Result<(HandoverChannel, Child)> {
        let (ours, theirs) = UnixStream::pair()?;
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
        command.env(CHANNEL, format!("{}:{}", std::process::id(), theirs.as_raw_fd()));
        command.env_remove(LISTEN_PID).env_remove(LISTEN_FDS);
        let child = command.spawn()?;
        Ok((HandoverChannel(ours), child))
    }

    /// The end that the parent of this process left for it, if it did. Gives it away once.
    pub fn inherited() -> Option<HandoverChannel> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let place = std::env::var(CHANNEL).ok()?;
        let (parent, number) = place.split_once(':')?;
        let (parent, number) = (parent.parse::<u32>().ok()?, number.parse::<RawFd>().ok()?);
        if parent != parent_id() || number < FIRST_ACTIVATED || TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let socket = own(number)?;
        SockRef::from(&socket).domain().ok().filter(|domain| *domain == socket2::Domain::UNIX)?;
        Some(HandoverChannel(UnixStream::from(socket)))
    }

    /// Sends a message with further descriptors of `sockets`.
    ///
    /// # Errors
    /// As sendmsg(2); `WouldBlock` when the other side does not take it within `patience`.
    pub fn send(&self, message: &[u8], sockets: &[OwnedFd], patience: Duration) -> io::Result<()> {
        self.0.set_write_timeout(Some(patience))?;
        let length = |count: usize, most: u32| {
            let count = u32::try_from(count).ok().filter(|count| *count <= most);
            count.map(u32::to_ne_bytes).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
        };
        let lengths = [length(message.len(), MESSAGE_BYTES_MAX)?, length(sockets.len(), SOCKETS_MAX)?].concat();
        (&self.0).write_all(&lengths)?;
        (&self.0).write_all(message)?;
        for batch in sockets.chunks(BATCH) {
            let numbers: Vec<RawFd> = batch.iter().map(AsRawFd::as_raw_fd).collect();
            let control = [ControlMessage::ScmRights(&numbers)];
            // Descriptors travel with at least one byte.
            sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(&[0])], &control, MsgFlags::MSG_NOSIGNAL, None)?;
        }
        Ok(())
    }

    /// The next message; `None` when the other side has closed the stream.
    ///
    /// # Errors
    /// As recvmsg(2); `WouldBlock` when nothing comes within `patience`, `InvalidData` for what is no message.
    pub fn receive(&self, patience: Duration) -> io::Result<Option<Parcel>> {
        self.0.set_read_timeout(Some(patience))?;
        let mut lengths = [0; 8];
        match (&self.0).read_exact(&mut lengths) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let [a, b, c, d, e, f, g, h] = lengths;
        let (length, count) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
        if length > MESSAGE_BYTES_MAX || count > SOCKETS_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut message = vec![0; length as usize];
        (&self.0).read_exact(&mut message)?;
        let mut sockets = Vec::new();
        while sockets.len() < count as usize {
            self.receive_batch(&mut sockets)?;
        }
        Ok(Some((message, sockets)))
    }

    fn receive_batch(&self, sockets: &mut Vec<OwnedFd>) -> io::Result<()> {
        let mut byte = [0];
        let mut room = nix::cmsg_space!([RawFd; BATCH]);
        let mut places = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.0.as_raw_fd(), &mut places, Some(&mut room), flags)?;
        let before = sockets.len();
        for control in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: the kernel has just made these descriptors for this message, and nobody else knows them.
                sockets.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        // A batch without descriptors, or one cut for want of them, would never end.
        if sockets.len() == before || received.flags.contains(MsgFlags::MSG_CTRUNC) {
            return Err(io::Error::other("descriptors are missing"));
        }
        Ok(())
    }
}

/// Where a socket that was handed over listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListeningAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The listening sockets that a supervisor opened for this process (sd_listen_fds(3)), in its order. Gives them away
/// once; those that do not listen are closed.
pub fn activated_sockets() -> Vec<(ListeningAddress, OwnedFd)> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name| std::env::var_os(name).and_then(|value: OsString| value.to_str()?.parse::<u32>().ok());
    if number(LISTEN_PID) != Some(std::process::id()) || TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let count = number(LISTEN_FDS).and_then(|count| RawFd::try_from(count).ok()).unwrap_or(0);
    let end = FIRST_ACTIVATED.saturating_add(count);
    let sockets = (FIRST_ACTIVATED..end).map_while(own);
    sockets.filter_map(|socket| Some((listening_address(&socket)?, socket))).collect()
}

/// Where `socket` listens; `None` if it does not, or not on a stream.
pub fn listening_address(socket: &impl AsFd) -> Option<ListeningAddress> {
    let socket = SockRef::from(socket);
    if !socket.is_listener().ok()? || socket.r#type().ok()? != socket2::Type::STREAM {
        return None;
    }
    let address = socket.local_addr().ok()?;
    let tcp = address.as_socket().map(ListeningAddress::Tcp);
    tcp.or_else(|| Some(ListeningAddress::Unix(address.as_pathname()?.to_owned())))
}

/// Makes a socket of another process like one of ours: it does not block, and connections accepted from it do not wait to
/// fill segments.
///
/// # Errors
/// As fcntl(2).
pub fn prepare_listener(socket: &OwnedFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_nonblocking(true)?;
    // Not for a Unix socket.
    let _ = socket.set_tcp_nodelay(true);
    Ok(())
}

/// Takes an open descriptor that this process was started with, and keeps it from its own children.
fn own(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl(2) on any number is harmless; it says whether the number is open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, the environment names it as left for this process, and each name is followed once, before
    // anything that the program opens can have been given the number.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const PATIENCE: Duration = Duration::from_secs(5);

    fn channel() -> (HandoverChannel, HandoverChannel) {
        let (one, other) = UnixStream::pair().expect("a pair");
        (HandoverChannel(one), HandoverChannel(other))
    }

    #[test]
    fn messages_arrive_whole_with_many_sockets_in_order() {
        let (one, other) = channel();
        let listeners: Vec<TcpListener> =
            (0..2 * BATCH + 7).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(|listener| listener.local_addr().expect("an address")).collect();
        let sockets: Vec<OwnedFd> = listeners.into_iter().map(OwnedFd::from).collect();
        let message = vec![7; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(move || {
                one.send(&message, &sockets, PATIENCE).expect("sent");
                one.send(b"last", &[], PATIENCE).expect("sent");
            });
            let (message, sockets) = other.receive(PATIENCE).expect("received").expect("a message");
            assert!(message.len() == 1 << 20 && message.iter().all(|byte| *byte == 7));
            let arrived: Vec<_> = sockets.iter().filter_map(listening_address).collect();
            let expected: Vec<_> = addresses.iter().copied().map(ListeningAddress::Tcp).collect();
            assert_eq!(arrived, expected);
            TcpStream::connect(addresses[0]).expect("it listens still");
            let (message, sockets) = other.receive(PATIENCE).expect("received").expect("a message");
            assert_eq!((message.as_slice(), sockets.len()), (&b"last"[..], 0));
        });
        assert!(other.receive(PATIENCE).expect("the end").is_none());
    }

    #[test]
    fn silence_and_nonsense_are_errors() {
        let (one, other) = channel();
        let silence = other.receive(Duration::from_millis(10)).expect_err("nothing came");
        assert_eq!(silence.kind(), io::ErrorKind::WouldBlock);
        (&one.0).write_all(&[255; 8]).expect("written");
        assert_eq!(other.receive(PATIENCE).expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn only_what_listens_has_an_address_to_listen_at() {
        let socket = OwnedFd::from(UnixStream::pair().expect("a pair").0);
        assert_eq!(listening_address(&socket), None);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(listening_address(&listener), Some(ListeningAddress::Unix(path)));
    }
}
