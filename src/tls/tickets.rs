//! Stateless session tickets (RFC 8446 section 4.6.1, RFC 5077) and the keys that protect them: one ring of keys for
//! all threads, replaced every six hours by the first thread that notices, read without a lock.
//!
//! A ticket is `key name (8) | nonce (12) | AES-256-GCM of the session state`, with the scope of its listener as
//! associated data: a ticket from a listener that asks for no client certificate opens nothing on one that does.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use rustls::server::ProducesTickets;

use super::clock::WallClock;

/// How long one key issues tickets. They are good for one to two windows: the key before the current one still opens
/// them. Six hours bound what a stolen key reveals, and keep 2^32 random nonces per key (NIST SP 800-38D) out of
/// reach: that would take 200,000 tickets a second.
const WINDOW_SECONDS: u64 = 6 * 3600;

const NAME_LEN: usize = 8;
const KEY_LEN: usize = 32;

/// The ticket keys of one process or, with a shared secret, of a fleet. Made once and kept across reloads.
pub struct TicketRing {
    /// Tells rings apart in the threads' caches.
    id: u64,
    source: Source,
    clock: WallClock,
    shared: Mutex<Arc<Keys>>,
}

enum Source {
    /// Fresh random keys: past tickets stay closed to whoever steals the present ones. (A thread forgets its copy of
    /// the old ones at its next handshake.)
    Random,
    /// Keys derived from a secret and the number of the window: whoever has the secret opens all tickets.
    Fleet(Prk),
}

impl TicketRing {
    /// A ring of random keys.
    pub fn random(clock: WallClock) -> Result<Self, TicketFault> {
        Self::new(Source::Random, clock)
    }

    /// A ring whose keys are derived from `secret`, at least 32 random bytes that all nodes of a fleet hold. Their
    /// clocks may be off by up to a window. Change the secret to close all tickets issued under it.
    pub fn fleet(secret: &[u8], clock: WallClock) -> Result<Self, TicketFault> {
        if secret.len() < KEY_LEN {
            return Err(TicketFault::ShortSecret { length: secret.len() });
        }
        let prk = Salt::new(HKDF_SHA256, b"elbow session tickets 1").extract(secret);
        Self::new(Source::Fleet(prk), clock)
    }

    /// A ring of random keys that goes on with what [`TicketRing::export`] gave; of what is no export nothing is taken.
    pub fn resumed(exported: &[u8], clock: WallClock) -> Result<Self, TicketFault> {
        let ring = Self::random(clock)?;
        if let Some(keys) = Keys::import(exported) {
            *ring.shared.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        }
        Ok(ring)
    }

    /// The random keys that open tickets now, for a process that is to succeed this one. Secret.
    pub fn export(&self) -> Vec<u8> {
        self.keys().export()
    }

    fn new(source: Source, clock: WallClock) -> Result<Self, TicketFault> {
        static RINGS: AtomicU64 = AtomicU64::new(0);
        let window = clock.now_seconds() / WINDOW_SECONDS;
        let keys = source.keys(window, None).ok_or(TicketFault::NoRandomness)?;
        let id = RINGS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, source, clock, shared: Mutex::new(Arc::new(keys)) })
    }

    /// The keys of the current window. Takes the lock only when this thread has not seen that window yet.
    fn keys(&self) -> Arc<Keys> {
        thread_local! {
            static SEEN: RefCell<Option<(u64, Arc<Keys>)>> = const { RefCell::new(None) };
        }
        let window = self.clock.now_seconds() / WINDOW_SECONDS;
        SEEN.with_borrow_mut(|seen| match seen {
            Some((id, keys)) if *id == self.id && keys.window == window => keys.clone(),
            _ => {
                let keys = self.advance(window);
                *seen = Some((self.id, keys.clone()));
                keys
            }
        })
    }

    /// Replaces the shared keys if their window is over. A thread whose clock reading lost the race at the end of a
    /// window gets the keys of the next one. If there is no randomness, the old keys stay in use.
    fn advance(&self, window: u64) -> Arc<Keys> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = [window, window.saturating_add(1)].contains(&shared.window);
        if !is_current && let Some(next) = self.source.keys(window, Some(&shared)) {
            *shared = Arc::new(next);
        }
        shared.clone()
    }
}

impl fmt::Debug for TicketRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketRing").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Source {
    fn keys(&self, window: u64, before: Option<&Keys>) -> Option<Keys> {
        match self {
            Self::Random => {
                let mut bytes = [0; NAME_LEN + KEY_LEN];
                rand::fill(&mut bytes).ok()?;
                let previous = before.filter(|keys| keys.window.abs_diff(window) == 1);
                let openers = previous.into_iter().map(|keys| keys.current.clone()).collect();
                Some(Keys { window, current: Arc::new(TicketKey::new(&bytes)?), openers })
            }
            Self::Fleet(prk) => Some(Keys {
                window,
                current: Arc::new(TicketKey::derive(prk, window)?),
                openers: vec![
                    Arc::new(TicketKey::derive(prk, window.saturating_sub(1))?),
                    Arc::new(TicketKey::derive(prk, window.saturating_add(1))?),
                ],
            }),
        }
    }
}

/// The keys of one window.
struct Keys {
    window: u64,
    /// Seals new tickets.
    current: Arc<TicketKey>,
    /// Open tickets beside the current one: of the window before, and of nodes whose clock is ahead.
    openers: Vec<Arc<TicketKey>>,
}

impl Keys {
    /// The window, then the current key and the others.
    fn export(&self) -> Vec<u8> {
        let keys = [&self.current].into_iter().chain(&self.openers);
        self.window.to_be_bytes().into_iter().chain(keys.flat_map(|key| key.bytes)).collect()
    }

    fn import(exported: &[u8]) -> Option<Keys> {
        let (window, keys) = exported.split_first_chunk()?;
        let (keys, []) = keys.as_chunks() else { return None };
        let mut keys = keys.iter().map(|bytes| TicketKey::new(bytes).map(Arc::new));
        let current = keys.next()??;
        Some(Keys { window: u64::from_be_bytes(*window), current, openers: keys.collect::<Option<_>>()? })
    }
}

struct TicketKey {
    /// Name and key, as they are handed on.
    bytes: [u8; NAME_LEN + KEY_LEN],
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
}

impl TicketKey {
    fn new(bytes: &[u8; NAME_LEN + KEY_LEN]) -> Option<Self> {
        let (name, key) = bytes.split_first_chunk()?;
        Some(Self { bytes: *bytes, name: *name, key: RandomizedNonceKey::new(&AES_256_GCM, key).ok()? })
    }

    fn derive(prk: &Prk, window: u64) -> Option<Self> {
        let mut bytes = [0; NAME_LEN + KEY_LEN];
        prk.expand(&[&window.to_be_bytes()], OutputLength(bytes.len())).ok()?.fill(&mut bytes).ok()?;
        Self::new(&bytes)
    }

    fn seal(&self, state: &[u8], scope: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = state.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(scope), &mut sealed).ok()?;
        Some([&self.name, nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, nonce: &[u8; NONCE_LEN], sealed: &[u8], scope: &[u8]) -> Option<Vec<u8>> {
        let mut state = sealed.to_vec();
        let length = self.key.open_in_place(Nonce::from(nonce), Aad::from(scope), &mut state).ok()?.len();
        state.truncate(length);
        Some(state)
    }
}

struct OutputLength(usize);

impl KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// The tickets of one listener: the ring's keys under the listener's scope.
#[derive(Debug)]
pub(super) struct ScopedTickets {
    ring: Arc<TicketRing>,
    scope: [u8; 32],
}

impl ScopedTickets {
    /// `scope` must differ between listeners that trust clients differently.
    pub(super) fn new(ring: Arc<TicketRing>, scope: [u8; 32]) -> Self {
        Self { ring, scope }
    }
}

impl ProducesTickets for ScopedTickets {
    fn enabled(&self) -> bool {
        true
    }

    /// Seconds for which every ticket is good: its key is replaced within one window and still opens for another.
    fn lifetime(&self) -> u32 {
        WINDOW_SECONDS as u32
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        self.ring.keys().current.seal(state, &self.scope)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.ring.keys();
        let key = [&keys.current].into_iter().chain(&keys.openers).find(|key| key.name == *name)?;
        key.open(nonce, sealed, &self.scope)
    }
}

/// Why there are no ticket keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketFault {
    /// The fleet's secret has too few bytes.
    ShortSecret {
        /// How many it has.
        length: usize,
    },
    /// The system gives no random numbers.
    NoRandomness,
}

impl fmt::Display for TicketFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret { length } => {
                write!(f, "the shared ticket secret has {length} bytes; it needs at least {KEY_LEN} random ones")
            }
            Self::NoRandomness => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for TicketFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_at(seconds: u64) -> (WallClock, Arc<AtomicU64>) {
        let time = Arc::new(AtomicU64::new(seconds));
        (WallClock::Given(time.clone()), time)
    }

    fn tickets(ring: TicketRing) -> ScopedTickets {
        ScopedTickets::new(Arc::new(ring), [1; 32])
    }

    #[test]
    fn a_ticket_is_good_for_one_to_two_windows() {
        let start = 100 * WINDOW_SECONDS;
        for (issued, accepted, expected) in [
            (start, start, true),
            (start, start + 2 * WINDOW_SECONDS - 1, true),
            (start, start + 2 * WINDOW_SECONDS, false),
            (start + WINDOW_SECONDS - 1, start + 2 * WINDOW_SECONDS - 1, true),
        ] {
            for fleet in [false, true] {
                let (clock, time) = clock_at(issued);
                let ring = match fleet {
                    true => TicketRing::fleet(&[7; 32], clock),
                    false => TicketRing::random(clock),
                };
                let tickets = tickets(ring.expect("a ring"));
                let ticket = tickets.encrypt(b"state").expect("a ticket");
                time.store(accepted, Ordering::Relaxed);
                assert_eq!(tickets.decrypt(&ticket).is_some(), expected, "{issued} {accepted} {fleet}");
            }
        }
    }

    #[test]
    fn random_keys_of_two_windows_ago_are_gone() {
        let (clock, time) = clock_at(WINDOW_SECONDS);
        let tickets = tickets(TicketRing::random(clock).expect("a ring"));
        let ticket = tickets.encrypt(b"state").expect("a ticket");
        for window in [2, 3, 1] {
            time.store(window * WINDOW_SECONDS, Ordering::Relaxed);
            assert_eq!(tickets.decrypt(&ticket).is_some(), window == 2);
        }
    }

    #[test]
    fn a_reading_from_before_the_end_of_a_window_does_not_turn_the_keys_back() {
        let (clock, time) = clock_at(WINDOW_SECONDS - 1);
        let ring = Arc::new(TicketRing::random(clock).expect("a ring"));
        let tickets = ScopedTickets::new(ring.clone(), [1; 32]);
        time.store(WINDOW_SECONDS, Ordering::Relaxed);
        let ticket = tickets.encrypt(b"state").expect("a ticket");
        assert_eq!(ring.advance(0).window, 1);
        assert!(tickets.decrypt(&ticket).is_some());
    }

    #[test]
    fn a_successor_opens_the_tickets_of_its_predecessor_and_forgets_them_in_time() {
        let (clock, time) = clock_at(WINDOW_SECONDS);
        let before = Arc::new(TicketRing::random(clock.clone()).expect("a ring"));
        let oldest = ScopedTickets::new(before.clone(), [1; 32]).encrypt(b"oldest").expect("a ticket");
        time.store(2 * WINDOW_SECONDS, Ordering::Relaxed);
        let old = ScopedTickets::new(before.clone(), [1; 32]).encrypt(b"old").expect("a ticket");
        let after = tickets(TicketRing::resumed(&before.export(), clock.clone()).expect("a ring"));
        let new = after.encrypt(b"new").expect("a ticket");
        assert_eq!(ScopedTickets::new(before, [1; 32]).decrypt(&new).as_deref(), Some(b"new".as_slice()));
        for (window, opens) in [(2, [true, true]), (3, [false, true]), (4, [false, false])] {
            time.store(window * WINDOW_SECONDS, Ordering::Relaxed);
            assert_eq!([&oldest, &old].map(|ticket| after.decrypt(ticket).is_some()), opens, "{window}");
        }
        for nonsense in [&b""[..], b"12345678", &[0; 8 + NAME_LEN + KEY_LEN + 1]] {
            let ring = TicketRing::resumed(nonsense, clock.clone()).expect("a ring");
            assert_eq!(ring.keys().window, 4, "its own keys");
        }
    }

    #[test]
    fn all_threads_use_the_same_keys_before_and_after_a_rotation() {
        let (clock, time) = clock_at(0);
        let tickets = Arc::new(tickets(TicketRing::random(clock).expect("a ring")));
        for window in 0..3 {
            time.store(window * WINDOW_SECONDS, Ordering::Relaxed);
            let ticket = tickets.encrypt(b"state").expect("a ticket");
            let other = tickets.clone();
            let opened = std::thread::spawn(move || other.decrypt(&ticket)).join().expect("no panic");
            assert_eq!(opened.as_deref(), Some(b"state".as_slice()));
        }
    }

    #[test]
    fn a_fleet_shares_tickets_across_skewed_clocks_and_nobody_else_does() {
        let ring = |secret: u8, seconds| TicketRing::fleet(&[secret; 32], clock_at(seconds).0).expect("a ring");
        let boundary = 50 * WINDOW_SECONDS;
        let ahead = tickets(ring(7, boundary + 5));
        let behind = tickets(ring(7, boundary - 5));
        let stranger = tickets(ring(8, boundary));
        let ticket = ahead.encrypt(b"state").expect("a ticket");
        assert_eq!(behind.decrypt(&ticket).as_deref(), Some(b"state".as_slice()));
        assert_eq!(stranger.decrypt(&ticket), None);
        assert_eq!(ring_fault(&[0; 31]), Some(TicketFault::ShortSecret { length: 31 }));
    }

    fn ring_fault(secret: &[u8]) -> Option<TicketFault> {
        TicketRing::fleet(secret, WallClock::System).err()
    }

    #[test]
    fn a_ticket_of_another_scope_or_a_changed_one_does_not_open() {
        let ring = Arc::new(TicketRing::random(WallClock::System).expect("a ring"));
        let mine = ScopedTickets::new(ring.clone(), [1; 32]);
        let other = ScopedTickets::new(ring, [2; 32]);
        let ticket = mine.encrypt(b"state").expect("a ticket");
        assert_eq!(other.decrypt(&ticket), None);
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(mine.decrypt(&changed), None, "byte {index}");
            assert_eq!(mine.decrypt(&ticket[..index]), None, "cut at {index}");
        }
        assert_eq!(mine.decrypt(&ticket).as_deref(), Some(b"state".as_slice()));
    }
}
