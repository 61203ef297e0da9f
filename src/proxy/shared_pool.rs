//! HTTP/2 connections to instances, each for many requests at once: one pool per core.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Instant;
use crate::registry::TargetId;
use crate::transport::{Http2Client, Http2Place};

/// How long a connection without requests is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

struct Shared {
    client: Http2Client,
    used_at: Instant,
}

/// The shared connections of one core by target. Those of a target are used in order, so that the last ones fall idle.
/// So are the targets, that a simulated core may always close them in the same one.
#[derive(Default)]
pub struct SharedPool {
    targets: RefCell<BTreeMap<TargetId, Vec<Shared>>>,
}

impl SharedPool {
    /// A place on a connection to `target` that has one left.
    pub fn join(&self, target: TargetId, now: Instant) -> Option<Http2Place> {
        let mut targets = self.targets.borrow_mut();
        targets.get_mut(&target)?.iter_mut().find_map(|shared| {
            let place = shared.client.join()?;
            shared.used_at = now;
            Some(place)
        })
    }

    /// Shares a connection just made.
    pub fn put(&self, target: TargetId, client: Http2Client, now: Instant) {
        self.targets.borrow_mut().entry(target).or_default().push(Shared { client, used_at: now });
    }

    /// Lets go of connections that have ended, and of those that nobody has used for long: they close when their last
    /// request has.
    pub fn sweep(&self, now: Instant) {
        self.targets.borrow_mut().retain(|_, connections| {
            connections.retain(|Shared { client, used_at }| {
                let is_used = !client.is_idle() || now.since(*used_at) < KEPT_FOR;
                is_used && !client.has_ended()
            });
            !connections.is_empty()
        });
    }

    /// Lets go of every connection to targets that `is_wanted` does not want any more.
    pub fn retain(&self, is_wanted: impl Fn(TargetId) -> bool) {
        self.targets.borrow_mut().retain(|target, _| is_wanted(*target));
    }

    /// Lets go of all.
    pub fn clear(&self) {
        self.targets.borrow_mut().clear();
    }
}
