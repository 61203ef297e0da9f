//! A hierarchical timer wheel (Varghese and Lauck, 1987): arming, disarming and firing in constant time.
//!
//! Every wait on a peer has a deadline, so a busy core arms and disarms a timer several times per request and almost
//! none of them fires. Deadlines are rounded up to ticks of four milliseconds; a timer never fires early.

use crate::base::Instant;
use crate::base::slab::{Key, Slab};

const TICK_NANOSECONDS: u64 = 4_000_000;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Six levels of 64 slots reach 2^36 ticks: nine years. What lies beyond is filed in the last slot and filed again.
const LEVELS: usize = 6;
const LAST_TICK: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;

struct Timer<T> {
    tick: u64,
    payload: T,
    level: u8,
    slot: u8,
    /// Where this timer stands in its slot's list; kept right when neighbours are removed.
    position: u32,
}

/// Timers with a payload each. `T` is what comes out when one fires.
pub struct Wheel<T> {
    timers: Slab<Timer<T>>,
    slots: Vec<Vec<Key>>,
    /// One bit per slot and level: set when the slot holds a timer.
    occupied: [u64; LEVELS],
    /// Every tick up to and including this one has been fired.
    current: u64,
}

impl<T> Wheel<T> {
    /// An empty wheel whose time starts at `now`.
    pub fn new(now: Instant) -> Wheel<T> {
        Wheel {
            timers: Slab::default(),
            slots: (0..LEVELS * SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; LEVELS],
            current: now.as_nanoseconds() / TICK_NANOSECONDS,
        }
    }

    /// Number of armed timers.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Arms a timer that fires at the first tick at or after `deadline`.
    pub fn arm(&mut self, deadline: Instant, payload: T) -> Key {
        let tick = deadline.as_nanoseconds().div_ceil(TICK_NANOSECONDS).max(self.current + 1);
        let key = self.timers.insert(Timer { tick, payload, level: 0, slot: 0, position: 0 });
        self.file(key);
        key
    }

    /// Disarms; gives the payload back if the timer had not fired.
    pub fn disarm(&mut self, key: Key) -> Option<T> {
        let timer = self.timers.remove(key)?;
        let (level, slot) = (timer.level as usize, timer.slot as usize);
        let list = &mut self.slots[level * SLOTS + slot];
        list.swap_remove(timer.position as usize);
        match list.get(timer.position as usize) {
            Some(moved) => {
                if let Some(moved) = self.timers.get_mut(*moved) {
                    moved.position = timer.position;
                }
            }
            None if list.is_empty() => self.occupied[level] &= !(1 << slot),
            None => {}
        }
        Some(timer.payload)
    }

    /// Whether the timer is still armed.
    pub fn is_armed(&self, key: Key) -> bool {
        self.timers.get(key).is_some()
    }

    /// A time at which [`Wheel::fire`] should be called next: never later than the earliest deadline, possibly earlier
    /// (a coarse slot is opened at its start). `None` when nothing is armed.
    pub fn next(&self) -> Option<Instant> {
        (0..LEVELS)
            .filter(|level| self.occupied[*level] != 0)
            .map(|level| {
                let shift = SLOT_BITS * level as u32;
                let here = self.current >> shift;
                let turned = self.occupied[level].rotate_right((here % SLOTS as u64) as u32);
                let ahead = match turned & !1 {
                    0 => SLOTS as u64,
                    others => u64::from(others.trailing_zeros()),
                };
                (here + ahead) << shift
            })
            .min()
            .map(|tick| Instant::from_nanoseconds(tick.saturating_mul(TICK_NANOSECONDS)))
    }

    /// Advances to `now` and hands every payload whose deadline has come to `fired`.
    pub fn fire(&mut self, now: Instant, mut fired: impl FnMut(T)) {
        let target = now.as_nanoseconds() / TICK_NANOSECONDS;
        while self.current < target {
            let next = self.next().map_or(u64::MAX, |instant| instant.as_nanoseconds() / TICK_NANOSECONDS);
            self.current = next.min(target);
            for level in (0..LEVELS).rev() {
                let shift = SLOT_BITS * level as u32;
                if self.current & ((1 << shift) - 1) == 0 {
                    self.open(level, ((self.current >> shift) % SLOTS as u64) as usize, &mut fired);
                }
            }
        }
    }

    /// Empties one slot: due timers fire, the others move to a finer level.
    fn open(&mut self, level: usize, slot: usize, fired: &mut impl FnMut(T)) {
        if self.occupied[level] & (1 << slot) == 0 {
            return;
        }
        self.occupied[level] &= !(1 << slot);
        let mut list = std::mem::take(&mut self.slots[level * SLOTS + slot]);
        for key in list.drain(..) {
            if self.timers.get(key).is_some_and(|timer| timer.tick <= self.current) {
                if let Some(timer) = self.timers.remove(key) {
                    fired(timer.payload);
                }
            } else {
                self.file(key);
            }
        }
        let emptied = &mut self.slots[level * SLOTS + slot];
        if emptied.is_empty() {
            *emptied = list;
        }
    }

    fn file(&mut self, key: Key) {
        let current = self.current;
        let Some(timer) = self.timers.get_mut(key) else { return };
        let tick = timer.tick.min(current | LAST_TICK);
        let differing = u64::BITS - (tick ^ current).leading_zeros();
        let level = (differing.saturating_sub(1) / SLOT_BITS) as usize;
        let slot = ((tick >> (SLOT_BITS * level as u32)) % SLOTS as u64) as usize;
        let list = &mut self.slots[level * SLOTS + slot];
        (timer.level, timer.slot, timer.position) = (level as u8, slot as u8, list.len() as u32);
        list.push(key);
        self.occupied[level] |= 1 << slot;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;
    use std::time::Duration;

    fn at(milliseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(milliseconds)
    }

    #[test]
    fn fires_at_or_after_the_deadline_and_within_a_tick() {
        let mut wheel = Wheel::new(Instant::ZERO);
        for deadline in [1, 4, 5, 255, 256, 257, 16_384, 1_000_000, 86_400_000] {
            wheel.arm(at(deadline), deadline);
        }
        let mut fired = Vec::new();
        while let Some(next) = wheel.next() {
            wheel.fire(next, |deadline| fired.push((next, deadline)));
        }
        assert_eq!(fired.len(), 9);
        for (when, deadline) in fired {
            let late = when.since(at(deadline));
            assert!(when >= at(deadline) && late < Duration::from_millis(4), "{deadline} fired {late:?} late");
        }
    }

    #[test]
    fn a_disarmed_timer_never_fires_and_its_neighbours_do() {
        let mut wheel = Wheel::new(at(100));
        let keys: Vec<Key> = (0..10).map(|number| wheel.arm(at(500), number)).collect();
        assert_eq!(wheel.disarm(keys[3]), Some(3));
        assert_eq!(wheel.disarm(keys[9]), Some(9));
        assert_eq!(wheel.disarm(keys[3]), None);
        let mut fired = Vec::new();
        wheel.fire(at(600), |number| fired.push(number));
        fired.sort_unstable();
        assert_eq!(fired, [0, 1, 2, 4, 5, 6, 7, 8]);
        assert_eq!((wheel.next(), wheel.is_empty()), (None, true));
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_histories() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut now = random.below(1 << 40);
            let mut wheel = Wheel::new(Instant::from_nanoseconds(now));
            let mut expected: Vec<(u64, Key)> = Vec::new();
            for _ in 0..400 {
                match random.below(4) {
                    0 | 1 => {
                        let reach = 1 << random.below(44);
                        let deadline = now + random.below(reach);
                        let key = wheel.arm(Instant::from_nanoseconds(deadline), deadline);
                        expected.push((deadline, key));
                    }
                    2 if !expected.is_empty() => {
                        let (deadline, key) = expected.swap_remove(random.below(expected.len() as u64) as usize);
                        assert_eq!(wheel.disarm(key), Some(deadline));
                    }
                    _ => {
                        let reach = 1 << random.below(42);
                        now += random.below(reach);
                        wheel.fire(Instant::from_nanoseconds(now), |deadline| {
                            assert!(deadline <= now, "seed {seed}: fired early");
                            let position = expected.iter().position(|(other, _)| *other == deadline);
                            expected.swap_remove(position.expect("fired once"));
                        });
                        let overdue = |(deadline, _): &&(u64, Key)| *deadline + 2 * TICK_NANOSECONDS < now;
                        assert_eq!(expected.iter().find(overdue), None, "seed {seed}: missed");
                    }
                }
                assert_eq!(wheel.len(), expected.len());
            }
        }
    }
}
