//! Takes connections from one listener of one core.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Reason;
use crate::proxy::core::Core;
use crate::proxy::entrance;
use crate::registry::ListenerEntry;
use crate::runtime::{AcceptError, Either, Listener, Socket, race};

/// How long accepting pauses when the process has no descriptor or memory left. Connections wait in the kernel's queue.
const PAUSE: Duration = Duration::from_millis(50);

/// How long handshakes that have begun may take to end before the listening socket is closed: a round trip around the
/// world. Clients that are ignored meanwhile try again after a second (RFC 6298 section 2), when this is long over.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// Accepts until `stopped` ends. Then whoever is in the middle of a handshake or in the queue is still served, and the
/// listening socket is closed. The rules for each connection are those of the core's snapshot at that moment.
pub async fn run(core: Rc<Core>, mut listener: Listener, address: SocketAddr, stopped: impl Future<Output = ()>) {
    // The core has not finished as long as there may be a connection to serve.
    let _busy = core.hold();
    let Some(mut entry) = core.listener(address) else { return };
    let mut stopped = std::pin::pin!(stopped);
    while let Either::Second(accepted) = race(stopped.as_mut(), listener.accept()).await {
        entry = core.listener(address).unwrap_or(entry);
        take(&core, &entry, accepted).await;
    }
    listener.ignore_new();
    let mut last_handshakes = core.io.sleep(LAST_HANDSHAKES);
    while let Either::Second(accepted) = race(&mut last_handshakes, listener.accept()).await {
        take(&core, &entry, accepted).await;
    }
    listener.stop().await.into_iter().for_each(|socket| entrance::enter(&core, &entry, socket));
}

async fn take(core: &Rc<Core>, entry: &Arc<ListenerEntry>, accepted: Result<Socket, AcceptError>) {
    match accepted {
        Ok(socket) => entrance::enter(core, entry, socket),
        // The connection was gone before it was taken; or the kernel ended the multishot.
        Err(AcceptError::Again(_)) => core.io.give_way().await,
        Err(AcceptError::Exhausted(_)) => {
            entry.cells.core(core.number).errors.record(Reason::ResourcesExhausted);
            core.io.sleep(PAUSE).await;
        }
    }
}
