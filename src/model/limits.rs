//! Limits on traffic, beyond what ELB lets one set. Each has a default that holds without being thought about, and
//! a range outside of which it would do harm.

use super::{Count, Seconds};

/// A number of something where `None` means that there is no limit; written as 0.
pub type Unlimited = Option<Count<1, 1_000_000_000>>;

/// The limits of one load balancer. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficLimits {
    /// A request line. 16 KiB is the application load balancer's, twice what RFC 9112 section 3 asks for at least.
    pub request_line: Count<512, 1_048_576>,
    /// One header line: 16 KiB, room for a Kerberos ticket or a full cookie jar of one site.
    pub header: Count<512, 1_048_576>,
    /// All header lines of a message, which must be held in memory at once.
    pub headers_total: Count<1_024, 4_194_304>,
    /// Requests (TCP: connections) that wait on a node when no instance can take them: ELB's 1,024.
    pub surge_queue: Count<0, 1_048_576>,
    /// From the first byte of a request head to its last. A slow network sends 64 KiB in ten seconds.
    pub client_header_timeout: Seconds<100, 3_600_000>,
    /// From the accept to the end of the TLS handshake: two round trips and one signature.
    pub tls_handshake_timeout: Seconds<100, 3_600_000>,
    /// Until an instance accepts. It is near: one lost SYN costs a second, a second one three.
    pub connect_timeout: Seconds<10, 300_000>,
    /// Requests of one client connection, after which it is closed so that clients spread over nodes again.
    pub requests_per_connection: Count<1, 1_000_000_000>,
    /// Requests (TCP: connections) at once per instance, over all cores. ELB knows no such limit.
    pub instance_connections: Unlimited,
    /// In the surge queue. Whoever waits longer has mostly gone.
    pub queue_timeout: Seconds<10, 3_600_000>,
    /// From the last byte of the request to the first of the answer; `None`: the idle timeout, as in ELB.
    pub first_byte_timeout: Option<Seconds<10, 4_000_000>>,
    /// Silence of the client inside a request body, unless it may be waiting for the answer to go on: see
    /// `tunnel_timeout`.
    pub client_body_timeout: Seconds<100, 4_000_000>,
    /// Bytes a second that a request body brings on average, counted over the time it is waited for; the first
    /// `client_body_timeout` of that is free. Whoever dribbles holds a connection and an instance for hours otherwise.
    /// 240 is what Kestrel and IIS ask for; `None`: silence alone counts. HTTP/2 bodies of unknown length are exempt:
    /// they may be conversations.
    pub client_body_minimum_rate: Unlimited,
    /// Silence of both sides on an upgraded connection, or in an exchange whose answer has begun before the request was
    /// whole, as calls of gRPC do that stream both ways. People leave a WebSocket open over lunch.
    pub tunnel_timeout: Seconds<1_000, 604_800_000>,
    /// Connections at once from one client address. Off: whole offices share one address.
    pub connections_per_client: Unlimited,
    /// Requests per second from one client address. Off, for the same reason.
    pub requests_per_second_per_client: Unlimited,
}

impl Default for TrafficLimits {
    fn default() -> Self {
        Self {
            request_line: Count::of(16_384),
            header: Count::of(16_384),
            headers_total: Count::of(65_536),
            surge_queue: Count::of(1_024),
            client_header_timeout: Seconds::of_ms(10_000),
            tls_handshake_timeout: Seconds::of_ms(10_000),
            connect_timeout: Seconds::of_ms(5_000),
            requests_per_connection: Count::of(100_000),
            instance_connections: None,
            queue_timeout: Seconds::of_ms(5_000),
            first_byte_timeout: None,
            client_body_timeout: Seconds::of_ms(60_000),
            client_body_minimum_rate: Some(Count::of(240)),
            tunnel_timeout: Seconds::of_ms(3_600_000),
            connections_per_client: None,
            requests_per_second_per_client: None,
        }
    }
}
