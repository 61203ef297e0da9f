//! The same as one JSON object (RFC 8259) a line, and why a request failed.

use super::{AccessExchange, AccessRecord, user_agent, write_seconds, write_timestamp, write_url};
use std::io::Write;

pub(super) fn write(record: &AccessRecord<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    write_timestamp(record.received_at, out);
    // Writing to a vector cannot fail. Ids and names of load balancers hold nothing that JSON would have to escape.
    let _ = write!(
        out,
        "\",\"id\":\"{}\",\"load_balancer\":\"{}\",\"listener\":{},\"client\":\"{}\"",
        record.id, record.load_balancer, record.listener_port, record.client
    );
    if let Some(instance) = record.instance {
        let _ = write!(out, ",\"instance\":\"{instance}\"");
    }
    if let Some(times) = record.times {
        let named = [("request", times.request), ("backend", times.backend), ("response", times.response)];
        for (name, time) in named {
            let _ = write!(out, ",\"{name}_processing_time\":");
            write_seconds(time, out);
        }
    }
    if let Some(exchange) = &record.exchange {
        write_exchange(exchange, record.listener_port, out);
    }
    let _ = write!(out, ",\"received_bytes\":{},\"sent_bytes\":{}", record.received_bytes, record.sent_bytes);
    if let Some(tls) = record.tls {
        let _ = write!(out, ",\"ssl_cipher\":\"{}\",\"ssl_protocol\":\"{}\"", tls.cipher, tls.protocol);
    }
    if let Some(certificate) = record.client_certificate {
        out.extend_from_slice(b",\"client_certificate_subject\":\"");
        write_escaped(certificate.subject.as_bytes(), out);
        let _ = write!(out, "\",\"client_certificate_fingerprint\":\"{}\"", certificate.fingerprint);
    }
    if let Some(reason) = record.reason {
        let _ = write!(out, ",\"reason\":\"{reason}\"");
    }
    out.push(b'}');
}

fn write_exchange(exchange: &AccessExchange<'_>, port: u16, out: &mut Vec<u8>) {
    let _ = write!(out, ",\"status\":{},\"backend_status\":{}", exchange.status, exchange.backend_status);
    if let Some(line) = exchange.line {
        out.extend_from_slice(b",\"method\":\"");
        write_escaped(line.method, out);
        out.extend_from_slice(b"\",\"url\":\"");
        write_url(exchange, port, line.path, &mut |part| write_escaped(part, out));
        let _ = write!(out, "\",\"version\":\"{}\"", line.version);
    }
    if let Some(agent) = user_agent(exchange) {
        out.extend_from_slice(b",\"user_agent\":\"");
        write_escaped(agent, out);
        out.push(b'"');
    }
}

/// Bytes beyond ASCII stand for the characters of the same numbers (ISO 8859-1), as a field value has no other meaning.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    super::write_escaped(text, "u00", out);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{line, record};
    use super::super::{AccessCertificate, AccessRecord};
    use crate::model::AccessLogFormat::Json;
    use serde_json::{Value, json};

    #[test]
    fn a_line_is_an_object_with_what_is_known() {
        let parsed: Value = serde_json::from_str(&line(&record(), Json)).expect("JSON");
        let expected = json!({
            "time": "2024-03-09T10:15:30.123456Z", "id": "018c2f0a", "load_balancer": "lb-demo", "listener": 443,
            "client": "192.0.2.10:51000", "instance": "10.1.2.3:8080", "request_processing_time": 0.000041,
            "backend_processing_time": 1.00231, "response_processing_time": 0.000029, "status": 200,
            "backend_status": 201, "method": "POST", "url": "https://shop.example:443/cart?id=7",
            "version": "HTTP/1.1", "user_agent": "curl/8.5.0 \"x\\\u{1}\u{ff}", "received_bytes": 12, "sent_bytes": 345,
            "ssl_cipher": "ECDHE-RSA-AES128-GCM-SHA256", "ssl_protocol": "TLSv1.2",
        });
        assert_eq!(parsed, expected);
        let certificate = AccessCertificate { subject: "CN=a \\\"b\\\"", fingerprint: "00ff" };
        let known = AccessRecord { client_certificate: Some(certificate), ..record() };
        let parsed: Value = serde_json::from_str(&line(&known, Json)).expect("JSON");
        assert_eq!(parsed["client_certificate_subject"], "CN=a \\\"b\\\"");
        assert_eq!(parsed["client_certificate_fingerprint"], "00ff");
        let failed =
            AccessRecord { instance: None, times: None, exchange: None, reason: Some("idle_timeout"), ..record() };
        let parsed: Value = serde_json::from_str(&line(&failed, Json)).expect("JSON");
        assert_eq!(parsed["reason"], "idle_timeout");
        assert!(parsed.get("instance").is_none() && parsed.get("status").is_none(), "{parsed}");
    }
}
