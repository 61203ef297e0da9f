//! Instances that one core has just failed to connect to. For a short time they are its last choice.
//!
//! An instance that refuses connections has nothing in flight: least outstanding would send it every request first,
//! until its probe fails. Whoever is remembered here is asked only when there is nobody else; so every request still
//! finds an instance that came back a moment ago, and a probe still decides for all cores.

use std::time::Duration;

use crate::base::Instant;

/// How long an instance is remembered: then one request of the core tries whether it is back, at the cost of one more
/// attempt. A restart takes about as long.
const SHUNNED_FOR: Duration = Duration::from_secs(1);

/// Instances remembered at once. Each is looked through in every choice; when more fail within a second, nobody is a
/// good choice.
const SHUNNED_MAX: usize = 64;

/// The instances that one core shuns, by whatever names them.
#[derive(Debug)]
pub struct Shunned<K> {
    /// The name, and until when. In the order of time.
    list: Vec<(K, Instant)>,
}

impl<K> Default for Shunned<K> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<K: Copy + Eq> Shunned<K> {
    /// Takes note that `instance` could not be connected to. When the list is full the oldest goes.
    pub fn add(&mut self, instance: K, now: Instant) {
        self.remove(instance);
        if self.list.len() >= SHUNNED_MAX {
            self.list.remove(0);
        }
        self.list.push((instance, now + SHUNNED_FOR));
    }

    /// Takes note that `instance` could be connected to.
    pub fn remove(&mut self, instance: K) {
        self.list.retain(|(shunned, _)| *shunned != instance);
    }

    /// Whether anybody is shunned; forgets those whose time is up.
    pub fn is_any(&mut self, now: Instant) -> bool {
        if !self.list.is_empty() {
            self.list.retain(|(_, until)| *until > now);
        }
        !self.list.is_empty()
    }

    /// Whether `instance` is shunned.
    pub fn contains(&self, instance: K) -> bool {
        self.list.iter().any(|(shunned, _)| *shunned == instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::ZERO;

    #[test]
    fn an_instance_is_shunned_until_it_is_back_or_its_time_is_up() {
        let mut shunned = Shunned::default();
        assert!(!shunned.is_any(START));
        shunned.add('a', START);
        shunned.add('b', START + SHUNNED_FOR / 2);
        assert!(shunned.is_any(START + SHUNNED_FOR / 2) && shunned.contains('a') && shunned.contains('b'));
        shunned.remove('b');
        assert!(shunned.contains('a') && !shunned.contains('b'));
        assert!(!shunned.is_any(START + SHUNNED_FOR) && !shunned.contains('a'));
    }

    #[test]
    fn failing_again_begins_the_time_anew() {
        let mut shunned = Shunned::default();
        shunned.add('a', START);
        shunned.add('a', START + SHUNNED_FOR / 2);
        assert!(shunned.is_any(START + SHUNNED_FOR));
        assert!(!shunned.is_any(START + SHUNNED_FOR * 2));
    }

    #[test]
    fn the_oldest_is_forgotten_for_one_too_many() {
        let mut shunned = Shunned::default();
        (0..=SHUNNED_MAX).for_each(|instance| shunned.add(instance, START));
        assert_eq!(shunned.list.len(), SHUNNED_MAX);
        assert!(!shunned.contains(0) && (1..=SHUNNED_MAX).all(|instance| shunned.contains(instance)));
    }
}
