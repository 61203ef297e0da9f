//! Desync mitigation in the data path: what each mode does with requests that two servers may read in two ways.

use crate::harness::{Backend, Balancer, Elbow, Peer};

const COMPLIANT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A length that says nothing, on a GET.
const ACCEPTABLE: &str = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
/// A body on a GET.
const AMBIGUOUS: &str = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
/// Two lengths.
const SEVERE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";

fn start(backend: &Backend, mode: &str) -> Elbow {
    Balancer::http([backend.address()]).attribute(&format!("desync_mitigation = {mode:?}")).start()
}

fn counted(elbow: &Elbow, class: &str) -> f64 {
    elbow.admin().metrics().sum("elbow_desync_requests_total", &[("class", class)])
}

/// The status of the answer to `request`, and whether the connection may carry another.
fn asked(elbow: &Elbow, request: &str) -> (u16, bool) {
    let mut client = Peer::connect(elbow.address());
    let answer = client.ask(request);
    (answer.status(), answer.head.get("connection") != Some("close"))
}

#[test]
fn each_mode_lets_pass_what_it_should() {
    let backend = Backend::saying("ok");
    for (mode, acceptable, ambiguous) in [
        ("monitor", (200, true), (200, true)),
        ("defensive", (200, true), (200, false)),
        ("strictest", (400, false), (400, false)),
    ] {
        let elbow = start(&backend, mode);
        assert_eq!(asked(&elbow, COMPLIANT), (200, true), "{mode}");
        assert_eq!(asked(&elbow, ACCEPTABLE), acceptable, "{mode}");
        assert_eq!(asked(&elbow, AMBIGUOUS), ambiguous, "{mode}");
        assert_eq!(asked(&elbow, SEVERE), (400, false), "{mode}: there is no one way to read it");
        let counts = ["acceptable", "ambiguous", "severe"].map(|class| counted(&elbow, class));
        assert_eq!(counts, [1.0, 1.0, 1.0], "{mode}");
        let blocked = elbow.admin().metrics().sum("elbow_errors_total", &[("reason", "desync_blocked")]);
        assert_eq!(blocked, if mode == "strictest" { 2.0 } else { 0.0 }, "{mode}");
    }
}

#[test]
fn the_instances_connection_is_not_used_again_behind_an_ambiguous_request() {
    let backend = Backend::saying("ok");
    let elbow = start(&backend, "defensive");
    let reused = |expected: f64| {
        let reused = elbow.admin().metrics().sum("elbow_backend_connections_total", &[("reused", "true")]);
        assert_eq!(reused, expected);
    };
    let elbow_cores = std::thread::available_parallelism().map_or(1, usize::from);
    // As many as find every core's kept connection.
    (0..elbow_cores * 20).for_each(|_| assert_eq!(asked(&elbow, AMBIGUOUS).0, 200));
    reused(0.0);
}
