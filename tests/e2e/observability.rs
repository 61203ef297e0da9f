//! What a balancer says of itself is there, well formed, and true.

use crate::harness::{Backend, Balancer, Elbow, Message, Peer, answer_ok, python};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A balancer that has answered a client, which is still there, ten requests with 200 and five with 404.
fn some_traffic() -> (Backend, Elbow, Peer) {
    let backend = Backend::answering(|request: &Message| match request.head.target() {
        "/" => answer_ok("ok"),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let elbow = Balancer::http([backend.address()]).start();
    let mut client = Peer::connect(elbow.address());
    for _ in 0..10 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    for _ in 0..5 {
        assert_eq!(client.ask("GET /no HTTP/1.1\r\nHost: a\r\n\r\n").status(), 404);
    }
    let answered = [("source", "backend")];
    elbow.admin().wait_metric("elbow_requests_total", &answered, |count| count == 15.0);
    (backend, elbow, client)
}

#[test]
fn metrics_count_what_happened() {
    let (backend, elbow, _client) = some_traffic();
    let metrics = elbow.admin().metrics();
    let port = elbow.address().port().to_string();
    let listener = [("load_balancer", "web"), ("listener", port.as_str())];
    let requests = |code| {
        let labels = [listener[0], listener[1], ("code", code), ("source", "backend")];
        metrics.sum("elbow_requests_total", &labels)
    };
    assert_eq!((requests("2xx"), requests("4xx"), requests("5xx")), (10.0, 5.0, 0.0));
    assert_eq!(metrics.sum("elbow_connections_total", &listener), 1.0);
    assert_eq!(metrics.sum("elbow_connections_active", &listener), 1.0);
    assert_eq!(metrics.sum("elbow_request_duration_seconds_count", &listener), 15.0);
    let seconds = metrics.sum("elbow_request_duration_seconds_sum", &listener);
    assert!(seconds > 0.0 && seconds < 15.0, "{seconds}");
    let instance = [("load_balancer", "web"), ("instance", &*backend.address().to_string())];
    assert_eq!(metrics.sum("elbow_backend_latency_seconds_count", &instance), 15.0);
    assert_eq!(metrics.sum("elbow_connect_duration_seconds_count", &instance), 1.0);
    let sent: usize = GET.len() * 10 + "GET /no HTTP/1.1\r\nHost: a\r\n\r\n".len() * 5;
    assert_eq!(metrics.sum("elbow_received_bytes_total", &listener), sent as f64);
    assert_eq!(metrics.sum("elbow_errors_total", &[]), 0.0);
}

#[test]
fn every_metric_of_the_contract_is_there() {
    let (_backend, elbow, _client) = some_traffic();
    let metrics = elbow.admin().metrics();
    for name in [
        "elbow_requests_total",
        "elbow_request_duration_seconds_bucket",
        "elbow_backend_latency_seconds_bucket",
        "elbow_connect_duration_seconds_bucket",
        "elbow_tls_handshake_duration_seconds_bucket",
        "elbow_connections_active",
        "elbow_connections_total",
        "elbow_received_bytes_total",
        "elbow_sent_bytes_total",
        "elbow_backend_connections_total",
        "elbow_backend_connection_errors_total",
        "elbow_surge_queue_length",
        "elbow_spillover_total",
        "elbow_healthy_instances",
        "elbow_unhealthy_instances",
        "elbow_instance_in_flight",
        "elbow_errors_total",
    ] {
        assert!(metrics.has(name), "{name} is missing");
    }
}

#[test]
fn status_shows_the_node_and_its_balancers() {
    let (backend, elbow, _client) = some_traffic();
    let status = elbow.admin().status();
    assert_eq!(status["node"]["pid"], elbow.process().id());
    assert_eq!(status["node"]["readiness"], "serving");
    assert!(!status["node"]["cores"].as_array().expect("cores").is_empty());
    let balancer = &status["load_balancers"][0];
    assert_eq!(balancer["name"], "web");
    let listener = &balancer["listeners"][0];
    assert_eq!(listener["protocol"], "HTTP");
    assert_eq!(listener["address"], elbow.address().to_string());
    assert_eq!(listener["connections_active"], 1);
    let instance = &balancer["instances"][0];
    assert_eq!(instance["address"], backend.address().to_string());
    assert_eq!((&instance["state"], &instance["reason_code"]), (&"InService".into(), &"N/A".into()));
    assert_eq!(instance["in_flight"], 0);
}

#[test]
fn the_histogram_log_is_read_by_the_tools_of_others() {
    let (_backend, elbow, _client) = some_traffic();
    let (status, log) = elbow.admin().get("/histograms.hlog");
    assert_eq!(status, 200);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), log).expect("a file");
    let counts = python(
        r#"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600 * 1000 * 1000 * 1000, 3))
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    print(histogram.get_total_count())
"#,
        &[file.path().to_str().expect("UTF-8")],
    );
    let counts: Vec<u64> = counts.lines().map(|line| line.parse().expect("a count")).collect();
    assert!(counts.contains(&15), "no histogram of 15 requests: {counts:?}");
}
