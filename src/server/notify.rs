//! Tells systemd how the service stands, when it asked to be told (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::runtime;

/// Every listener accepts.
pub const READY: &str = "READY=1";
/// The node drains and will exit.
pub const STOPPING: &str = "STOPPING=1";

/// The configuration is being read again; [`READY`] follows. Needed by `Type=notify-reload`, which compares the time.
pub fn reloading() {
    let now_us = runtime::monotonic_now().as_nanoseconds() / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"));
}

/// Sends `state` to the socket that `NOTIFY_SOCKET` names. Nothing depends on its arrival.
pub fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
