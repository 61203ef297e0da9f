//! Sessions remembered between handshakes where a ticket does not do: on the front those of TLS 1.2 clients without
//! tickets, towards the back ends the tickets that they gave us.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crossbeam::queue::ArrayQueue;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// Shards of [`SessionIds`]: enough that cores seldom meet at one lock.
const SHARDS: usize = 16;

/// Sessions per shard, about 200 bytes each: 2,048 a listener, for clients that few listeners still see.
const SESSIONS_PER_SHARD: usize = 128;

/// TLS 1.2 sessions by session id (RFC 5246 section 7.4.1.2), shared by all cores. Locked for one look-up, and only
/// in full TLS 1.2 handshakes and by clients that offer a session id and no ticket.
pub(super) struct SessionIds([Arc<ServerSessionMemoryCache>; SHARDS]);

impl SessionIds {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| ServerSessionMemoryCache::new(SESSIONS_PER_SHARD)))
    }

    /// Ids are random, so any byte spreads them.
    fn shard(&self, id: &[u8]) -> &ServerSessionMemoryCache {
        let byte = usize::from(id.first().copied().unwrap_or_default());
        &self.0[byte % SHARDS]
    }
}

impl fmt::Debug for SessionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionIds")
    }
}

impl StoresServerSessions for SessionIds {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        self.shard(&id).put(id.clone(), session)
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.shard(id).get(id)
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.shard(id).take(id)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// TLS 1.3 tickets kept per back end, each for one connection; the oldest gives way. Back ends send two per
/// handshake as a rule.
const BACKEND_TICKETS: usize = 32;

/// Copies of the latest TLS 1.2 sessions kept per back end. Unlike tickets they may be used again, but two cores may
/// want one at the same time.
const BACKEND_SESSIONS: usize = 4;

/// What is remembered of one back end, shared by all cores without a lock. The server name is not looked at: a store
/// belongs to one configuration, and that to one back end.
#[derive(Debug)]
pub(super) struct BackendSessions {
    tickets: ArrayQueue<Tls13ClientSessionValue>,
    sessions: ArrayQueue<Tls12ClientSessionValue>,
    /// The key exchange group it chose last; 0 is none (RFC 8446 section 4.2.7 leaves it unassigned).
    group: AtomicU16,
}

impl BackendSessions {
    pub(super) fn new() -> Self {
        Self {
            tickets: ArrayQueue::new(BACKEND_TICKETS),
            sessions: ArrayQueue::new(BACKEND_SESSIONS),
            group: AtomicU16::new(0),
        }
    }
}

impl ClientSessionStore for BackendSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.group.store(u16::from(group), Ordering::Relaxed);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        match self.group.load(Ordering::Relaxed) {
            0 => None,
            group => Some(NamedGroup::from(group)),
        }
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.sessions.force_push(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = self.sessions.pop()?;
        self.sessions.force_push(session.clone());
        Some(session)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        while self.sessions.pop().is_some() {}
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.tickets.force_push(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tickets.pop()
    }
}
