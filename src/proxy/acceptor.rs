//! Takes connections from one listener of one core.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Reason;
use crate::proxy::core::Core;
use crate::proxy::entrance;
use crate::registry::ListenerEntry;
use crate::runtime::{AcceptError, Either, Listener, Remaining, race};

/// How long accepting pauses when the process has no descriptor or memory left. Connections wait in the kernel's queue.
const PAUSE: Duration = Duration::from_millis(50);

/// How long handshakes that had begun when accepting stopped may take to end: a long round trip.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(200);

/// Accepts until `stopped` ends, then serves whoever had begun by then and closes the listening socket; where others go
/// on with that socket, they serve whoever has not been accepted yet. The rules for each connection are those of the
/// core's snapshot at that moment.
pub async fn run(
    core: Rc<Core>,
    listener: Listener,
    entry: Arc<ListenerEntry>,
    stopped: impl Future<Output = Remaining>,
) {
    // The core is not finished before what the kernel has accepted for it is served.
    let _hold = core.hold();
    let mut acceptor = Acceptor { core: &core, listener, address: entry.listener.socket_address(), entry };
    if acceptor.accept_until(pin!(stopped)).await == Remaining::Others {
        return acceptor.leave().await;
    }
    acceptor.listener.refuse_new();
    acceptor.accept_until(pin!(core.io.sleep(HANDSHAKE_GRACE))).await;
    acceptor.finish().await;
}

/// One listening socket.
struct Acceptor<'a> {
    core: &'a Rc<Core>,
    listener: Listener,
    address: SocketAddr,
    /// What was last known of the listener here: it may be gone from the snapshot while its last connections arrive, or
    /// even before its first.
    entry: Arc<ListenerEntry>,
}

impl Acceptor<'_> {
    /// Answers what the end says.
    async fn accept_until<T>(&mut self, mut end: Pin<&mut impl Future<Output = T>>) -> T {
        loop {
            let accepted = race(end.as_mut(), self.listener.accept()).await;
            if let Some(entry) = self.core.listener(self.address) {
                self.entry = entry;
            }
            let entry = &self.entry;
            match accepted {
                Either::First(told) => return told,
                Either::Second(Ok(socket)) => entrance::enter(self.core, entry, socket),
                // The connection was gone before it was taken; or the kernel ended the multishot.
                Either::Second(Err(AcceptError::Again(_))) => self.core.io.give_way().await,
                Either::Second(Err(AcceptError::Exhausted(_))) => {
                    entry.cells.core(self.core.number).errors.record(Reason::ResourcesExhausted);
                    self.core.io.sleep(PAUSE).await;
                }
            }
        }
    }

    async fn finish(self) {
        let waiting = self.listener.stop().await;
        waiting.into_iter().for_each(|socket| entrance::enter(self.core, &self.entry, socket));
    }

    async fn leave(self) {
        let accepted = self.listener.leave().await;
        accepted.into_iter().for_each(|socket| entrance::enter(self.core, &self.entry, socket));
    }
}
