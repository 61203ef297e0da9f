//! Whose turn it is: weighted round robin as a walk over a circle of places.
//!
//! Every member owns as many neighbouring places as its weight. A walk goes round in steps that have no divisor in
//! common with the number of places: one round visits every place once, so that shares are exact. The step is one that
//! spreads every stretch of the walk evenly ([`step_for`]), so that a heavy member's turns do not come in a row.
//!
//! A member that cannot take its turn is passed over by walking on, which shares its turns among all others by weight;
//! handing them to its neighbour would double the neighbour's load.
//!
//! Each core walks on its own, from a place of its own. Whole rounds are exact on every core, and in an unfinished one a
//! member has had between none and all of its turns; so over all cores a member is never further from its share than
//! its weight times the number of cores, however many turns there were.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

/// Steps before the walk gives up finding a member that can take its turn and asks the rest one after the other. With
/// half of the members out that never happens (2^-64); with nine in ten out, in one turn of a thousand.
const STEPS_MAX: usize = 64;

/// The circle and the walks on it.
#[derive(Debug)]
pub(super) struct Rotation {
    /// Where each member's places end; ascending. The last is the number of places.
    ends: Box<[u64]>,
    step: u64,
    /// One walk per core. Only that core's thread moves it, so loads and stores need not be one instruction.
    walks: Box<[CachePadded<AtomicU64>]>,
}

impl Rotation {
    /// A circle of members with these weights, each above 0, for this many cores.
    pub(super) fn new(weights: impl Iterator<Item = u32> + Clone, cores: usize) -> Self {
        let divisor = weights.clone().map(u64::from).reduce(greatest_common_divisor).unwrap_or(1).max(1);
        let ends: Box<[u64]> = weights
            .scan(0, |places, weight| {
                *places += u64::from(weight) / divisor;
                Some(*places)
            })
            .collect();
        let places = ends.last().copied().unwrap_or(0);
        let cores = cores.max(1) as u64;
        let walks = (0..cores).map(|core| CachePadded::new(AtomicU64::new(places * core / cores))).collect();
        Self { ends, step: step_for(places), walks }
    }

    /// The next member in turn on this core that can take its turn; `None` when no member can.
    pub(super) fn next(&self, core: usize, can: impl Fn(usize) -> bool) -> Option<usize> {
        let places = self.ends.last().copied()?;
        let walk = &self.walks[core % self.walks.len()];
        let mut place = walk.load(Ordering::Relaxed);
        let mut member = 0;
        for _ in 0..STEPS_MAX {
            member = self.owner_of(place);
            place = (place + self.step) % places;
            if can(member) {
                walk.store(place, Ordering::Relaxed);
                return Some(member);
            }
        }
        walk.store(place, Ordering::Relaxed);
        (member..self.ends.len()).chain(0..member).find(|member| can(*member))
    }

    fn owner_of(&self, place: u64) -> usize {
        match self.ends.len() as u64 {
            members if self.ends.last() == Some(&members) => place as usize,
            _ => self.ends.partition_point(|end| *end <= place),
        }
    }
}

/// The step for a circle of so many places: coprime to them, and in a ratio to them that is far from every simple
/// fraction, which a walk would otherwise nearly repeat. That is so when the ratio's continued fraction has only small
/// quotients (Zaremba, 1966, who found none above 5 to be needed; nearly always 3 is enough). Of those, the nearest to
/// the golden section, whose quotients are all 1.
fn step_for(places: u64) -> u64 {
    let golden = (places as f64 * 0.618_033_988_749_895).round() as u64;
    let nearest = (0..places).flat_map(|distance| [golden.saturating_sub(distance), golden + distance]);
    let within = |bound| {
        let mut steps = nearest.clone().filter(|step| (1..places).contains(step));
        steps.find(|step| largest_quotient(*step, places).is_some_and(|quotient| quotient <= bound))
    };
    within(3).or_else(|| within(5)).unwrap_or(1)
}

/// The largest quotient in the continued fraction of `part / whole`; `None` when they have a common divisor.
fn largest_quotient(mut part: u64, mut whole: u64) -> Option<u64> {
    let mut largest = 0;
    while part > 0 {
        largest = largest.max(whole / part);
        (part, whole) = (whole % part, part);
    }
    (whole == 1).then_some(largest)
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    match other {
        0 => one,
        _ => greatest_common_divisor(other, one % other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(rotation: &Rotation, core: usize, count: u64, members: usize, can: impl Fn(usize) -> bool) -> Vec<u64> {
        let mut turns = vec![0; members];
        for _ in 0..count {
            turns[rotation.next(core, &can).expect("somebody can")] += 1;
        }
        turns
    }

    #[test]
    fn two_take_turns_and_nobody_has_none() {
        let two = Rotation::new([1, 1].into_iter(), 1);
        let order: Vec<_> = (0..4).map(|_| two.next(0, |_| true)).collect();
        assert_eq!(order, [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(two.next(0, |_| false), None);
        assert_eq!(Rotation::new([].into_iter(), 1).next(0, |_| true), None);
        assert_eq!(Rotation::new([7].into_iter(), 1).next(0, |_| true), Some(0));
    }

    #[test]
    fn a_heavy_members_turns_are_spread_out() {
        let rotation = Rotation::new([10, 1, 1, 1, 1, 1].into_iter(), 1);
        let order: Vec<_> = (0..15).filter_map(|_| rotation.next(0, |_| true)).collect();
        let longest = order.chunk_by(|one, other| one == other).map(<[usize]>::len).max();
        assert!(longest <= Some(3), "10 of 15 turns, yet not in a row: {order:?}");
    }

    #[test]
    fn every_number_of_places_has_a_step_that_spreads_them() {
        for places in (2..3_000).chain([65_536, 1_000_000, 2_560_000]) {
            let quotient = largest_quotient(step_for(places), places).expect("coprime");
            assert!(quotient <= 5, "{places}: {quotient}");
        }
    }

    #[test]
    fn one_that_is_left_among_many_is_found() {
        let rotation = Rotation::new(std::iter::repeat_n(1, 10_000), 1);
        for left in [0, 17, 9_999] {
            assert_eq!(rotation.next(0, |member| member == left), Some(left));
        }
    }

    proptest! {
        #[test]
        fn one_round_gives_everyone_as_many_turns_as_its_weight(
            weights in prop::collection::vec(1_u32..=256, 1..60),
            cores in 1_usize..5,
        ) {
            let rotation = Rotation::new(weights.iter().copied(), cores);
            let places = rotation.ends.last().copied().expect("not empty");
            for core in 0..cores {
                let turns = turns(&rotation, core, places, weights.len(), |_| true);
                let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
                for (turns, weight) in turns.iter().zip(&weights) {
                    prop_assert_eq!(turns * all, places * u64::from(*weight));
                }
            }
        }

        #[test]
        fn the_turns_of_those_that_are_out_go_to_all_others_by_weight(
            members in prop::collection::vec((1_u32..=16, any::<bool>()), 2..20),
        ) {
            let rotation = Rotation::new(members.iter().map(|(weight, _)| *weight), 1);
            prop_assume!(members.iter().any(|(_, open)| *open));
            let out: u64 = members.iter().filter(|(_, open)| !open).map(|(weight, _)| u64::from(*weight)).sum();
            prop_assume!(out * 2 <= members.iter().map(|(weight, _)| u64::from(*weight)).sum());
            let open: u64 = members.iter().filter(|(_, open)| *open).map(|(weight, _)| u64::from(*weight)).sum();
            let rounds = 8;
            let turns = turns(&rotation, 0, rounds * open, members.len(), |member| members[member].1);
            for (turns, (weight, open)) in turns.into_iter().zip(&members) {
                // A round of the open ones may end inside a round of the walk: at most one member's turns of difference.
                let share = if *open { rounds * u64::from(*weight) } else { 0 };
                prop_assert!(turns.abs_diff(share) <= u64::from(*weight), "{turns} turns for a share of {share}");
                prop_assert!(*open || turns == 0);
            }
        }

        #[test]
        fn any_stretch_of_turns_is_nearly_even(members in 2_usize..200, start in 0_u64..500, length in 1_u64..500) {
            let rotation = Rotation::new(std::iter::repeat_n(1, members), 1);
            turns(&rotation, 0, start, members, |_| true);
            let turns = turns(&rotation, 0, length, members, |_| true);
            let (least, most) = (turns.iter().min().copied(), turns.iter().max().copied());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
        }
    }
}
