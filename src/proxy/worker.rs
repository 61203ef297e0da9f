//! One data-plane thread: follows the snapshot, keeps its listeners open, drains when the node stops.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::proxy::acceptor;
use crate::proxy::core::Core;
use crate::proxy::idle_pool::SWEEP_INTERVAL;
use crate::proxy::stop::{StopHandle, stop_pair};
use crate::registry::{Lifecycle, Reader, Snapshot};
use crate::runtime::{Io, ListenOptions, Listener};

/// Length of each listener's accept queue asked for; `net.core.somaxconn` caps it.
const BACKLOG: u32 = 4096;

/// What a worker is told at its birth.
pub struct WorkerSettings {
    /// Which core it is, counted from 0.
    pub number: usize,
    /// Whether bulk moves by splice.
    pub may_splice: bool,
    /// What should be, now and later.
    pub reader: Reader,
}

/// Serves until the node has stopped. `started` hears, once, whether every listener is open.
pub async fn run(io: Io, settings: WorkerSettings, started: impl FnOnce(io::Result<()>)) {
    let WorkerSettings { number, may_splice, mut reader } = settings;
    let core = Rc::new(Core::new(io, number, may_splice, reader.current()));
    let mut listeners = Listeners::default();
    let opened = listeners.follow(&core);
    let failed = opened.is_err();
    started(opened);
    if failed {
        return;
    }
    core.io.spawn(sweep(core.clone()));
    loop {
        match changed(&core, &mut reader).await {
            Change::Snapshot(snapshot) => {
                core.adopt(snapshot);
                if let Err(error) = listeners.follow(&core) {
                    tracing::error!(%error, core = number, "a listener could not be opened");
                }
                core.forget_idle_of_absent();
            }
            Change::Drain => {
                listeners.clear();
                core.drain();
            }
            Change::Stop => return,
        }
    }
}
