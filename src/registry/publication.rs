//! How a snapshot reaches every thread.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use super::departures::{Departures, Deregistered};
use super::ejections::Offences;
use super::lifecycle::LifecycleCell;
use super::newcomers::Newcomers;
use super::news::{Ear, News};
use super::surge::serve;
use super::{CompileError, Keyring, KeyringError, Keys, Lifecycle, Refreshed, Snapshot, compile};
use crate::balance::StickyKey;
use crate::base::Instant;
use crate::model::Configuration;
use crate::runtime::Published;
use crate::tls::{TicketRing, WallClock};

/// What the threads of the node share. Cheap to clone; every clone is the same registry.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    published: Published<Arc<Snapshot>>,
    lifecycle: LifecycleCell,
    /// Of publications, steps of the lifecycle and cuts.
    news: News,
    cores: usize,
    sticky_key: OnceLock<StickyKey>,
    /// One configuration is applied at a time: each is compiled as the successor of the one before.
    applied: Mutex<Applied>,
    departures: Mutex<Departures>,
    reviews: Mutex<(Offences, Newcomers)>,
    /// Counts how often requests in flight were cut.
    cuts: AtomicU64,
}

/// What the snapshot published last was compiled from.
#[derive(Debug)]
struct Applied {
    configuration: Configuration,
    keyring: Keyring,
}

impl Registry {
    /// A registry of the first configuration, for `cores` data-plane threads, without a key for sticky cookies;
    /// errors as of [`compile()`], and files of certificates and keys that are no good.
    pub fn new(configuration: &Configuration, cores: usize) -> Result<Self, Vec<CompileError>> {
        Self::with_keys(configuration, cores, None, &[])
    }

    /// As [`Registry::new`], with a key for sticky cookies and the ticket keys of a registry of another process
    /// ([`Registry::ticket_keys`]).
    pub fn with_keys(
        configuration: &Configuration,
        cores: usize,
        sticky: Option<StickyKey>,
        ticket_keys: &[u8],
    ) -> Result<Self, Vec<CompileError>> {
        let tickets = TicketRing::resumed(ticket_keys, WallClock::System);
        let tickets = tickets.map_err(|fault| vec![CompileError::Tickets(fault)])?;
        let keyring = Keyring::new(Arc::new(tickets)).for_configuration(configuration).map_err(of_keyring)?;
        let first = compile(configuration, cores, Keys { keyring: &keyring, sticky: sticky.as_ref() }, None)?;
        Ok(Self(Arc::new(Shared {
            published: Published::new(Arc::new(first)),
            lifecycle: LifecycleCell::new(),
            news: News::default(),
            cores,
            sticky_key: sticky.map(OnceLock::from).unwrap_or_default(),
            applied: Mutex::new(Applied { configuration: configuration.clone(), keyring }),
            departures: Mutex::default(),
            reviews: Mutex::default(),
            cuts: AtomicU64::new(0),
        })))
    }

    /// The keys of session tickets, for a process that is to succeed this one. Secret.
    pub fn ticket_keys(&self) -> Vec<u8> {
        self.0.applied.lock().unwrap_or_else(PoisonError::into_inner).keyring.tickets().export()
    }

    /// Whether there is a key for sticky cookies.
    pub fn has_sticky_key(&self) -> bool {
        self.0.sticky_key.get().is_some()
    }

    /// The key for sticky cookies of configurations to come, if there is none yet.
    pub fn provide_sticky_key(&self, key: StickyKey) {
        // The one that cookies have been made with stays.
        let _ = self.0.sticky_key.set(key);
    }

    /// Compiles the next configuration and publishes it; errors as of [`Registry::new`], and then nothing has changed.
    pub fn apply(&self, configuration: &Configuration) -> Result<(), Vec<CompileError>> {
        self.apply_after(configuration, |_| Ok(()))
    }

    /// As [`Registry::apply`], if `prepare` succeeds with what is about to be published. Nothing else can fail after it.
    pub fn apply_after(
        &self,
        configuration: &Configuration,
        prepare: impl FnOnce(&Snapshot) -> Result<(), CompileError>,
    ) -> Result<(), Vec<CompileError>> {
        let mut applied = self.0.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let keyring = applied.keyring.for_configuration(configuration).map_err(of_keyring)?;
        self.publish(configuration, &keyring, prepare)?;
        *applied = Applied { configuration: configuration.clone(), keyring };
        Ok(())
    }

    /// Looks whether files of certificates and authorities have changed, and publishes the good ones to new connections.
    /// Answers what became of each that had changed. Host names are looked up anew, as by [`Registry::apply`]: not for
    /// the control thread itself.
    pub fn refresh_certificates(&self) -> Vec<Refreshed> {
        let mut applied = match self.0.applied.try_lock() {
            Ok(applied) => applied,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A configuration is just being applied, which reads what has changed and may take long to look names up.
            Err(TryLockError::WouldBlock) => return Vec::new(),
        };
        let mut keyring = applied.keyring.clone();
        let refreshed = keyring.refresh();
        if refreshed.iter().any(Refreshed::is_news)
            && let Err(errors) = self.publish(&applied.configuration, &keyring, |_| Ok(()))
        {
            // A host name may have no address just now. What is served stays as it is, and the next look finds the same.
            let causes = CompileError::join(&errors);
            tracing::error!(causes, "changed certificates could not be brought into effect; they will be tried again");
            return Vec::new();
        }
        applied.keyring = keyring;
        refreshed
    }

    fn publish(
        &self,
        configuration: &Configuration,
        keyring: &Keyring,
        prepare: impl FnOnce(&Snapshot) -> Result<(), CompileError>,
    ) -> Result<(), Vec<CompileError>> {
        let keys = Keys { keyring, sticky: self.0.sticky_key.get() };
        let previous = self.snapshot();
        let next = compile(configuration, self.0.cores, keys, Some(&previous))?;
        prepare(&next).map_err(|error| vec![error])?;
        self.0.departures().handle_publication(&previous, &next);
        self.0.published.replace(Arc::new(next));
        self.0.news.announce();
        Ok(())
    }

    /// Eyes for one thread, which have seen everything up to now.
    pub fn reader(&self) -> Reader {
        let shared = Arc::clone(&self.0);
        // What is published between these two is seen now and heard of once more.
        let ear = shared.news.listen();
        let current = shared.published.get();
        let cuts = shared.cuts.load(Ordering::Relaxed);
        Reader { shared, current, ear, cuts }
    }

    /// Whether every thread has acted upon everything published up to now: it has adopted the snapshot and come back to
    /// wait for the next ([`Reader::change`]).
    pub fn is_settled(&self) -> bool {
        self.0.news.is_settled()
    }

    /// Cuts what is in flight on instances that get no new work and whose time to finish is over, and tells every thread;
    /// whether there was any. To be called every now and then.
    pub fn cut_overdue(&self, now: Instant) -> bool {
        let any = self.0.departures().look(&self.snapshot(), now);
        if any {
            self.0.cuts.fetch_add(1, Ordering::Relaxed);
            self.0.news.announce();
        }
        any
    }

    /// Ends ejections whose time is up, and lets the shares of newcomers grow. Whether anybody is no longer ejected. To be
    /// called every now and then.
    pub fn review(&self, now: Instant) -> bool {
        let mut reviews = self.0.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        let (offences, newcomers) = &mut *reviews;
        let snapshot = self.snapshot();
        let any = offences.look(&snapshot, now);
        newcomers.look(&snapshot, now);
        any
    }

    /// Serves those who wait in surge queues, if room has come up otherwise than by the end of a request: an instance is
    /// in service again, or a limit has changed. To be called every now and then.
    pub fn serve_queues(&self) {
        self.snapshot().load_balancers().iter().for_each(|entry| serve(&entry.rules.surge_queue));
    }

    /// Instances that are registered no longer and have not finished yet.
    pub fn deregistered(&self) -> Vec<Deregistered> {
        self.0.departures().deregistered().cloned().collect()
    }

    /// The snapshot published last. For the control thread; the data plane reads through a [`Reader`].
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.published.get()
    }

    /// How far the node has come in its life.
    pub fn lifecycle(&self) -> Lifecycle {
        self.0.lifecycle.get()
    }

    /// Moves the node forward in its life and tells every thread. Going back changes nothing.
    pub fn advance(&self, lifecycle: Lifecycle) {
        if self.0.lifecycle.advance(lifecycle) {
            self.0.news.announce();
        }
    }
}

fn of_keyring(errors: Vec<KeyringError>) -> Vec<CompileError> {
    errors.into_iter().map(CompileError::Keyring).collect()
}

impl Shared {
    fn departures(&self) -> MutexGuard<'_, Departures> {
        self.departures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's eyes on the registry.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    current: Arc<Snapshot>,
    ear: Ear,
    /// The cuts that this thread knows of.
    cuts: u64,
}

impl Reader {
    /// The snapshot this thread goes by.
    pub fn current(&self) -> &Arc<Snapshot> {
        &self.current
    }

    /// How far the node has come in its life: one load.
    pub fn lifecycle(&self) -> Lifecycle {
        self.shared.lifecycle.get()
    }

    /// Waits for news and adopts it. What comes together is told once. Dropping the future loses nothing.
    pub async fn change(&mut self) {
        // Whoever waits for the next news has done what the last asked for.
        self.ear.settle();
        poll_fn(|context| self.ear.poll_heard(&self.shared.news, context)).await;
        self.current = self.shared.published.get();
    }

    /// Whether requests in flight were cut since this was asked last: whoever has some should look.
    pub fn take_cuts(&mut self) -> bool {
        let cuts = self.shared.cuts.load(Ordering::Relaxed);
        std::mem::replace(&mut self.cuts, cuts) != cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CertificateFiles, Protocol};
    use crate::registry::testing::{balancer, configuration, instance, listener};
    use crate::runtime::{BufferPool, Executor, Ring};
    use std::future::Future;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};
    use std::time::Duration;

    fn registry() -> Registry {
        Registry::new(&numbered(0), 1).expect("addresses only")
    }

    fn numbered(number: usize) -> Configuration {
        configuration(vec![balancer("web", 80, vec![instance(&format!("i-{number}"), "10.0.0.1")])])
    }

    /// Whether there was news, which is adopted then.
    fn adopt(reader: &mut Reader) -> bool {
        pin!(reader.change()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn id_in(snapshot: &Snapshot) -> String {
        snapshot.instances().map(|(_, entry)| entry.instance.id.to_string()).collect()
    }

    #[test]
    fn a_reader_goes_by_its_view_until_it_adopts() {
        let registry = registry();
        let mut reader = registry.reader();
        assert!(!adopt(&mut reader));
        registry.apply(&numbered(1)).expect("addresses only");
        let before = Arc::clone(reader.current());
        assert_eq!((id_in(&before), id_in(&registry.snapshot())), ("i-0".into(), "i-1".into()));
        assert!(adopt(&mut reader));
        assert_eq!((id_in(reader.current()), id_in(&before)), ("i-1".into(), "i-0".into()));
        assert!(!adopt(&mut reader));
    }

    #[test]
    fn what_does_not_compile_is_not_published() {
        let registry = registry();
        let mut reader = registry.reader();
        let unknown = configuration(vec![balancer("web", 80, vec![instance("a", "no-such-host.invalid")])]);
        assert_eq!(registry.apply(&unknown).expect_err("unresolvable").len(), 1);
        assert!(!adopt(&mut reader));
        assert_eq!(registry.snapshot().version(), 1);
    }

    #[test]
    fn a_certificate_that_could_not_be_published_is_published_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = CertificateFiles { chain: folder.path().join("a.crt"), key: folder.path().join("a.key") };
        let renew = || {
            let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
            for (path, text) in [(&files.chain, made.cert.pem()), (&files.key, made.signing_key.serialize_pem())] {
                // As those do that renew certificates: never half a file, and another one each time.
                let new = path.with_extension("new");
                std::fs::write(&new, text).expect("written");
                std::fs::rename(&new, path).expect("renamed");
            }
        };
        let secure = |address| {
            let mut web = balancer("web", 80, vec![instance("a", address)]);
            web.listeners = vec![listener(Protocol::Https, 443, 80)];
            web.listeners[0].certificates.push(files.clone());
            configuration(vec![web])
        };
        renew();
        let registry = Registry::new(&secure("10.0.0.1"), 1).expect("a good certificate");
        assert!(registry.refresh_certificates().is_empty(), "nothing has changed");

        // As if the name had had an address when it was applied.
        registry.0.applied.lock().expect("sound").configuration = secure("no-such-host.invalid");
        renew();
        assert!(registry.refresh_certificates().is_empty(), "it is not in effect");
        assert_eq!(registry.snapshot().version(), 1);

        registry.0.applied.lock().expect("sound").configuration = secure("10.0.0.1");
        assert!(matches!(registry.refresh_certificates()[..], [Refreshed::Replaced(..)]));
        assert_eq!(registry.snapshot().version(), 2);
        assert!(registry.refresh_certificates().is_empty(), "it is told once");
    }

    #[test]
    fn a_snapshot_goes_with_its_last_view() {
        let registry = registry();
        let mut reader = registry.reader();
        let first = Arc::downgrade(&registry.snapshot());
        registry.apply(&numbered(1)).expect("addresses only");
        assert!(first.upgrade().is_some(), "the reader still goes by it");
        adopt(&mut reader);
        // Other tests may hold an epoch back for a moment.
        for number in 2..10_000 {
            if first.upgrade().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            registry.apply(&numbered(number)).expect("addresses only");
        }
        assert!(first.upgrade().is_none());
    }

    /// A worker as the data plane has it: an executor that sleeps in its ring until the registry wakes it.
    #[test]
    fn news_wakes_executors_that_sleep_and_none_is_missed() {
        const PUBLICATIONS: usize = 300;
        let registry = registry();
        let (heard, hears) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (registry, heard) = (registry.clone(), heard.clone());
                scope.spawn(move || {
                    let buffers = BufferPool::new(8).expect("memory");
                    let ring = Ring::new(&buffers).expect("io_uring");
                    let mut executor = Executor::new(Box::new(ring), buffers).expect("an executor");
                    let watch = async move {
                        let mut reader = registry.reader();
                        heard.send(0).expect("heard");
                        while reader.lifecycle() != Lifecycle::Stopped {
                            reader.change().await;
                            heard.send(reader.current().version()).expect("heard");
                        }
                    };
                    executor.run(watch).expect("the ring works");
                });
            }
            drop(heard);
            let patience = Duration::from_secs(20);
            (0..2).for_each(|_| assert_eq!(hears.recv_timeout(patience), Ok(0)));
            for number in 1..=PUBLICATIONS {
                registry.apply(&numbered(number)).expect("addresses only");
                if number % 3 == 0 {
                    // Both have seen this one before the next: whoever sleeps was woken.
                    let version = number as u32 + 1;
                    let mut behind = 2;
                    while behind > 0 {
                        behind -= usize::from(hears.recv_timeout(patience) == Ok(version));
                    }
                }
            }
            registry.advance(Lifecycle::Stopped);
        });
    }

    #[test]
    fn steps_of_the_lifecycle_are_told_once() {
        let registry = registry();
        let mut reader = registry.reader();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let deadline = Instant::from_nanoseconds(1_000);
            registry.advance(Lifecycle::Serving);
            registry.advance(Lifecycle::Draining { deadline });
            reader.change().await;
            assert_eq!(reader.lifecycle(), Lifecycle::Draining { deadline });
            registry.advance(Lifecycle::Serving);
            let again = tokio::time::timeout(Duration::from_millis(20), reader.change()).await;
            assert!(again.is_err(), "going back is no news");
        });
    }
}
