//! Which faults a run injects, and how often. Each seed switches a random subset on ("swarm testing": Groce et al. 2012):
//! runs that do everything at once hide what one fault does alone.

use std::time::Duration;

use elbow::base::random::Random;

/// How often a fault strikes where it can, in 65,536ths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// A fault that is switched off.
    pub const NEVER: Rate = Rate(0);

    /// A fault that strikes once in so many times.
    pub const fn one_in(times: u32) -> Rate {
        Rate(65_536 / times)
    }

    /// Whether it strikes this time. Draws nothing when switched off.
    pub fn strikes(self, random: &mut Random) -> bool {
        self.0 > 0 && random.chance(u64::from(self.0), 65_536)
    }

    /// Off in half of all runs, else between one in `most_often` and one in a thousand times that, frequent as likely as rare.
    fn drawn(random: &mut Random, most_often: u32) -> Rate {
        if random.chance(1, 2) {
            return Rate::NEVER;
        }
        let shift = random.below(10);
        Rate(((65_536 / most_often) >> shift).max(1))
    }
}

/// The faults of one run.
#[derive(Clone, Debug)]
pub struct Faults {
    // What a correct program rides out without anybody noticing:
    /// A receive returns less than there is.
    pub short_receive: Rate,
    /// A send ends before its last byte although the peer takes more.
    pub short_send: Rate,
    /// A completion is handed out later than it happened.
    pub late_completion: Rate,
    /// An operation that could complete at once is looked at later.
    pub held_operation: Rate,
    /// Completions of one turn come in another order.
    pub shuffled_completions: Rate,
    /// A turn returns with nothing.
    pub spurious_turn: Rate,
    /// A poll says ready when nothing is.
    pub spurious_poll: Rate,
    /// A cancelled operation completes if it can.
    pub lost_cancel: Rate,
    /// A cancellation takes effect later.
    pub late_cancel: Rate,
    /// A completion without data carries a buffer.
    pub stray_buffer: Rate,
    /// A multishot accept ends with the connection it gives.
    pub ended_accept: Rate,
    /// An accept fails on behalf of a connection that has gone (accept(2), ECONNABORTED).
    pub aborted_accept: Rate,
    /// A repeated receive ends with what it gives, as when completions overflow.
    pub ended_receive: Rate,
    /// A splice moves less than it could.
    pub short_splice: Rate,
    /// A splice that could move bytes says EAGAIN.
    pub spurious_splice: Rate,
    /// A connection has buffers of some hundred bytes only.
    pub small_window: Rate,
    /// A connection's bytes travel in small pieces.
    pub small_segments: Rate,
    /// A pipe has few slots.
    pub few_slots: Rate,
    /// No pipe, or only a small one, is to be had.
    pub no_pipe: Rate,
    /// A ring's thread is not scheduled for a while.
    pub paused_ring: Rate,
    /// The kernel can receive again and again by one operation (from 6.17 on).
    pub repeats_receives: bool,
    /// Most one-way delay.
    pub latency: Duration,

    // What may show through as an error:
    /// An established connection is cut at a random byte or time.
    pub severed: Rate,
    /// A connect is refused.
    pub refused: Rate,
    /// A connect is never answered.
    pub unanswered: Rate,
    /// A connection stops carrying bytes in one direction.
    pub stalled: Rate,
    /// No descriptor is left for an accept or a new socket.
    pub no_descriptor: Rate,
}

impl Faults {
    /// A perfect world with a delay of 50 microseconds.
    pub fn none() -> Faults {
        Faults {
            short_receive: Rate::NEVER,
            short_send: Rate::NEVER,
            late_completion: Rate::NEVER,
            held_operation: Rate::NEVER,
            shuffled_completions: Rate::NEVER,
            spurious_turn: Rate::NEVER,
            spurious_poll: Rate::NEVER,
            lost_cancel: Rate::NEVER,
            late_cancel: Rate::NEVER,
            stray_buffer: Rate::NEVER,
            ended_accept: Rate::NEVER,
            aborted_accept: Rate::NEVER,
            ended_receive: Rate::NEVER,
            short_splice: Rate::NEVER,
            spurious_splice: Rate::NEVER,
            small_window: Rate::NEVER,
            small_segments: Rate::NEVER,
            few_slots: Rate::NEVER,
            no_pipe: Rate::NEVER,
            paused_ring: Rate::NEVER,
            repeats_receives: true,
            latency: Duration::from_micros(50),
            severed: Rate::NEVER,
            refused: Rate::NEVER,
            unanswered: Rate::NEVER,
            stalled: Rate::NEVER,
            no_descriptor: Rate::NEVER,
        }
    }

    /// A random subset of the faults that nobody may notice.
    pub fn harmless(random: &mut Random) -> Faults {
        Faults {
            short_receive: Rate::drawn(random, 2),
            short_send: Rate::drawn(random, 4),
            late_completion: Rate::drawn(random, 4),
            held_operation: Rate::drawn(random, 4),
            shuffled_completions: Rate::drawn(random, 2),
            spurious_turn: Rate::drawn(random, 4),
            spurious_poll: Rate::drawn(random, 4),
            lost_cancel: Rate::drawn(random, 1),
            late_cancel: Rate::drawn(random, 2),
            stray_buffer: Rate::drawn(random, 1),
            ended_accept: Rate::drawn(random, 2),
            aborted_accept: Rate::drawn(random, 8),
            ended_receive: Rate::drawn(random, 2),
            short_splice: Rate::drawn(random, 2),
            spurious_splice: Rate::drawn(random, 4),
            small_window: Rate::drawn(random, 2),
            small_segments: Rate::drawn(random, 2),
            few_slots: Rate::drawn(random, 1),
            no_pipe: Rate::drawn(random, 2),
            paused_ring: Rate::drawn(random, 64),
            repeats_receives: random.chance(3, 4),
            latency: Duration::from_nanos(1_000 << random.below(15)),
            ..Faults::none()
        }
    }

    /// A random subset of all faults.
    pub fn any(random: &mut Random) -> Faults {
        Faults {
            severed: Rate::drawn(random, 8),
            refused: Rate::drawn(random, 8),
            unanswered: Rate::drawn(random, 16),
            stalled: Rate::drawn(random, 16),
            no_descriptor: Rate::drawn(random, 16),
            ..Faults::harmless(random)
        }
    }
}
