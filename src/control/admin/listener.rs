//! Where the admin pages are served: a TCP address or a Unix socket, and what may stand in the way of one.

use crate::model::AdminAddress;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

/// Owner and group may connect: the group is how an operator lets a monitoring agent in.
const SOCKET_MODE: u32 = 0o660;

/// Connections the kernel keeps for us while as many as we serve are open.
const BACKLOG: u32 = 128;

/// A bound and listening admin address. A Unix socket's file is removed when this is dropped, unless others go on with
/// the socket.
#[derive(Debug)]
pub struct AdminListener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// An accepted or dialled connection, over TCP or a Unix socket.
pub(super) type AdminStream = Box<dyn ByteStream>;

/// Bytes both ways.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl ByteStream for TcpStream {}
impl ByteStream for UnixStream {}

/// Connects to a balancer's admin address.
pub(super) async fn connect(address: &AdminAddress) -> io::Result<AdminStream> {
    Ok(match address {
        AdminAddress::Tcp(address) => Box::new(TcpStream::connect(address).await?),
        AdminAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

impl AdminListener {
    /// Binds `address`, inside a tokio runtime.
    ///
    /// A socket file that nobody answers on is replaced in one step; it is never missing and never half open.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; a Unix path on which a process still answers, or that is not a socket. The message
    /// names the address.
    pub async fn bind(address: &AdminAddress) -> io::Result<Self> {
        let bound = match address {
            AdminAddress::Tcp(address) => TcpListener::bind(address).await.map(Kind::Tcp),
            AdminAddress::Unix(path) => bind_unix(path).await,
        };
        bound.map(Self).map_err(|error| io::Error::new(error.kind(), format!("admin address {address}: {error}")))
    }

    /// Takes over a socket that listens at `address` already, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket is of another kind.
    pub fn adopt(address: &AdminAddress, socket: OwnedFd) -> io::Result<Self> {
        Ok(Self(match address {
            AdminAddress::Tcp(_) => Kind::Tcp(TcpListener::from_std(socket.into())?),
            AdminAddress::Unix(path) => {
                Kind::Unix { listener: UnixListener::from_std(socket.into())?, file: SocketFile::at(path)? }
            }
        }))
    }

    /// A further descriptor of the socket, for another process.
    ///
    /// # Errors
    ///
    /// As dup(2).
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match &self.0 {
            Kind::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Kind::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// What says, from another place, that others go on with the socket: its file then stays.
    pub fn file_keeper(&self) -> Rc<Cell<bool>> {
        match &self.0 {
            Kind::Tcp(_) => Rc::default(),
            Kind::Unix { file, .. } => Rc::clone(&file.stays),
        }
    }

    /// The TCP address in use, with the port the kernel chose where 0 was asked for; `None` for a Unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix { .. } => None,
        }
    }

    /// The next connection. Cancelling loses none.
    pub(super) async fn accept(&self) -> io::Result<AdminStream> {
        Ok(match &self.0 {
            Kind::Tcp(listener) => Box::new(listener.accept().await?.0),
            Kind::Unix { listener, .. } => Box::new(listener.accept().await?.0),
        })
    }
}

/// The file of a socket that is bound here, removed on drop unless another socket has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
    stays: Rc<Cell<bool>>,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), device_and_inode: device_and_inode(path)?, stays: Rc::default() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.stays.get() && device_and_inode(&self.path).is_ok_and(|now| now == self.device_and_inode) {
            // Nobody is left to tell; a stale file is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Binds under a name of our own, opens it to the group, listens, and only then moves it to `path`: whoever finds a
/// socket at `path` can connect, and nobody could while its mode was still the one of the umask.
async fn bind_unix(path: &Path) -> io::Result<Kind> {
    refuse_if_taken(path).await?;
    let staging = path.with_file_name(format!(".elbow-{}", std::process::id()));
    // Only a process that ended between the next few lines, under this process id, can have left it.
    let _ = std::fs::remove_file(&staging);
    let socket = UnixSocket::new_stream()?;
    socket.bind(&staging)?;
    let staged = SocketFile::at(&staging)?;
    std::fs::set_permissions(&staging, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    let listener = socket.listen(BACKLOG)?;
    std::fs::rename(&staging, path)?;
    drop(staged);
    Ok(Kind::Unix { listener, file: SocketFile::at(path)? })
}

async fn refuse_if_taken(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bind(path: &Path) -> io::Result<AdminListener> {
        AdminListener::bind(&AdminAddress::Unix(path.to_owned())).await
    }

    #[tokio::test]
    async fn a_unix_socket_is_for_owner_and_group_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.sock");
        let listener = bind(&path).await.expect("bound");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
        drop(listener);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound, then left behind"));

        let live = bind(&path).await.expect("a stale socket is in nobody's way");
        let error = bind(&path).await.expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("admin.sock"), "{error}");
        UnixStream::connect(&path).await.expect("the first still answers");
        drop(live);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notes.txt");
        std::fs::write(&path, "keep me").expect("written");
        assert_eq!(bind(&path).await.expect_err("refused").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "keep me");
    }

    #[tokio::test]
    async fn a_socket_that_was_handed_over_stays_until_its_last_holder_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.sock");
        let old = bind(&path).await.expect("bound");
        let socket = old.duplicate().expect("a descriptor");
        let new = AdminListener::adopt(&AdminAddress::Unix(path.clone()), socket).expect("a Unix socket");
        old.file_keeper().set(true);
        drop(old);
        UnixStream::connect(&path).await.expect("the new one answers");
        new.accept().await.expect("the connection");
        drop(new);
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[tokio::test]
    async fn a_successors_socket_is_not_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("admin.sock");
        let first = bind(&path).await.expect("bound");
        std::fs::remove_file(&path).expect("removed");
        let second = bind(&path).await.expect("bound again");
        drop(first);
        UnixStream::connect(&path).await.expect("the second still answers");
        drop(second);
    }
}
