//! Connections to instances that wait for their next request: one pool per core, last in first out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Instant;
use crate::proxy::backend::Backend;
use crate::registry::TargetId;

/// Idle connections kept to one instance by one core. More are needed only while more requests are in flight at once.
const KEPT_PER_TARGET: usize = 256;

/// How long a connection may wait. Below the keep-alive time of common servers (nginx 75 s), so that a request seldom
/// meets a connection that its instance is just closing.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How often connections that their instance has closed are looked for.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

struct Idle {
    backend: Box<Backend>,
    since: Instant,
}

/// The idle connections of one core by target. In order, so that a simulated core always closes them in the same one.
#[derive(Default)]
pub struct IdlePool {
    targets: RefCell<BTreeMap<TargetId, Vec<Idle>>>,
}

impl IdlePool {
    /// The most recently used connection to `target` that is fit to carry a request.
    pub fn take(&self, target: TargetId) -> Option<Box<Backend>> {
        let mut targets = self.targets.borrow_mut();
        let waiting = targets.get_mut(&target)?;
        while let Some(mut idle) = waiting.pop() {
            if idle.backend.is_fit() {
                return Some(idle.backend);
            }
        }
        None
    }

    /// Keeps a connection whose last answer has ended. Beyond the cap the connection is closed.
    pub fn put(&self, target: TargetId, mut backend: Box<Backend>, now: Instant) {
        backend.reader.receiver().arm();
        let mut targets = self.targets.borrow_mut();
        let waiting = targets.entry(target).or_default();
        if waiting.len() < KEPT_PER_TARGET {
            waiting.push(Idle { backend, since: now });
        }
    }

    /// Closes what the instances have closed and what has waited too long.
    pub fn sweep(&self, now: Instant) {
        self.targets.borrow_mut().retain(|_, waiting| {
            waiting.retain_mut(|idle| idle.backend.is_fit() && now.since(idle.since) < KEPT_FOR);
            !waiting.is_empty()
        });
    }

    /// Closes every connection to targets that `is_wanted` does not want any more.
    pub fn retain(&self, is_wanted: impl Fn(TargetId) -> bool) {
        self.targets.borrow_mut().retain(|target, _| is_wanted(*target));
    }

    /// Closes everything.
    pub fn clear(&self) {
        self.targets.borrow_mut().clear();
    }

    /// Number of idle connections.
    pub fn len(&self) -> usize {
        self.targets.borrow().values().map(Vec::len).sum()
    }

    /// Whether no connection waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
