//! Classic ELB's line: fifteen fields between single spaces.

use super::{AccessExchange, AccessRecord, user_agent, write_seconds, write_timestamp, write_url};
use std::io::Write;

pub(super) fn write(record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    write_timestamp(record.received_at, out);
    // Writing to a vector cannot fail.
    let _ = write!(out, " {} {} ", record.load_balancer, record.client);
    match record.instance {
        Some(instance) => drop(write!(out, "{instance}")),
        None => out.push(b'-'),
    }
    match record.times {
        Some(times) => [times.request, times.backend, times.response].into_iter().for_each(|time| {
            out.push(b' ');
            write_seconds(time, out);
        }),
        None => out.extend_from_slice(b" -1 -1 -1"),
    }
    match &record.exchange {
        Some(exchange) => drop(write!(out, " {} {}", exchange.status, exchange.backend_status)),
        None => out.extend_from_slice(b" - -"),
    }
    let _ = write!(out, " {} {} ", record.received_bytes, record.sent_bytes);
    match &record.exchange {
        Some(exchange) => write_exchange(exchange, record.listener_port, out),
        None => out.extend_from_slice(b"\"- - - \" \"-\""),
    }
    match record.tls {
        Some(tls) => drop(write!(out, " {} {}", tls.cipher, tls.protocol)),
        None => out.extend_from_slice(b" - -"),
    }
}

fn write_exchange(exchange: &AccessExchange<'_>, port: u16, out: &mut Vec<u8>) {
    let (method, path) = exchange.line.map_or((&b"-"[..], &b"-"[..]), |line| (line.method, line.path));
    out.push(b'"');
    write_escaped(method, out);
    out.push(b' ');
    write_url(exchange, port, path, &mut |part| write_escaped(part, out));
    let _ = write!(out, " {}\" \"", exchange.line.map_or("", |line| line.version));
    write_escaped(user_agent(exchange).unwrap_or(b"-"), out);
    out.push(b'"');
}

/// A byte that cannot stand as it is stands as `\xNN`.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    super::write_escaped(text, "x", out);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{line, record};
    use super::super::{AccessExchange, AccessRecord};
    use crate::model::AccessLogFormat::Elb;

    #[test]
    fn a_request_has_elbs_fields() {
        assert_eq!(
            line(&record(), Elb),
            "2024-03-09T10:15:30.123456Z lb-demo 192.0.2.10:51000 10.1.2.3:8080 0.000041 1.002310 0.000029 200 201 12 \
             345 \"POST https://shop.example:443/cart?id=7 HTTP/1.1\" \"curl/8.5.0 \\\"x\\\\\\x01\\xff\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2\n"
        );
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        let exchange = AccessExchange {
            status: 400,
            backend_status: 0,
            line: None,
            user_agent: None,
            ..record().exchange.expect("HTTP")
        };
        let refused = AccessRecord { tls: None, instance: None, times: None, exchange: Some(exchange), ..record() };
        assert_eq!(
            line(&refused, Elb),
            "2024-03-09T10:15:30.123456Z lb-demo 192.0.2.10:51000 - -1 -1 -1 400 0 12 345 \
             \"- https://shop.example:443- \" \"-\" - -\n"
        );
        let stream = AccessRecord { tls: None, exchange: None, ..record() };
        assert!(line(&stream, Elb).ends_with(" 0.000029 - - 12 345 \"- - - \" \"-\" - -\n"), "{}", line(&stream, Elb));
    }
}
