//! What can go wrong with traffic: one closed list of reasons, each with who caused it, where, how far it reaches
//! and what the client is told. Log, metric, `explain` and the `Proxy-Status` header all take their words from here.
//!
//! Statuses follow Classic ELB (a back end that refuses or closes before it answers is 504, not 502) and, for a
//! request that cannot be read, RFC 9110 section 15.

use super::keyword::keyword;

keyword! {
    /// Who caused it.
    pub enum Side {
        /// The client.
        Client = "client",
        /// An instance, or the way to it.
        Backend = "backend",
        /// The balancer itself: its limits, its configuration, its machine.
        Elbow = "elbow",
    }
}

keyword! {
    /// Where in the life of a connection or request it happened.
    pub enum Phase {
        /// From the accept to the first byte: limits, access rules, PROXY header.
        Accept = "accept",
        /// The client's TLS handshake.
        Handshake = "handshake",
        /// Reading the request head.
        Head = "head",
        /// Choosing an instance and waiting for one.
        Queue = "queue",
        /// Reaching the instance, its TLS handshake included.
        Connect = "connect",
        /// Sending the request.
        Send = "send",
        /// Waiting for the head of the answer.
        FirstByte = "first_byte",
        /// Moving bodies.
        Body = "body",
        /// Moving bytes without knowing what they are: TCP, SSL and upgraded connections.
        Tunnel = "tunnel",
        /// Taking an instance, a listener or the node out of service.
        Drain = "drain",
    }
}

/// How much of what the client has is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// One request; the client's connection can be used on.
    Request,
    /// One stream of a connection that carries several at a time.
    Stream,
    /// The whole connection.
    Connection,
}

/// A row of the table: what a [`Reason`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Who caused it.
    pub side: Side,
    /// Where.
    pub phase: Phase,
    /// How far it reaches.
    pub reach: Reach,
    /// What an HTTP client is answered if nothing of an answer has been sent yet; `None`: there is nobody to tell,
    /// or the answer has begun, and the connection is cut.
    pub status: Option<u16>,
    /// The error type in a `Proxy-Status` header (RFC 9209 section 2.3).
    pub proxy_status: &'static str,
}

/// Declares [`Reason`] and its table in one place, so that no reason can be without its row.
macro_rules! reasons {
    ($(
        $(#[$meta:meta])*
        $variant:ident $word:literal $side:ident $phase:ident $reach:ident $status:tt $proxy_status:literal
    )+) => {
        keyword! {
            /// Why traffic failed. The names are stable: they are what people search logs and set alarms for.
            pub enum Reason { $( $(#[$meta])* $variant = $word, )+ }
        }

        impl Reason {
            /// The reason's row in the table.
            pub const fn fault(self) -> Fault {
                match self {
                    $( Self::$variant => Fault {
                        side: Side::$side,
                        phase: Phase::$phase,
                        reach: Reach::$reach,
                        status: reasons!(@status $status),
                        proxy_status: $proxy_status,
                    }, )+
                }
            }
        }
    };
    (@status -) => { None };
    (@status $status:literal) => { Some($status) };
}

reasons! {
    /// The address is not allowed, or denied, by the listener's rules.
    AddressDenied "address_denied" Client Accept Connection - "connection_terminated"
    /// The node has as many connections as it may have.
    NodeConnectionLimit "node_connection_limit" Elbow Accept Connection - "connection_limit_reached"
    /// The listener has as many connections as it may have.
    ListenerConnectionLimit "listener_connection_limit" Elbow Accept Connection - "connection_limit_reached"
    /// The client address has as many connections as it may have.
    ClientConnectionLimit "client_connection_limit" Client Accept Connection - "connection_limit_reached"
    /// The machine has no descriptor or no memory for another connection.
    ResourcesExhausted "resources_exhausted" Elbow Accept Connection - "proxy_internal_error"
    /// The PROXY protocol header of a trusted sender cannot be read.
    ProxyHeaderMalformed "proxy_header_malformed" Client Accept Connection - "connection_terminated"
    /// A PROXY protocol header from an address that is not trusted to send one.
    ProxyHeaderUntrusted "proxy_header_untrusted" Client Accept Connection - "connection_terminated"
    /// The PROXY protocol header did not come in time.
    ProxyHeaderTimeout "proxy_header_timeout" Client Accept Connection - "connection_read_timeout"

    /// The client's TLS handshake did not end in time.
    TlsHandshakeTimeout "tls_handshake_timeout" Client Handshake Connection - "connection_read_timeout"
    /// What the client sends to a secure listener is no TLS.
    TlsNotSpoken "tls_not_spoken" Client Handshake Connection - "tls_protocol_error"
    /// The client offers no TLS version that the security policy has.
    TlsNoSharedProtocol "tls_no_shared_protocol" Client Handshake Connection - "tls_protocol_error"
    /// The client offers no cipher, key exchange or signature that the security policy and the certificate have.
    TlsNoSharedCipher "tls_no_shared_cipher" Client Handshake Connection - "tls_protocol_error"
    /// The client offers application protocols (ALPN), and none that is spoken here.
    TlsNoSharedApplicationProtocol "tls_no_shared_application_protocol" Client Handshake Connection - "tls_protocol_error"
    /// The client names no host, or one that no certificate is for, and the listener is strict about it.
    TlsUnknownServerName "tls_unknown_server_name" Client Handshake Connection - "tls_protocol_error"
    /// The client shows no certificate and must.
    TlsClientCertificateMissing "tls_client_certificate_missing" Client Handshake Connection - "tls_certificate_error"
    /// The client's certificate has expired, or is not valid yet.
    TlsClientCertificateExpired "tls_client_certificate_expired" Client Handshake Connection - "tls_certificate_error"
    /// The client's certificate is from no authority that the listener believes.
    TlsClientCertificateUntrusted "tls_client_certificate_untrusted" Client Handshake Connection - "tls_certificate_error"
    /// The client's certificate is no good in another way.
    TlsClientCertificateInvalid "tls_client_certificate_invalid" Client Handshake Connection - "tls_certificate_error"
    /// The client does not believe the listener's certificate, and said so by an alert.
    TlsCertificateRejected "tls_certificate_rejected" Client Handshake Connection - "tls_alert_received"
    /// The client gave its handshake up with another alert.
    TlsClientAlert "tls_client_alert" Client Handshake Connection - "tls_alert_received"
    /// The client closed its connection inside its TLS handshake.
    TlsHandshakeAbandoned "tls_handshake_abandoned" Client Handshake Connection - "connection_terminated"
    /// The client's TLS handshake failed otherwise: it breaks the protocol, or the connection broke.
    TlsHandshakeFailed "tls_handshake_failed" Client Handshake Connection - "tls_protocol_error"

    /// The request head did not arrive in time.
    ClientHeaderTimeout "client_header_timeout" Client Head Connection 408 "connection_read_timeout"
    /// The client closed its connection inside a request head.
    ClientClosedInHead "client_closed_in_head" Client Head Connection - "connection_terminated"
    /// The request head breaks the grammar.
    MalformedRequest "malformed_request" Client Head Connection 400 "http_request_error"
    /// The length of the request body can be read in more than one way.
    AmbiguousFraming "ambiguous_framing" Client Head Connection 400 "http_request_error"
    /// The desync mitigation mode blocks the request.
    DesyncBlocked "desync_blocked" Client Head Connection 400 "http_request_denied"
    /// An HTTP/1.1 request without exactly one valid Host.
    HostInvalid "host_invalid" Client Head Connection 400 "http_request_error"
    /// CONNECT: a load balancer is no tunnel. ELB answers 400.
    ConnectMethod "connect_method" Client Head Connection 400 "http_request_denied"
    /// A method of more than 127 characters.
    MethodNotAllowed "method_not_allowed" Client Head Connection 405 "http_request_denied"
    /// A request body longer than can be counted.
    ContentTooLarge "content_too_large" Client Head Connection 413 "http_request_error"
    /// The request line is longer than its limit.
    RequestLineTooLong "request_line_too_long" Client Head Connection 414 "http_request_error"
    /// A header line is longer than its limit.
    HeaderTooLarge "header_too_large" Client Head Connection 431 "http_request_error"
    /// The header lines together are longer than their limit.
    HeadersTooLarge "headers_too_large" Client Head Connection 431 "http_request_error"
    /// There are more header lines than the limit.
    TooManyHeaders "too_many_headers" Client Head Connection 431 "http_request_error"
    /// A transfer coding other than chunked.
    TransferCodingUnknown "transfer_coding_unknown" Client Head Connection 501 "http_request_error"
    /// A major version of HTTP that is not spoken here.
    VersionNotSupported "version_not_supported" Client Head Connection 505 "http_request_error"
    /// The frames of an HTTP/2 connection break the protocol.
    FramesMalformed "frames_malformed" Client Head Connection - "http_protocol_error"
    /// An HTTP/2 client makes work without asking anything: resets, pings, settings, empty frames.
    FrameFlood "frame_flood" Client Head Connection - "http_request_denied"
    /// The client address sends more requests per second than it may.
    ClientRateLimit "client_rate_limit" Client Head Request 429 "http_request_denied"

    /// No instance is registered that may serve this node.
    NoInstance "no_instance" Elbow Queue Request 503 "destination_unavailable"
    /// Instances are registered, none of those that may serve this node is in service.
    NoHealthyInstance "no_healthy_instance" Backend Queue Request 503 "destination_unavailable"
    /// The surge queue is full: ELB's spill-over.
    SurgeQueueFull "surge_queue_full" Backend Queue Request 503 "connection_limit_reached"
    /// The request waited in the surge queue for as long as it may.
    QueueTimeout "queue_timeout" Backend Queue Request 503 "connection_limit_reached"
    /// The client left while its request waited.
    ClientClosedInQueue "client_closed_in_queue" Client Queue Connection - "connection_terminated"

    /// The instance refused the connection.
    ConnectRefused "connect_refused" Backend Connect Request 504 "connection_refused"
    /// The instance did not accept in time.
    ConnectTimeout "connect_timeout" Backend Connect Request 504 "connection_timeout"
    /// There is no way to the instance.
    ConnectUnreachable "connect_unreachable" Backend Connect Request 504 "destination_ip_unroutable"
    /// The connection was refused by the kernel for another cause.
    ConnectFailed "connect_failed" Elbow Connect Request 504 "proxy_internal_error"
    /// No local port is free for another connection to the instance.
    LocalPortsExhausted "local_ports_exhausted" Elbow Connect Request 503 "proxy_internal_error"
    /// The instance's TLS handshake did not end in time.
    BackendTlsTimeout "backend_tls_timeout" Backend Connect Request 504 "connection_timeout"
    /// The instance's TLS handshake failed.
    BackendTlsFailed "backend_tls_failed" Backend Connect Request 502 "tls_protocol_error"
    /// The instance is asked in HTTP/2 and does not let WebSockets be opened there (RFC 8441 section 3).
    WebsocketUnsupported "websocket_unsupported" Backend Connect Request 502 "http_upgrade_failed"
    /// The instance's certificate does not hold a key that its policy names, or is not from an authority, for the name or
    /// of the time that it should be.
    BackendKeyUntrusted "backend_key_untrusted" Backend Connect Request 502 "tls_certificate_error"

    /// The instance stopped reading the request.
    BackendSendTimeout "backend_send_timeout" Backend Send Request 504 "connection_write_timeout"
    /// The client was silent inside its request body.
    ClientBodyTimeout "client_body_timeout" Client Send Connection 408 "connection_read_timeout"
    /// The client sent its request body more slowly than it must.
    ClientBodySlow "client_body_slow" Client Send Connection 408 "connection_read_timeout"
    /// The client closed its connection inside its request body.
    RequestTruncated "request_truncated" Client Send Connection - "connection_terminated"
    /// The chunked coding of the request body is broken.
    RequestBodyMalformed "request_body_malformed" Client Send Connection 400 "http_request_error"
    /// The trailers of the request are longer than the limit.
    RequestTrailersTooLarge "request_trailers_too_large" Client Send Connection 431 "http_request_error"

    /// The instance did not begin its answer in time.
    FirstByteTimeout "first_byte_timeout" Backend FirstByte Request 504 "http_response_timeout"
    /// The instance closed the connection before its answer began.
    BackendClosedEarly "backend_closed_early" Backend FirstByte Request 504 "connection_terminated"
    /// The instance said that it has not begun on the request: it refused the stream, or was going away (RFC 9113 section
    /// 8.7).
    BackendUnprocessed "backend_unprocessed" Backend FirstByte Request 504 "connection_terminated"
    /// The instance closed the connection inside the head of its answer.
    BackendClosedInHead "backend_closed_in_head" Backend FirstByte Request 504 "http_response_incomplete"
    /// The instance reset the connection before the head of its answer was there whole.
    BackendReset "backend_reset" Backend FirstByte Request 504 "connection_terminated"
    /// The head of the answer breaks the grammar.
    ResponseMalformed "response_malformed" Backend FirstByte Request 502 "http_protocol_error"
    /// The length of the answer's body can be read in more than one way.
    ResponseFramingAmbiguous "response_framing_ambiguous" Backend FirstByte Request 502 "http_protocol_error"
    /// The instance switched to another protocol that nobody had asked for.
    UpgradeUnrequested "upgrade_unrequested" Backend FirstByte Request 502 "http_upgrade_failed"
    /// The instance sent interim answers without end.
    InterimFlood "interim_flood" Backend FirstByte Request 502 "http_protocol_error"
    /// The head of the answer is longer than its limit.
    ResponseHeadersTooLarge "response_headers_too_large" Backend FirstByte Request 502 "http_response_header_section_size"
    /// The client left while its answer was awaited.
    ClientClosed "client_closed" Client FirstByte Connection - "connection_terminated"

    /// The instance closed the connection inside the body of its answer.
    ResponseTruncated "response_truncated" Backend Body Connection - "http_response_incomplete"
    /// The instance reset the connection inside the body of its answer.
    ResponseReset "response_reset" Backend Body Connection - "http_response_incomplete"
    /// The chunked coding of the answer is broken.
    ResponseBodyMalformed "response_body_malformed" Backend Body Connection - "http_response_transfer_coding"
    /// The instance was silent inside the body of its answer.
    ResponseIdleTimeout "response_idle_timeout" Backend Body Connection - "http_response_timeout"
    /// The client reset its connection while it was being answered.
    ClientReset "client_reset" Client Body Connection - "connection_terminated"
    /// Somebody took too long over what was held for him, while receive buffers were scarce: so that others get some.
    BufferShortage "buffer_shortage" Elbow Body Connection - "connection_limit_reached"
    /// The client stopped reading its answer.
    ClientSendTimeout "client_send_timeout" Client Body Connection - "connection_write_timeout"

    /// Neither side sent anything for the idle timeout.
    IdleTimeout "idle_timeout" Client Tunnel Connection - "connection_read_timeout"
    /// Neither side of an upgraded connection sent anything for the tunnel timeout.
    TunnelTimeout "tunnel_timeout" Client Tunnel Connection - "connection_read_timeout"
    /// The client reset a connection whose bytes are not looked into.
    TunnelClientReset "tunnel_client_reset" Client Tunnel Connection - "connection_terminated"
    /// The instance reset a connection whose bytes are not looked into.
    TunnelBackendReset "tunnel_backend_reset" Backend Tunnel Connection - "connection_terminated"

    /// What was in flight on an instance that leaves was cut: draining is off, or its time was up.
    DrainTimeout "drain_timeout" Elbow Drain Request 504 "connection_terminated"
    /// What was in flight was cut because the node stops.
    Shutdown "shutdown" Elbow Drain Connection - "connection_terminated"

    /// The kernel refused an operation that should not fail. A fault of the machine or of the balancer.
    Internal "internal" Elbow Body Connection 500 "proxy_internal_error"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Keyword;
    use std::collections::HashSet;

    #[test]
    fn names_are_snake_case_and_distinct() {
        let names: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }

    #[test]
    fn a_status_blames_the_side_that_caused_it() {
        for &reason in Reason::ALL {
            let fault = reason.fault();
            match fault.status {
                Some(400..=499) => assert_eq!(fault.side, Side::Client, "{reason}"),
                Some(500..=599) => {
                    let ours_to_refuse = matches!(reason, Reason::TransferCodingUnknown | Reason::VersionNotSupported);
                    assert!(fault.side != Side::Client || ours_to_refuse, "{reason}");
                }
                Some(status) => panic!("{reason} answers {status}"),
                None => assert_eq!(fault.reach, Reach::Connection, "{reason}"),
            }
        }
    }
}
