//! What a load balancer of a run has beyond the usual: sticky sessions, or instances that take so many requests at once
//! and a queue before them.

use std::time::Duration;

use elbow::base::random::Random;

/// The rules of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Clients come back to the instance that answered them first.
    pub sticky: bool,
    /// Most requests at once on an instance.
    pub instance_connections: Option<u64>,
    /// Most requests that wait for their turn.
    pub surge_queue: u64,
    /// Seconds that one of them waits.
    pub queue_timeout: u64,
}

impl Rules {
    /// Draws rules; no request has to do with both.
    pub fn drawn(seed: u64) -> Rules {
        let random = &mut Random::new(seed.wrapping_add(1) << 21);
        match random.chance(1, 2) {
            true => Rules { sticky: true, ..Rules::default() },
            false => Rules {
                instance_connections: Some(1 + random.below(3)),
                surge_queue: 1 << random.below(8),
                queue_timeout: 1 + random.below(20),
                sticky: false,
            },
        }
    }

    /// What stands in the limits of a load balancer.
    pub fn limits(&self) -> String {
        let Some(connections) = self.instance_connections else { return String::new() };
        let Rules { surge_queue, queue_timeout, .. } = self;
        format!(", instance_connections = {connections}, surge_queue = {surge_queue}, queue_timeout = {queue_timeout}")
    }

    /// How long a request waits for its turn.
    pub fn queue_wait(&self) -> Duration {
        Duration::from_secs(self.queue_timeout)
    }
}
