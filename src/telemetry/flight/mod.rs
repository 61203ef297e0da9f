//! The flight recorder: what became of the last requests, phase by phase and instance by instance, and of connections
//! whose bytes are not looked into or that were refused.
//!
//! A core writes its requests into a ring of its own, and those that failed into a second one, where successes do not
//! push them out. Anybody may read at any time; nobody waits for anybody. A record has a fixed size: what does not fit
//! (of a long target, say) is cut off.

mod record;
mod ring;

pub use record::{FlightAttempt, FlightPhases, FlightRecord, RequestId};

use crate::telemetry::PerCore;
use ring::Ring;
use std::net::SocketAddr;

/// Requests that each core remembers; 1.3 MB.
const RECORDS: usize = 4096;

/// Failed ones that it remembers beside them.
const FAILED_RECORDS: usize = 1024;

/// The recorders of a node.
#[derive(Debug)]
pub struct FlightRecorder {
    /// Told apart from other nodes', and from this one's before its last start, by this.
    seed: u64,
    cores: PerCore<Rings>,
}

#[derive(Debug)]
struct Rings {
    all: Ring,
    failed: Ring,
}

impl Default for Rings {
    fn default() -> Self {
        Self { all: Ring::new(RECORDS), failed: Ring::new(FAILED_RECORDS) }
    }
}

impl FlightRecorder {
    /// Recorders for `cores` data-plane threads. Ids of requests are made from `seed`, which should be another one at
    /// every start.
    pub fn new(seed: u64, cores: usize) -> FlightRecorder {
        FlightRecorder { seed, cores: PerCore::new(cores) }
    }

    /// The id of request number `number` of core number `core`.
    pub fn id(&self, core: usize, number: u64) -> RequestId {
        RequestId::numbered(self.seed, core as u64, number)
    }

    /// Remembers a request. Only core number `core` calls this.
    pub fn record(&self, core: usize, record: &FlightRecord<'_>) {
        let rings = self.cores.core(core);
        let words = record.words();
        rings.all.write(&words);
        if record.reason.is_some() {
            rings.failed.write(&words);
        }
    }

    /// What is remembered of the requests with this id, or of what came from this client's address and port, in words,
    /// oldest first. A client may use an id more than once.
    pub fn explain(&self, asked: &str) -> Vec<String> {
        let (id, client) = (RequestId::given(asked.as_bytes()), asked.parse::<SocketAddr>().ok());
        let is_wanted = |words: &record::Words| {
            id.is_some_and(|id| words.starts_with(&id.words())) || client == Some(record::client_of(words))
        };
        let rings = self.cores.iter().flat_map(|rings| [&rings.all, &rings.failed]);
        let mut found: Vec<_> = rings.flat_map(|ring| ring.find(is_wanted)).collect();
        found.sort_unstable();
        found.dedup();
        found.iter().map(record::explain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::record::tests::record;
    use super::*;

    #[test]
    fn failures_are_remembered_when_successes_have_pushed_them_out() {
        let recorder = FlightRecorder::new(7, 2);
        let (failed, first) = (recorder.id(1, 0), recorder.id(1, 1));
        recorder.record(1, &FlightRecord { id: failed, ..record() });
        for number in 1..=RECORDS as u64 {
            recorder.record(1, &FlightRecord { id: recorder.id(1, number), reason: None, ..record() });
        }
        assert_eq!(recorder.explain(first.as_str()).len(), 1, "the oldest that fits");
        assert_eq!(recorder.explain(failed.as_str()).len(), 1, "it failed");
        recorder.record(1, &FlightRecord { id: recorder.id(1, 0), reason: None, ..record() });
        assert_eq!(recorder.explain(first.as_str()), [] as [String; 0]);
        assert_eq!(recorder.explain("no such id"), [] as [String; 0]);
    }

    #[test]
    fn what_stands_in_both_rings_is_told_once() {
        let recorder = FlightRecorder::new(7, 1);
        let id = recorder.id(0, 1);
        recorder.record(0, &FlightRecord { id, ..record() });
        assert_eq!(recorder.explain(id.as_str()).len(), 1);
        assert_ne!(recorder.id(0, 1), FlightRecorder::new(8, 1).id(0, 1));
    }
}
