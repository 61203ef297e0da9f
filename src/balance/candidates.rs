//! The instances a request may go to, and the choice among them.

use std::sync::Arc;

use super::load::{Lease, Limit, Load};
use super::rotation::Rotation;
use crate::model::{Reason, Routing, Weight};

/// Open members that one choice compares at most. Up to this many the choice is the least of all; beyond, the least of
/// this many neighbours from the member in turn on, which bounds what a choice costs (a few microseconds).
const COMPARED_MAX: usize = 256;

/// Members to choose from, by one rule and under one limit. Immutable; `R` is whatever record holds a member's [`Load`].
#[derive(Debug)]
pub struct Candidates<R> {
    members: Box<[Member<R>]>,
    rotation: Rotation,
    routing: Routing,
    limit: Limit,
    /// Whether members may have less than their full share for now.
    starts_slowly: bool,
}

/// One that may be chosen.
#[derive(Debug)]
pub struct Member<R> {
    /// Its record.
    pub record: Arc<R>,
    /// Its share beside the others.
    pub weight: Weight,
}

/// Why nobody could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// There are no members.
    NoInstance,
    /// There are members, but none of those asked for is open.
    NoneInService,
    /// Every open member has as many in flight as it may have.
    AtCapacity,
}

impl Unavailable {
    /// The reason as clients, logs and metrics know it, where nothing waits in a queue.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NoInstance => Reason::NoInstance,
            Self::NoneInService => Reason::NoHealthyInstance,
            Self::AtCapacity => Reason::SurgeQueueFull,
        }
    }
}

impl<R: AsRef<Load>> Candidates<R> {
    /// Members to be chosen by `routing` from `cores` data-plane threads, with at most `limit` in flight on each.
    pub fn new(members: Vec<Member<R>>, routing: Routing, limit: Limit, cores: usize) -> Self {
        let rotation = Rotation::new(members.iter().map(|member| member.weight.get()), cores);
        Self { members: members.into(), rotation, routing, limit, starts_slowly: false }
    }

    /// The same, where each member gets no more than its [`Share`](super::Share).
    pub fn starting_slowly(self) -> Self {
        Self { starts_slowly: true, ..self }
    }

    /// The members' records.
    pub fn records(&self) -> impl Iterator<Item = &Arc<R>> {
        self.members.iter().map(|member| &member.record)
    }

    /// Chooses a member for a request of core number `core` and takes one of it. Members that `excluded` names (those
    /// tried before) are not chosen.
    pub fn choose(&self, core: usize, excluded: impl Fn(&Arc<R>) -> bool) -> Result<Lease<R>, Unavailable> {
        let room = |member: &Member<R>| {
            let load = (*member.record).as_ref().with_room(self.limit);
            load.filter(|_| !excluded(&member.record))
        };
        let has_room = |index: usize| self.members.get(index).is_some_and(|member| room(member).is_some());
        let in_turn = match self.starts_slowly {
            false => self.rotation.next(core, has_room),
            true => self.next_by_share(core, has_room),
        };
        let chosen = in_turn.and_then(|start| match self.routing {
            Routing::RoundRobin => Lease::take(&self.members.get(start)?.record, self.limit),
            Routing::LeastOutstanding => self.take_least(start, room),
        });
        // Whoever was chosen may have closed or filled up since it was looked at. One pass over all settles it.
        let any = || {
            let mut open = self.members.iter().filter(|member| room(member).is_some());
            open.find_map(|member| Lease::take(&member.record, self.limit))
        };
        chosen.or_else(any).map(|(lease, _)| lease).ok_or_else(|| self.refusal(excluded))
    }

    /// Whether there is a limit.
    pub fn are_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Takes one of a member that is asked for by name; `None` when it is closed or has as many as it may have.
    pub fn take_member(&self, record: &Arc<R>) -> Option<Lease<R>> {
        Lease::take(record, self.limit).map(|(lease, _)| lease)
    }

    /// Whose turn it is when newcomers leave some of theirs to others; where nobody wants it, whose it is all the same.
    fn next_by_share(&self, core: usize, has_room: impl Fn(usize) -> bool) -> Option<usize> {
        let takes_turn =
            |index: usize| self.members.get(index).is_some_and(|member| (*member.record).as_ref().takes_turn());
        let wants = |index: usize| has_room(index) && takes_turn(index);
        self.rotation.next(core, wants).or_else(|| self.rotation.next(core, &has_room))
    }

    /// Takes the least loaded of those from `start` on, and answers how many it has in flight now.
    ///
    /// Two cores may find the same one at the same moment. Then the count that came with taking it shows the other's,
    /// and one more look tells whether somebody else is better off by more than this one request; if so, the request
    /// moves there, once. Shares stay even without cores ever waiting for each other.
    fn take_least(&self, start: usize, room: impl Fn(&Member<R>) -> Option<u32>) -> Option<(Lease<R>, u32)> {
        let least = self.least(start, &room)?;
        let (lease, load) = Lease::take(&least.member.record, self.limit)?;
        if load <= least.load + 1 {
            return Some((lease, load));
        }
        let taken = Seen { load, ..least };
        let better = self
            .least(start, &room)
            .filter(|other| Seen { load: other.load + 1, ..*other }.is_less_than(taken))
            .and_then(|other| Lease::take(&other.member.record, self.limit));
        better.or(Some((lease, load)))
    }

    /// The least loaded of those from `start` on, around the end. The first of equals: starting where the rotation
    /// points shares them out by weight. A newcomer that others are chosen beside has its load weighed by its share; the
    /// one in turn has left turns to others already.
    fn least(&self, start: usize, room: &impl Fn(&Member<R>) -> Option<u32>) -> Option<Seen<'_, R>> {
        let (before, from) = self.members.split_at_checked(start)?;
        let mut least: Option<Seen<'_, R>> = None;
        let open = from.iter().chain(before).filter_map(|member| Some(Seen { member, load: room(member)? }));
        for (index, mut seen) in open.take(COMPARED_MAX).enumerate() {
            if self.starts_slowly && index > 0 {
                seen.load = (*seen.member.record).as_ref().share().weigh(seen.load);
            }
            if least.is_none_or(|least| seen.is_less_than(least)) {
                least = Some(seen);
            }
            if seen.load == 0 {
                break;
            }
        }
        least
    }

    fn refusal(&self, excluded: impl Fn(&Arc<R>) -> bool) -> Unavailable {
        let is_open = |member: &Member<R>| (*member.record).as_ref().is_open() && !excluded(&member.record);
        match &*self.members {
            [] => Unavailable::NoInstance,
            members if members.iter().any(is_open) => Unavailable::AtCapacity,
            _ => Unavailable::NoneInService,
        }
    }
}

/// A member and what it had in flight when it was looked at.
struct Seen<'a, R> {
    member: &'a Member<R>,
    load: u32,
}

impl<R> Seen<'_, R> {
    /// Whether it has less in flight for its weight.
    fn is_less_than(self, other: Seen<'_, R>) -> bool {
        let weight = |member: &Member<R>| u64::from(member.weight.get());
        u64::from(self.load) * weight(other.member) < u64::from(other.load) * weight(self.member)
    }
}

impl<R> Clone for Seen<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Seen<'_, R> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Share;
    use crate::base::random::Random;
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Record {
        load: Load,
        chosen: AtomicU64,
        held: AtomicU32,
    }

    impl AsRef<Load> for Record {
        fn as_ref(&self) -> &Load {
            &self.load
        }
    }

    fn open(weights: &[u32], routing: Routing, limit: u32, cores: usize) -> Candidates<Record> {
        let member = |weight: &u32| {
            let record = Arc::new(Record::default());
            record.load.set_in_service(true);
            Member { record, weight: Weight::new((*weight).into()).expect("a weight") }
        };
        Candidates::new(weights.iter().map(member).collect(), routing, NonZeroU32::new(limit), cores)
    }

    fn in_flight(candidates: &Candidates<Record>) -> Vec<u32> {
        candidates.members.iter().map(|member| member.record.load.in_flight()).collect()
    }

    fn chosen(candidates: &Candidates<Record>) -> Vec<u64> {
        candidates.members.iter().map(|member| member.record.chosen.load(Ordering::Relaxed)).collect()
    }

    /// Lets every core choose at the same time, round after round; between the rounds a changing number of requests
    /// ends, in no order.
    ///
    /// Cores wait for each other so that none sleeps on what it holds: then the others were right to avoid it.
    fn hammer(candidates: &Candidates<Record>, cores: usize, rounds: usize) {
        let barrier = Barrier::new(cores);
        let work = |core| {
            let mut random = Random::new(core as u64);
            let mut underway: Vec<Lease<Record>> = Vec::new();
            for _ in 0..rounds {
                for _ in 0..=random.below(40) {
                    let Ok(lease) = candidates.choose(core, |_| false) else { continue };
                    let record = lease.record();
                    record.chosen.fetch_add(1, Ordering::Relaxed);
                    let held = record.held.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(candidates.limit.is_none_or(|limit| held <= limit.get()), "over the limit");
                    underway.push(lease);
                }
                barrier.wait();
                for _ in 0..random.below(underway.len() as u64 + 1) {
                    let ended = underway.swap_remove(random.below(underway.len() as u64) as usize);
                    ended.record().held.fetch_sub(1, Ordering::SeqCst);
                }
                barrier.wait();
            }
            for ended in underway {
                ended.record().held.fetch_sub(1, Ordering::SeqCst);
            }
        };
        std::thread::scope(|scope| {
            let work = &work;
            (0..cores).for_each(|core| drop(scope.spawn(move || work(core))));
        });
    }

    #[test]
    fn a_hundred_instances_share_within_five_percent_on_one_two_and_four_cores() {
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            for cores in [1, 2, 4] {
                let candidates = open(&[1; 100], routing, 0, cores);
                hammer(&candidates, cores, 20_000 / cores);
                let chosen = chosen(&candidates);
                let even = chosen.iter().sum::<u64>() / 100;
                let (least, most) = (chosen.iter().min().expect("100"), chosen.iter().max().expect("100"));
                assert!(least * 20 >= even * 19 && most * 20 <= even * 21, "{routing} on {cores}: {least} to {most}");
                assert_eq!(in_flight(&candidates), [0; 100], "a count leaked");
            }
        }
    }

    #[test]
    fn four_cores_that_choose_at_once_end_up_level() {
        let candidates = open(&[1; 100], Routing::LeastOutstanding, 0, 4);
        let barrier = Barrier::new(4);
        let fill = |core| {
            barrier.wait();
            let held: Vec<_> = (0..1_000).map(|_| candidates.choose(core, |_| false).expect("open")).collect();
            barrier.wait();
            let loads = in_flight(&candidates);
            barrier.wait();
            drop(held);
            loads
        };
        let loads = std::thread::scope(|scope| {
            let fill = &fill;
            let cores: Vec<_> = (0..4).map(|core| scope.spawn(move || fill(core))).collect();
            cores.into_iter().map(|core| core.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(loads[0].iter().all(|load| load.abs_diff(40) <= 2), "{:?}", loads[0]);
    }

    #[test]
    fn limits_hold_on_every_core_and_all_places_are_used() {
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            let candidates = open(&[1, 4, 2, 1], routing, 9, 4);
            hammer(&candidates, 4, 1_000);
            assert_eq!(in_flight(&candidates), [0; 4]);
            let all: Vec<_> = (0..36).map(|_| candidates.choose(0, |_| false).expect("a place is free")).collect();
            assert_eq!(in_flight(&candidates), [9; 4]);
            assert_eq!(candidates.choose(0, |_| false).err(), Some(Unavailable::AtCapacity));
            drop(all);
            assert!(candidates.choose(0, |_| false).is_ok());
        }
    }

    #[test]
    fn the_share_of_one_that_is_out_goes_to_all_others() {
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            let candidates = open(&[1; 10], routing, 0, 1);
            candidates.members[3].record.load.set_in_service(false);
            candidates.members[7].record.load.set_in_service(false);
            hammer(&candidates, 1, 4_000);
            let chosen = chosen(&candidates);
            let even = chosen.iter().sum::<u64>() / 8;
            for (index, chosen) in chosen.into_iter().enumerate() {
                let share = if index == 3 || index == 7 { 0 } else { even };
                assert!(chosen.abs_diff(share) <= share / 20, "{routing}: {chosen} on {index}");
            }
        }
    }

    #[test]
    fn sequential_requests_honour_weights_too() {
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            let candidates = open(&[3, 1, 2], routing, 0, 1);
            for _ in 0..600 {
                let lease = candidates.choose(0, |_| false).expect("open");
                lease.record().chosen.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(chosen(&candidates), [300, 100, 200], "{routing}");
        }
    }

    /// Among four, of which the last has a quarter of its share, the parts of all that the last was given, in hundredths.
    fn part_of_newcomer(candidates: &Candidates<Record>, at_once: usize) -> u64 {
        let mut underway = std::collections::VecDeque::new();
        for _ in 0..20_000 {
            let lease = candidates.choose(0, |_| false).expect("open");
            lease.record().chosen.fetch_add(1, Ordering::Relaxed);
            underway.push_back(lease);
            if underway.len() >= at_once {
                underway.pop_front();
            }
        }
        let chosen = chosen(candidates);
        chosen[3] * 100 / chosen.iter().sum::<u64>()
    }

    #[test]
    fn a_newcomer_gets_its_share_however_it_is_chosen() {
        let quarter = Share::after(Duration::from_secs(1), Duration::from_secs(4));
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            for (weights, due) in [([1, 1, 1, 1], 7), ([2, 2, 2, 4], 14)] {
                for at_once in [1, 20, 200] {
                    let candidates = open(&weights, routing, 0, 1).starting_slowly();
                    candidates.members[3].record.load.set_share(quarter);
                    let part = part_of_newcomer(&candidates, at_once);
                    assert!(part.abs_diff(due) <= 2, "{routing}, {weights:?}, {at_once} at once: {part} %, due {due}");
                    candidates.members[3].record.load.set_share(Share::FULL);
                    candidates.members.iter().for_each(|member| member.record.chosen.store(0, Ordering::Relaxed));
                    let (part, due) =
                        (part_of_newcomer(&candidates, at_once), 100 * weights[3] / weights.iter().sum::<u32>());
                    assert!(part.abs_diff(due.into()) <= 2, "{routing}: in the end {part} %, due {due}");
                }
            }
        }
    }

    #[test]
    fn newcomers_among_themselves_share_evenly_and_are_never_nobody() {
        for routing in [Routing::LeastOutstanding, Routing::RoundRobin] {
            let candidates = open(&[1; 100], routing, 0, 1).starting_slowly();
            candidates.members.iter().for_each(|member| member.record.load.set_share(Share::FIRST));
            hammer(&candidates, 1, 4_000);
            let chosen = chosen(&candidates);
            let even = chosen.iter().sum::<u64>() / 100;
            assert!(chosen.iter().all(|chosen| chosen.abs_diff(even) <= even / 10), "{routing}: {chosen:?}");
        }
    }

    #[test]
    fn why_nobody_can_be_chosen() {
        let none = open(&[], Routing::RoundRobin, 0, 1);
        assert_eq!(none.choose(0, |_| false).err(), Some(Unavailable::NoInstance));

        let two = open(&[1, 1], Routing::LeastOutstanding, 1, 1);
        let first = two.choose(0, |_| false).expect("open");
        let tried = Arc::clone(first.record());
        let second = two.choose(0, |record| Arc::ptr_eq(record, &tried)).expect("the other");
        assert!(!Arc::ptr_eq(first.record(), second.record()));
        assert_eq!(two.choose(0, |_| false).err(), Some(Unavailable::AtCapacity));
        assert_eq!(two.choose(0, |_| true).err(), Some(Unavailable::NoneInService));
        drop(second);
        two.members.iter().for_each(|member| member.record.load.set_in_service(false));
        assert_eq!(two.choose(0, |_| false).err(), Some(Unavailable::NoneInService));
    }

    #[test]
    fn among_ten_thousand_a_choice_is_bounded_and_still_even() {
        let candidates = open(&[1; 10_000], Routing::LeastOutstanding, 0, 1);
        let held: Vec<_> = (0..30_000).map(|_| candidates.choose(0, |_| false).expect("open")).collect();
        assert_eq!(in_flight(&candidates), [3; 10_000]);
        drop(held);
    }

    proptest! {
        #[test]
        fn the_one_chosen_never_had_more_for_its_weight_than_another(
            weights in prop::collection::vec(1_u32..=256, 1..40),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
        ) {
            let candidates = open(&weights, Routing::LeastOutstanding, 0, 1);
            let mut underway = Vec::new();
            for (round, end) in ends.iter().enumerate() {
                let before = in_flight(&candidates);
                let lease = candidates.choose(0, |_| false).expect("open");
                let chosen = candidates.members.iter().position(|member| Arc::ptr_eq(&member.record, lease.record()));
                let cost = |index: usize| f64::from(before[index]) / f64::from(weights[index]);
                prop_assert!((0..weights.len()).all(|other| chosen.is_some_and(|chosen| cost(chosen) <= cost(other))));
                underway.push(lease);
                if round % 3 == 0 {
                    drop(underway.swap_remove(end.index(underway.len())));
                }
            }
            prop_assert_eq!(in_flight(&candidates).iter().sum::<u32>() as usize, underway.len());
        }

        #[test]
        fn what_is_in_flight_is_proportional_to_weight(weights in prop::collection::vec(1_u32..=20, 1..20)) {
            let candidates = open(&weights, Routing::LeastOutstanding, 0, 1);
            let rounds = 10;
            let held: Vec<_> = (0..rounds * weights.iter().sum::<u32>())
                .map(|_| candidates.choose(0, |_| false).expect("open"))
                .collect();
            for (in_flight, weight) in in_flight(&candidates).into_iter().zip(&weights) {
                prop_assert!(in_flight.abs_diff(rounds * weight) <= 1, "{} for weight {}", in_flight, weight);
            }
            drop(held);
        }
    }
}
