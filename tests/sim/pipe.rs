//! A pipe as splice(2) sees it: slots for fragments, not bytes.

use std::collections::VecDeque;

use crate::stage::Stage;

/// A pipe between two descriptors.
#[derive(Debug)]
pub struct SimPipe {
    /// What fcntl(2) says it holds.
    pub capacity: usize,
    slots: usize,
    fragments: VecDeque<Vec<u8>>,
}

/// The default capacity of pipe(7) and the most an unprivileged process may ask for.
const SMALL: usize = 64 * 1024;
const LARGE: usize = 1024 * 1024;

/// A slot holds one fragment; pipe(7) counts capacity as if each were a page.
const PAGE: usize = 4096;

/// Bytes of the largest fragment that a socket gives.
pub const FRAGMENT: usize = 64 * 1024;

impl SimPipe {
    /// An empty pipe; draws its size.
    pub fn drawn(stage: &mut Stage) -> SimPipe {
        let capacity = if stage.strikes(|faults| faults.no_pipe) { SMALL } else { LARGE };
        let slots = match stage.strikes(|faults| faults.few_slots) {
            true => 1 + stage.random().below(8) as usize,
            false => capacity / PAGE,
        };
        SimPipe { capacity, slots, fragments: VecDeque::new() }
    }

    /// Whether there is no free slot.
    pub fn is_full(&self) -> bool {
        self.fragments.len() >= self.slots
    }

    /// Fills one slot.
    pub fn push(&mut self, fragment: Vec<u8>) {
        self.fragments.push_back(fragment);
    }

    /// The oldest fragment.
    pub fn front(&self) -> Option<&[u8]> {
        self.fragments.front().map(Vec::as_slice)
    }

    /// Takes `count` bytes off the oldest fragment.
    pub fn take(&mut self, count: usize) {
        if let Some(first) = self.fragments.front_mut() {
            first.drain(..count);
            if first.is_empty() {
                self.fragments.pop_front();
            }
        }
    }
}
