//! Which instance is probed when, and what becomes of the results.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::probe::{Outcome, probe};
use crate::base::Instant;
use crate::base::slab::{Key, Slab};
use crate::base::wheel::Wheel;
use crate::health::{Change, Condition, Failure, Health, Schedule};
use crate::model::Host;
use crate::registry::{InstanceEntry, Lifecycle, Live, LiveId, Probing, Reader, Registry};

/// Probes underway at a time, each with a descriptor of its own. With ELB's defaults that is enough for six thousand
/// instances that do not answer at all; with more, probes wait for each other and come late.
const PROBES_MAX: usize = 1_000;

/// Probes every registered instance on the schedule of its load balancer.
pub struct Prober {
    reader: Reader,
    clock: tokio::time::Instant,
    instances: Slab<Probed>,
    keys: HashMap<LiveId, Key>,
    timers: Wheel<Key>,
    /// Due, first come first served.
    due: VecDeque<Key>,
    underway: JoinSet<(Key, Outcome)>,
    /// Whether the last probe that ended could not ask: said once, not ten thousand times.
    cannot_ask: bool,
    first_round: FirstRound,
}

/// One registered instance.
struct Probed {
    live: Arc<Live>,
    host: Host,
    probing: Arc<Probing>,
    health: Health,
    schedule: Schedule,
    /// Not armed while it is due.
    timer: Option<Key>,
    underway: Option<AbortHandle>,
}

/// The instances registered at the start whose first result is awaited, and who awaits it.
struct FirstRound {
    missing: HashSet<u64>,
    over: Option<oneshot::Sender<()>>,
}

impl Prober {
    /// A prober for what `registry` publishes, on the tokio runtime it is called on. The receiver completes when every
    /// instance registered now has been probed once, or is known from before: until then, nobody knows who is in service.
    pub fn new(registry: &Registry) -> (Self, oneshot::Receiver<()>) {
        let (over, first_round) = oneshot::channel();
        let mut prober = Self {
            reader: registry.reader(),
            clock: tokio::time::Instant::now(),
            instances: Slab::default(),
            keys: HashMap::new(),
            timers: Wheel::new(Instant::ZERO),
            due: VecDeque::new(),
            underway: JoinSet::new(),
            cannot_ask: false,
            first_round: FirstRound { missing: HashSet::new(), over: Some(over) },
        };
        prober.follow();
        let unknown = |probed: &Probed| probed.health == Health::registered();
        let missing = prober.instances.iter().filter(|(_, probed)| unknown(probed)).map(|(key, _)| key.to_bits());
        prober.first_round.missing = missing.collect();
        prober.first_round.tell_if_over();
        (prober, first_round)
    }

    /// Probes until the node stops.
    pub async fn run(mut self) {
        while self.reader.lifecycle() != Lifecycle::Stopped {
            let wake_at = self.timers.next().map(|next| self.clock + next.since(Instant::ZERO));
            tokio::select! {
                () = self.reader.change() => self.follow(),
                () = sleep_until(wake_at) => self.collect_due(),
                Some(ended) = self.underway.join_next_with_id() => self.handle_end(ended),
            }
            self.begin_due();
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.clock.elapsed()
    }

    /// Takes up what is newly registered and forgets what no longer is.
    fn follow(&mut self) {
        let now = self.now();
        let snapshot = Arc::clone(self.reader.current());
        let gone: Vec<Key> = self
            .instances
            .iter()
            .filter(|(_, probed)| !snapshot.is_registered(probed.live.id()))
            .map(|(key, _)| key)
            .collect();
        gone.into_iter().for_each(|key| self.forget(key));
        let mut new = 0;
        for balancer in snapshot.load_balancers() {
            let probing = Arc::new(balancer.probing());
            for entry in &balancer.instances {
                match self.keys.get(&entry.live.id()).copied() {
                    Some(key) => self.update(key, entry, &probing, now),
                    None => {
                        let schedule = Schedule::new(now, new, probing.check.interval().get());
                        self.take_up(entry, &probing, schedule);
                        new += 1;
                    }
                }
            }
        }
    }

    fn take_up(&mut self, entry: &InstanceEntry, probing: &Arc<Probing>, schedule: Schedule) {
        let due = schedule.due();
        let key = self.instances.insert(Probed {
            live: Arc::clone(&entry.live),
            host: entry.instance.host.clone(),
            probing: Arc::clone(probing),
            health: Health::known(entry.live.condition()),
            schedule,
            timer: None,
            underway: None,
        });
        self.keys.insert(entry.live.id(), key);
        self.arm(key, due);
    }

    /// Goes over to the health check of the snapshot adopted last. If it is another one, what the old one has found so
    /// far in a row is forgotten, and what it is just asking does not count.
    fn update(&mut self, key: Key, entry: &InstanceEntry, probing: &Arc<Probing>, now: Instant) {
        let Some(probed) = self.instances.get_mut(key) else { return };
        probed.host.clone_from(&entry.instance.host);
        let before = std::mem::replace(&mut probed.probing, Arc::clone(probing));
        if before.check == probing.check {
            return;
        }
        probed.health.restart_counting();
        probed.live.set_condition(probed.health.condition());
        if let Some(underway) = probed.underway.take() {
            underway.abort();
        }
        probed.schedule.change_interval(now, probing.check.interval().get());
        let due = probed.schedule.due();
        if let Some(timer) = probed.timer.take() {
            self.timers.disarm(timer);
            self.arm(key, due);
        }
    }

    fn forget(&mut self, key: Key) {
        let Some(probed) = self.instances.remove(key) else { return };
        self.keys.remove(&probed.live.id());
        if let Some(timer) = probed.timer {
            self.timers.disarm(timer);
        }
        if let Some(underway) = probed.underway {
            underway.abort();
        }
        self.first_round.handle_result(key);
    }

    fn arm(&mut self, key: Key, due: Instant) {
        if let Some(probed) = self.instances.get_mut(key) {
            probed.timer = Some(self.timers.arm(due, key));
        }
    }

    fn collect_due(&mut self) {
        let (now, instances, due) = (self.now(), &mut self.instances, &mut self.due);
        self.timers.fire(now, |key| {
            if let Some(probed) = instances.get_mut(key) {
                probed.timer = None;
                due.push_back(key);
            }
        });
    }

    fn begin_due(&mut self) {
        let now = self.now();
        while self.underway.len() < PROBES_MAX
            && let Some(key) = self.due.pop_front()
        {
            self.begin(key, now);
        }
    }

    fn begin(&mut self, key: Key, now: Instant) {
        let Some(probed) = self.instances.get_mut(key) else { return };
        // One that began late may still be underway. It counts for this one too.
        if probed.underway.is_none() {
            let (probing, host) = (Arc::clone(&probed.probing), probed.host.clone());
            let address = probed.live.address(probing.check.target().port());
            let work = async move { (key, probe(address, &host, &probing).await) };
            probed.underway = Some(self.underway.spawn(work));
        }
        probed.schedule.handle_begun(now);
        let due = probed.schedule.due();
        self.arm(key, due);
    }

    fn handle_end(&mut self, ended: Result<(Id, (Key, Outcome)), JoinError>) {
        // One that was to be aborted but had already ended is known by its id: the instance is forgotten, or waits for
        // another.
        let (id, (key, outcome)) = match ended {
            Ok(ended) => ended,
            Err(error) => return self.handle_panic(&error),
        };
        let Some(probed) = self.instances.get_mut(key) else { return };
        if probed.underway.take_if(|underway| underway.id() == id).is_none() {
            return;
        }
        let refused = match outcome {
            Outcome::Judged(result) => {
                probed.handle_result(result);
                None
            }
            Outcome::NotAsked(error) => Some(error),
        };
        if let Some(error) = refused.as_ref().filter(|_| !self.cannot_ask) {
            tracing::warn!(%error, "cannot probe instances; their states stay as they are");
        }
        self.cannot_ask = refused.is_some();
        self.first_round.handle_result(key);
    }

    /// A probe that panicked has found out nothing, and the next is not to wait for it. One that was aborted is nobody's.
    fn handle_panic(&mut self, error: &JoinError) {
        let is_its = |probed: &Probed| probed.underway.as_ref().is_some_and(|underway| underway.id() == error.id());
        let Some((key, _)) = self.instances.iter().find(|(_, probed)| is_its(probed)) else { return };
        tracing::error!(%error, "a probe ended by a panic; it is a bug");
        if let Some(probed) = self.instances.get_mut(key) {
            probed.underway = None;
        }
        self.first_round.handle_result(key);
    }
}

impl Probed {
    fn handle_result(&mut self, result: Result<(), Failure>) {
        if result.is_err_and(Failure::is_connection_error) {
            self.live.control_cells().connection_errors.increment();
        }
        if let Some(change) = self.health.handle_result(result, &self.probing.check) {
            self.live.set_condition(change.to);
            self.log(change, result);
        }
    }

    fn log(&self, change: Change, result: Result<(), Failure>) {
        let (load_balancer, instance) = (self.live.load_balancer(), self.live.instance());
        let reason = result.err().map(tracing::field::display);
        match (change.from, change.to) {
            (_, Condition::InService) => tracing::info!(%load_balancer, %instance, "instance in service"),
            (Condition::Registering | Condition::InService, _) => {
                tracing::warn!(%load_balancer, %instance, reason, "instance out of service");
            }
            (_, Condition::Recovering) => tracing::debug!(%load_balancer, %instance, "instance recovering"),
            (_, _) => tracing::debug!(%load_balancer, %instance, reason, "instance failing again"),
        }
    }
}

impl FirstRound {
    fn handle_result(&mut self, key: Key) {
        self.missing.remove(&key.to_bits());
        self.tell_if_over();
    }

    fn tell_if_over(&mut self) {
        if self.missing.is_empty()
            && let Some(over) = self.over.take()
        {
            // Nobody may be waiting for it.
            let _ = over.send(());
        }
    }
}

/// Never, without a time.
async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::{balancer, configuration, instance};

    async fn broken() -> (Key, Outcome) {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn whoever_was_probed_by_one_that_panicked_is_probed_again() {
        let web = balancer("web", 80, vec![instance("a", "127.0.0.1:9")]);
        let registry = Registry::new(&configuration(vec![web]), 1).expect("addresses only");
        let (mut prober, first_round) = Prober::new(&registry);
        let (key, _) = prober.instances.iter().next().expect("registered");
        let underway = prober.underway.spawn(broken());
        prober.instances.get_mut(key).expect("registered").underway = Some(underway);
        let ended = prober.underway.join_next_with_id().await.expect("underway");
        prober.handle_end(ended);
        assert!(prober.instances.get(key).is_some_and(|probed| probed.underway.is_none()));
        first_round.await.expect("nobody waits for what will not come");
    }
}
