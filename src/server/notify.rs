//! Tells systemd how the service stands, when it asked to be told (sd_notify(3)).

use std::fmt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::runtime;

/// How the service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every listener accepts.
    Ready,
    /// The configuration is being read again; [`State::Ready`] follows. `Type=notify-reload` compares the time.
    Reloading,
    /// Another process is being started that is to take over; [`State::Ready`] follows, from one of the two.
    Upgrading,
    /// The process with this id is the service from now on.
    MainProcess(u32),
    /// The node drains and will exit.
    Stopping,
}

/// As sd_notify(3) wants it.
impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now_us = runtime::monotonic_now().as_nanoseconds() / 1_000;
        match self {
            Self::Ready => formatter.write_str("READY=1\nSTATUS=Serving"),
            Self::Reloading => {
                write!(formatter, "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Reading the configuration")
            }
            Self::Upgrading => write!(formatter, "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Starting a new process"),
            Self::MainProcess(process) => write!(formatter, "MAINPID={process}"),
            Self::Stopping => formatter.write_str("STOPPING=1\nSTATUS=Draining"),
        }
    }
}

/// Sends `state` to the socket that `NOTIFY_SOCKET` names. Nothing depends on its arrival.
pub fn notify(state: State) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(state.to_string().as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
