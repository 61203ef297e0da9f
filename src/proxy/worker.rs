//! One data-plane thread: follows the snapshot, keeps its listeners open, drains when the node stops.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::proxy::acceptor;
use crate::proxy::admission::Admission;
use crate::proxy::core::Core;
use crate::proxy::idle_pool::SWEEP_INTERVAL;
use crate::proxy::stop::{StopHandle, stop_pair};
use crate::registry::{Lifecycle, Reader};
use crate::runtime::{Either, Io, ListenOptions, Listener, ListeningSockets, Slot, race};
use crate::telemetry::FlightRecorder;

/// Length of each listener's accept queue asked for; `net.core.somaxconn` caps it.
pub const BACKLOG: u32 = 4096;

/// What a worker is told at its birth.
pub struct WorkerSettings {
    /// Which core it is, counted from 0.
    pub number: usize,
    /// Whether bulk moves by splice.
    pub may_splice: bool,
    /// What should be, now and later.
    pub reader: Reader,
    /// The node's client connections.
    pub admission: Arc<Admission>,
    /// What remembers the node's requests.
    pub recorder: Arc<FlightRecorder>,
    /// Sockets that were opened for the cores. What is not there, a core opens itself.
    pub sockets: Arc<ListeningSockets>,
}

/// Serves until the node has stopped or drained. `started` hears, once, whether every listener is open.
pub async fn run(io: Io, settings: WorkerSettings, started: impl FnOnce(io::Result<()>)) {
    let core = Rc::new(Core::new(io, &settings));
    let WorkerSettings { number, mut reader, sockets, .. } = settings;
    let mut listeners = Listeners { sockets, open: BTreeMap::new() };
    let opened = listeners.follow(&core);
    let failed = opened.is_err();
    started(opened);
    if failed {
        return;
    }
    core.io.spawn(sweep(core.clone()));
    loop {
        match next(&core, &mut reader).await {
            Next::Adopt => {
                core.adopt(reader.current().clone());
                // Those of a core that drains stay closed.
                if core.draining_since().is_none()
                    && let Err(error) = listeners.follow(&core)
                {
                    tracing::error!(%error, core = number, "a listener could not be opened");
                }
            }
            Next::Drain => {
                listeners.retain(&core, |_| false);
                core.drain();
            }
            Next::Stop => return core.offer_lines(),
        }
    }
}

/// What a worker does next.
enum Next {
    /// Go by the reader's present snapshot.
    Adopt,
    /// Take no new connections.
    Drain,
    /// End: nothing is left to finish, or the time for it is up.
    Stop,
}

/// Waits for news from the registry or, while draining, for the end of the last connection.
async fn next(core: &Rc<Core>, reader: &mut Reader) -> Next {
    match (reader.lifecycle(), core.draining_since()) {
        (Lifecycle::Stopped, _) => return Next::Stop,
        (Lifecycle::Draining { .. }, None) => return Next::Drain,
        (Lifecycle::Draining { deadline }, Some(_)) => {
            let finished = core.io.within(deadline, core.finished());
            if let Either::First(_) = race(finished, reader.change()).await {
                return Next::Stop;
            }
        }
        (Lifecycle::Starting | Lifecycle::Serving, _) => reader.change().await,
    }
    wake_those_cut(core, reader);
    Next::Adopt
}

/// Has every flow look whether what it does has been cut.
fn wake_those_cut(core: &Core, reader: &mut Reader) {
    if reader.take_cuts() {
        core.io.wake_all();
    }
}

/// Looks at the clock, closes idle connections that their instances have closed, and gives away lines that wait for a
/// full block.
async fn sweep(core: Rc<Core>) {
    loop {
        core.read_wall_clock();
        core.io.sleep(SWEEP_INTERVAL).await;
        core.idle.sweep(core.io.now());
        core.shared.sweep(core.io.now());
        core.offer_lines();
    }
}

/// The open listeners by address, in order, so that a simulated core always stops them in the same one. Dropping a handle
/// stops its acceptor.
struct Listeners {
    sockets: Arc<ListeningSockets>,
    open: BTreeMap<SocketAddr, StopHandle>,
}

impl Listeners {
    /// Opens what the core's snapshot has and is not open, and stops what it has no more. Those in both stay as they are.
    fn follow(&mut self, core: &Rc<Core>) -> io::Result<()> {
        let snapshot = core.snapshot();
        let before = self.open.len();
        self.retain(core, |address| snapshot.listener(address).is_some());
        if self.open.len() < before {
            // Idle connections to those that are gone end.
            core.io.wake_all();
        }
        let mut result = Ok(());
        for entry in snapshot.listeners() {
            let address = entry.listener.socket_address();
            if self.open.contains_key(&address) {
                continue;
            }
            match self.listen(core, address) {
                Ok(listener) => {
                    let (handle, stopped) = stop_pair();
                    core.io.spawn(acceptor::run(core.clone(), listener, entry.clone(), stopped.wait()));
                    self.open.insert(address, handle);
                }
                Err(error) => result = Err(io::Error::new(error.kind(), format!("{address}: {error}"))),
            }
        }
        result
    }
    /// The socket that was opened for this core, or else one that it opens.
    fn listen(&self, core: &Core, address: SocketAddr) -> io::Result<Listener> {
        match self.sockets.take(Slot { core: core.number, address }) {
            Some(socket) => Ok(Listener::adopt(&core.io, socket)),
            None => Listener::open(&core.io, &ListenOptions { address, backlog: BACKLOG }),
        }
    }

    fn retain(&mut self, core: &Core, stays: impl Fn(SocketAddr) -> bool) {
        for (address, handle) in self.open.extract_if(.., |address, _| !stays(*address)) {
            handle.stop(self.sockets.release(Slot { core: core.number, address }));
        }
    }
}
