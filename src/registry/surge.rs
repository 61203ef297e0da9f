//! What waits in a load balancer's surge queue, and how it is served.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::{Assignment, ListenerEntry, Live, Tried};
use crate::balance::{self, Full, Service, Ticket};

/// The requests (TCP: connections) of one load balancer that wait for an instance.
pub type SurgeQueue = balance::SurgeQueue<Waiter>;

/// A request that waits. It goes by the listener as it was when it began to wait.
#[derive(Debug)]
pub struct Waiter {
    entry: Arc<ListenerEntry>,
    core: usize,
    wish: Wish,
    slot: Arc<Mutex<Slot>>,
}

/// Which instance a request may be given to.
#[derive(Debug, Clone)]
pub enum Wish {
    /// This one as long as it takes work; then any.
    Bound(Arc<Live>),
    /// Any but these.
    Untried(Tried),
}

/// Where it is told.
#[derive(Debug, Default)]
struct Slot {
    assignment: Option<Assignment>,
    waker: Option<Waker>,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Waiting {
    queue: Arc<SurgeQueue>,
    ticket: Ticket,
    slot: Arc<Mutex<Slot>>,
}

/// Serves whoever has waited longest when this is dropped: to be dropped behind an [`Assignment`] of an instance that
/// can be full.
#[derive(Debug)]
pub struct Turn(Arc<SurgeQueue>);

impl Turn {
    /// Serves the queue of this load balancer.
    pub fn of(queue: &Arc<SurgeQueue>) -> Turn {
        Turn(queue.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        serve(&self.0);
    }
}

/// Gives instances to those who have waited longest, as far as there is room.
pub fn serve(queue: &SurgeQueue) {
    queue.serve(Waiter::serve);
}

impl Waiter {
    fn serve(&self) -> Service {
        let targets = &self.entry.targets;
        let (assignment, otherwise) = match &self.wish {
            Wish::Bound(live) if live.takes_work() && !live.is_deregistered() => {
                (targets.assign(live), Service::Passed)
            }
            Wish::Bound(_) => (targets.choose_registered(self.core, &Tried::none()).ok(), Service::NoRoom),
            Wish::Untried(tried) => {
                // What is of no use to it may be all that others wait for.
                let otherwise = if tried.is_empty() { Service::NoRoom } else { Service::Passed };
                (targets.choose_registered(self.core, tried).ok(), otherwise)
            }
        };
        let Some(assignment) = assignment else { return otherwise };
        let waker = {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.assignment = Some(assignment);
            slot.waker.take()
        };
        waker.inspect(Waker::wake_by_ref);
        Service::Served
    }
}

impl Waiting {
    /// Waits for an instance for a request of core number `core` to the listener of `entry`. One that is free, and of no
    /// use to all who wait already, it has at once.
    ///
    /// # Errors
    /// When as many wait already as may.
    pub fn enter(entry: &Arc<ListenerEntry>, core: usize, wish: Wish) -> Result<Waiting, Full> {
        let (queue, slot) = (entry.rules.surge_queue.clone(), Arc::default());
        let waiter = Waiter { entry: entry.clone(), core, wish, slot: Arc::clone(&slot) };
        let ticket = queue.enter(waiter);
        serve(&queue);
        queue.settle(ticket, entry.rules.limits.surge_queue.get() as usize)?;
        Ok(Waiting { queue, ticket, slot })
    }

    /// The instance, when its turn has come.
    pub fn poll_assignment(&self, waker: &Waker) -> Poll<Assignment> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.assignment.take() {
            Some(assignment) => Poll::Ready(assignment),
            None => {
                slot.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.queue.leave(self.ticket).is_some() {
            return;
        }
        // It was served: what it has not fetched goes to the next.
        let unfetched = self.slot.lock().unwrap_or_else(PoisonError::into_inner).assignment.take();
        if unfetched.is_some() {
            drop(unfetched);
            serve(&self.queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Condition;
    use crate::model::Count;
    use crate::registry::Registry;
    use crate::registry::testing::{balancer, configuration, instance};

    /// A listener in front of so many instances, each of which takes one request, with room for two that wait.
    fn listener_to(instances: u8) -> (Registry, Arc<ListenerEntry>) {
        let instances = (1..=instances).map(|number| instance(&format!("i-{number}"), &format!("10.0.0.{number}")));
        let mut web = balancer("web", 80, instances.collect());
        web.limits.instance_connections = Some(Count::of(1));
        web.limits.surge_queue = Count::of(2);
        let registry = Registry::new(&configuration(vec![web]), 1).expect("addresses only");
        let snapshot = registry.snapshot();
        snapshot.instances().for_each(|(_, entry)| entry.live.set_condition(Condition::InService));
        (registry, snapshot.listeners()[0].clone())
    }

    fn enter(entry: &Arc<ListenerEntry>) -> Result<Waiting, Full> {
        Waiting::enter(entry, 0, Wish::Untried(Tried::none()))
    }

    fn is_served(waiting: &Waiting) -> Option<Assignment> {
        match waiting.poll_assignment(Waker::noop()) {
            Poll::Ready(assignment) => Some(assignment),
            Poll::Pending => None,
        }
    }

    #[test]
    fn whoever_waited_longest_gets_what_is_given_back() {
        let (_registry, entry) = listener_to(1);
        let busy = entry.targets.choose(0, &Tried::none()).expect("room");
        let (first, second) = (enter(&entry).expect("room"), enter(&entry).expect("room"));
        assert_eq!(enter(&entry).err(), Some(Full));
        assert!(is_served(&first).is_none() && is_served(&second).is_none());
        drop((busy, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&second).is_none());
        let given = is_served(&first).expect("its turn");
        drop((given, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&second).is_some());
    }

    #[test]
    fn what_somebody_who_left_was_given_goes_to_the_next() {
        let (_registry, entry) = listener_to(1);
        let busy = entry.targets.choose(0, &Tried::none()).expect("room");
        let (first, second) = (enter(&entry).expect("room"), enter(&entry).expect("room"));
        drop((busy, Turn::of(&entry.rules.surge_queue)));
        drop(first);
        assert!(is_served(&second).is_some());
        drop(second);
        assert!(entry.rules.surge_queue.is_empty());
    }

    #[test]
    fn whoever_is_bound_waits_for_its_instance_and_holds_up_nobody() {
        let (_registry, entry) = listener_to(2);
        let [one, other] = [(); 2].map(|()| entry.targets.choose(0, &Tried::none()).expect("room"));
        let live = one.lease.record().clone();
        let bound = Waiting::enter(&entry, 0, Wish::Bound(live.clone())).expect("room");
        let free = enter(&entry).expect("room");
        drop((other, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&bound).is_none(), "its instance is busy");
        let served = is_served(&free).expect("the other is free");
        assert!(!Arc::ptr_eq(served.lease.record(), &live));
        live.set_condition(Condition::Failed);
        drop((served, Turn::of(&entry.rules.surge_queue)));
        let moved = is_served(&bound).expect("its instance is gone");
        assert!(!Arc::ptr_eq(moved.lease.record(), &live));
        drop(one);
    }

    #[test]
    fn whoever_does_not_want_what_it_tried_holds_up_nobody() {
        let (_registry, entry) = listener_to(2);
        let [failed, busy] = [(); 2].map(|()| entry.targets.choose(0, &Tried::none()).expect("room"));
        let mut tried = Tried::none();
        tried.add(failed.lease.record());
        let again = Waiting::enter(&entry, 0, Wish::Untried(tried.clone())).expect("room");
        let waiting = enter(&entry).expect("room");
        drop((failed, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&again).is_none(), "it was there");
        assert!(is_served(&waiting).is_some(), "the one that failed another is free");
        drop((busy, Turn::of(&entry.rules.surge_queue)));
        assert!(!tried.contains(is_served(&again).expect("the other is free").lease.record()));
    }

    #[test]
    fn a_full_queue_turns_nobody_away_from_what_is_free() {
        let (_registry, entry) = listener_to(2);
        let [free, busy] = [(); 2].map(|()| entry.targets.choose(0, &Tried::none()).expect("room"));
        let mut tried = Tried::none();
        tried.add(free.lease.record());
        let untried = || Waiting::enter(&entry, 0, Wish::Untried(tried.clone()));
        let (first, second) = (untried().expect("room"), untried().expect("room"));
        drop((free, Turn::of(&entry.rules.surge_queue)));
        let new = enter(&entry).expect("an instance that nobody wants");
        let served = is_served(&new).expect("at once");
        assert_eq!(enter(&entry).err(), Some(Full));
        drop((busy, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&first).is_some() && is_served(&second).is_none(), "{served:?}");
    }

    #[test]
    fn nobody_is_given_an_instance_that_left_while_it_waited() {
        let (registry, entry) = listener_to(1);
        let busy = entry.targets.choose(0, &Tried::none()).expect("room");
        let waiting = enter(&entry).expect("room");
        registry.apply(&configuration(vec![balancer("web", 80, vec![])])).expect("addresses only");
        drop((busy, Turn::of(&entry.rules.surge_queue)));
        assert!(is_served(&waiting).is_none());
    }
}
