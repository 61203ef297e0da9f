//! `[load_balancers.NAME.limits]`.

use super::super::section::Section;
use crate::model::TrafficLimits;

/// The limits; what is not said is the default.
pub(super) fn read(mut section: Section<'_>) -> TrafficLimits {
    let default = TrafficLimits::default();
    let limits = TrafficLimits {
        request_line: section.read_or("request_line", default.request_line),
        header: section.read_or("header", default.header),
        headers_total: section.read_or("headers_total", default.headers_total),
        surge_queue: section.read_or("surge_queue", default.surge_queue),
        client_header_timeout: section.read_or("client_header_timeout", default.client_header_timeout),
        tls_handshake_timeout: section.read_or("tls_handshake_timeout", default.tls_handshake_timeout),
        connect_timeout: section.read_or("connect_timeout", default.connect_timeout),
        requests_per_connection: section.read_or("requests_per_connection", default.requests_per_connection),
        instance_connections: section.read_or("instance_connections", default.instance_connections),
        queue_timeout: section.read_or("queue_timeout", default.queue_timeout),
        first_byte_timeout: section.read("first_byte_timeout"),
        client_body_timeout: section.read_or("client_body_timeout", default.client_body_timeout),
        client_body_minimum_rate: section.read_or("client_body_minimum_rate", default.client_body_minimum_rate),
        tunnel_timeout: section.read_or("tunnel_timeout", default.tunnel_timeout),
        connections_per_client: section.read_or("connections_per_client", default.connections_per_client),
        requests_per_second_per_client: section
            .read_or("requests_per_second_per_client", default.requests_per_second_per_client),
    };
    section.finish();
    limits
}
