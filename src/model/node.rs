//! This machine: its cores, its zone, and the addresses that people and programs manage it by.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;

use super::{Invalid, Unlimited, Zone};

/// What concerns the node as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which cores carry traffic.
    pub cores: Cores,
    /// The zone it stands in.
    pub zone: Zone,
    /// The most client connections at once; `None`: what the limit on open files leaves room for.
    pub max_connections: Unlimited,
    /// Where state that must survive a restart is kept.
    pub state_dir: PathBuf,
    /// The key that all nodes of one installation share for sticky cookies; `None`: one of this node's own.
    pub sticky_key_file: Option<PathBuf>,
    /// Where the process that serves writes its id, if anywhere.
    pub pid_file: Option<PathBuf>,
    /// The secret that session tickets are made with on all nodes of one installation; `None`: random keys of this
    /// node's own.
    pub ticket_key_file: Option<PathBuf>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            cores: Cores::Auto,
            zone: Zone::default(),
            max_connections: None,
            state_dir: PathBuf::from("/var/lib/elbow"),
            sticky_key_file: None,
            pid_file: None,
            ticket_key_file: None,
        }
    }
}

/// Which CPU cores run a data-plane thread each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// Every core that this process may use.
    Auto,
    /// These CPU numbers: at least one, none twice.
    List(CoreList),
}

/// CPU numbers, at least one, none twice, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreList(Vec<u16>);

impl CoreList {
    /// The list, if it is one. Linux numbers CPUs below 8192 at most (CONFIG_NR_CPUS).
    pub fn new(numbers: Vec<u16>) -> Result<Self, Invalid> {
        if numbers.is_empty() {
            return Err(Invalid::new("expected at least one CPU number"));
        }
        for (index, number) in numbers.iter().enumerate() {
            if *number > 8191 {
                return Err(Invalid::new("expected CPU numbers from 0 to 8191"));
            }
            if numbers[..index].contains(number) {
                return Err(Invalid::new(format!("CPU {number} is listed twice")));
            }
        }
        Ok(Self(numbers))
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

/// Where metrics, status and the console are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Where the admin pages are unless told otherwise: loopback, because they ask for no password.
    pub const DEFAULT: Self = Self::Tcp(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9900)));
}

impl FromStr for AdminAddress {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = || Invalid::new("expected \"address:port\" or \"unix:/path\"");
        if let Some(path) = text.strip_prefix("unix:") {
            // sockaddr_un holds 108 bytes with the closing NUL (unix(7)).
            if path.is_empty() || path.len() > 107 || path.contains('\0') {
                return Err(Invalid::new("expected \"unix:\" and a path of 1 to 107 bytes"));
            }
            return Ok(Self::Unix(path.into()));
        }
        let address: SocketAddr = text.parse().map_err(|_| expected())?;
        if address.port() == 0 { Err(expected()) } else { Ok(Self::Tcp(address)) }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
