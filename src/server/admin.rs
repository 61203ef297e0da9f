//! The socket of the admin pages beside the task that serves it, so that it can be handed on.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::control::admin::AdminListener;
use crate::model::AdminAddress;

/// A further hold on the socket.
pub(super) struct AdminSocket {
    socket: OwnedFd,
    stays: Rc<Cell<bool>>,
}

impl AdminSocket {
    /// Of a listener that is about to be served.
    pub(super) fn of(listener: &AdminListener) -> io::Result<AdminSocket> {
        Ok(AdminSocket { socket: listener.duplicate()?, stays: listener.file_keeper() })
    }

    /// A descriptor for another process.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Takes note that another process goes on with it: the file of a Unix socket is that one's to remove.
    pub(super) fn leave_to_others(&self) {
        self.stays.set(true);
    }
}

/// Listens for the admin pages: at a socket that was handed over, or a new one.
pub(super) async fn listen(address: &AdminAddress, handed: Option<OwnedFd>) -> io::Result<AdminListener> {
    match handed {
        Some(socket) => AdminListener::adopt(address, socket),
        None => AdminListener::bind(address).await,
    }
}
