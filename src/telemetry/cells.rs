//! What is counted about a listener and about an instance. One set of cells per core; see [`PerCore`](super::PerCore).

use super::{Counter, ErrorCounters, Gauge, Histogram};
use crate::model::{Keyword, TlsSuite};

/// What one core counts about one listener.
#[derive(Debug, Default)]
pub struct ListenerCells {
    /// Answers sent to clients, by class and by who made them. HTTP listeners only.
    pub requests: RequestCounters,
    /// From the first byte of a request to the last byte of its answer.
    pub request_duration: Histogram,
    /// From the first byte of a client's TLS handshake to its end.
    pub tls_handshake_duration: Histogram,
    /// TLS handshakes with clients that succeeded.
    pub tls_handshakes: HandshakeCounters,
    /// Client connections accepted.
    pub connections_total: Counter,
    /// Client connections open now.
    pub connections_active: Gauge,
    /// Bytes received from clients, framing included, TLS records not.
    pub received_bytes: Counter,
    /// Bytes sent to clients, framing included, TLS records not.
    pub sent_bytes: Counter,
    /// Requests (TCP: connections) that wait for an instance now.
    pub surge_queue_length: Gauge,
    /// Requests (TCP: connections) turned away because the surge queue was full.
    pub spillover: Counter,
    /// Attempts made again after a failure.
    pub retries: Counter,
    /// Attempts not made again because the retry budget was spent.
    pub retries_denied: Counter,
    /// Requests that do not follow the RFC, whatever became of them.
    pub desync: DesyncCounters,
    /// What went wrong with its traffic.
    pub errors: ErrorCounters,
}

/// TLS handshakes by what was agreed on, and by whether an earlier session was resumed.
#[derive(Debug, Default)]
pub struct HandshakeCounters {
    full: [Counter; TlsSuite::ALL.len()],
    resumed: [Counter; TlsSuite::ALL.len()],
}

impl HandshakeCounters {
    /// Counts one. Only the owning core's thread calls this.
    pub fn record(&self, suite: TlsSuite, is_resumed: bool) {
        self.counter(suite, is_resumed).increment();
    }

    /// How many there were.
    pub fn get(&self, suite: TlsSuite, is_resumed: bool) -> u64 {
        self.counter(suite, is_resumed).get()
    }

    fn counter(&self, suite: TlsSuite, is_resumed: bool) -> &Counter {
        let counters = if is_resumed { &self.resumed } else { &self.full };
        &counters[suite as usize]
    }
}

/// Requests that do not follow the RFC, by the class of the worst that speaks against them.
#[derive(Debug, Default)]
pub struct DesyncCounters {
    /// Read by everyone in the same way.
    pub acceptable: Counter,
    /// Read in different ways by different servers.
    pub ambiguous: Counter,
    /// Broken, or made to be misread.
    pub severe: Counter,
}

/// What one core counts about one instance.
#[derive(Debug, Default)]
pub struct InstanceCells {
    /// From the request sent to the first byte of the answer. TCP: the time to connect, as in ELB's `Latency`.
    pub backend_latency: Histogram,
    /// From the start of a connection attempt to its success.
    pub connect_duration: Histogram,
    /// Exchanges that began on a new connection.
    pub connections_new: Counter,
    /// Exchanges that began on a kept connection.
    pub connections_reused: Counter,
    /// Connection attempts that failed, retries included.
    pub connection_errors: Counter,
}

/// Who made an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSource {
    /// An instance; passed on.
    Backend,
    /// The balancer itself.
    Elbow,
}

impl AnswerSource {
    /// Every source, in reporting order.
    pub const ALL: [Self; 2] = [Self::Backend, Self::Elbow];

    /// The value of the `source` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Elbow => "elbow",
        }
    }
}

/// The class of a status code (RFC 9110 section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseClass {
    /// 1xx, as a final answer: 101 Switching Protocols.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx, and codes above 599, which RFC 9110 section 15 wants treated as such.
    ServerError,
}

impl ResponseClass {
    /// Every class, in order of the codes.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    /// The class of a status code.
    pub fn of(status: u16) -> Self {
        match status {
            0..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// The value of the `code` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// Answers by class and source.
#[derive(Debug, Default)]
pub struct RequestCounters {
    counts: [[Counter; ResponseClass::ALL.len()]; AnswerSource::ALL.len()],
}

impl RequestCounters {
    /// Counts one final answer with this status code. Only the owning core's thread calls this.
    pub fn record(&self, status: u16, source: AnswerSource) {
        self.cell(ResponseClass::of(status), source).increment();
    }

    /// How many answers of this class and source there were.
    pub fn get(&self, class: ResponseClass, source: AnswerSource) -> u64 {
        self.cell(class, source).get()
    }

    fn cell(&self, class: ResponseClass, source: AnswerSource) -> &Counter {
        &self.counts[source as usize][class as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_fall_into_their_class() {
        for (status, label) in
            [(101, "1xx"), (200, "2xx"), (299, "2xx"), (304, "3xx"), (499, "4xx"), (500, "5xx"), (799, "5xx")]
        {
            assert_eq!(ResponseClass::of(status).label(), label, "{status}");
        }
    }

    #[test]
    fn answers_are_kept_apart_by_source() {
        let counters = RequestCounters::default();
        counters.record(503, AnswerSource::Elbow);
        counters.record(503, AnswerSource::Backend);
        counters.record(502, AnswerSource::Elbow);
        assert_eq!(counters.get(ResponseClass::ServerError, AnswerSource::Elbow), 2);
        assert_eq!(counters.get(ResponseClass::ServerError, AnswerSource::Backend), 1);
        assert_eq!(counters.get(ResponseClass::Success, AnswerSource::Backend), 0);
    }
}
