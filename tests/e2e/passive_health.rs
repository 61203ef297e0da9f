//! Instances that fail the requests they are given are left out for a growing while, whatever probes say, and never so
//! many that nobody is left.

use crate::harness::{Backend, Balancer, Elbow, PATIENCE, Peer, answer_ok, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers 200 while it is well, and 500 otherwise; a probe that only connects finds nothing wrong either way.
struct Moody {
    backend: Backend,
    is_well: Arc<AtomicBool>,
}

impl Moody {
    fn start() -> Moody {
        let is_well = Arc::new(AtomicBool::new(true));
        let well = is_well.clone();
        let backend = Backend::answering(move |_| match well.load(Ordering::SeqCst) {
            true => answer_ok("moody"),
            false => b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n".to_vec(),
        });
        Moody { backend, is_well }
    }

    fn be(&self, well: bool) {
        self.is_well.store(well, Ordering::SeqCst);
    }
}

fn detecting(settings: &str) -> String {
    format!("outlier_detection = {{ {settings} }}\nrouting = \"round_robin\"")
}

/// The statuses of so many answers, each on a connection of its own so that every core is asked.
fn statuses(elbow: &Elbow, count: usize) -> Vec<u16> {
    (0..count).map(|_| Peer::connect(elbow.address()).ask(GET).status()).collect()
}

fn wait_ejected(elbow: &Elbow, count: f64) {
    elbow.admin().wait_metric("elbow_ejected_instances", &[], |ejected| ejected == count);
}

#[test]
fn an_instance_that_answers_5xx_is_left_out_and_comes_back() {
    let (moody, steady) = (Moody::start(), Backend::saying("steady"));
    let elbow = Balancer::http([moody.backend.address(), steady.address()])
        .attribute(&detecting("consecutive_5xx = 3, base_ejection_time = 2"))
        .start();
    assert!(statuses(&elbow, 20).iter().all(|status| *status == 200));
    moody.be(false);
    let failed = statuses(&elbow, 40).iter().filter(|status| **status == 500).count();
    assert_eq!(failed, 3, "as many as it takes, and not one more");
    let ejected_at = Instant::now();
    assert_eq!(elbow.admin().metrics().sum("elbow_ejections_total", &[("reason", "consecutive_5xx")]), 1.0);
    let status = elbow.admin().status();
    let instance = &status["load_balancers"][0]["instances"][0];
    assert_eq!((&instance["state"], &instance["reason_code"]), (&"OutOfService".into(), &"Instance".into()));
    assert!(instance["description"].as_str().expect("text").contains("consecutive_5xx"), "{instance}");
    assert_eq!(elbow.admin().metrics().sum("elbow_unhealthy_instances", &[]), 1.0);
    moody.be(true);
    elbow.admin().wait_in_service();
    let away = ejected_at.elapsed();
    assert!((Duration::from_millis(1_500)..Duration::from_secs(5)).contains(&away), "{away:?}");
    let before = moody.backend.request_count();
    assert!(statuses(&elbow, 20).iter().all(|status| *status == 200));
    let share = moody.backend.request_count() - before;
    assert!((8..=12).contains(&share), "each core takes turns by itself: {share}");
    let said = |words: &str| elbow.log().iter().any(|line| line.contains(words));
    eventually("the log says so", PATIENCE, || {
        (said("instance ejected") && said("instance no longer ejected")).then_some(())
    });
}

#[test]
fn the_second_time_takes_longer() {
    let (moody, steady) = (Moody::start(), Backend::saying("steady"));
    let elbow = Balancer::http([moody.backend.address(), steady.address()])
        .attribute(&detecting("consecutive_5xx = 2, base_ejection_time = 1"))
        .start();
    moody.be(false);
    let mut times = Vec::new();
    for _ in 0..2 {
        eventually("it is ejected", PATIENCE, || {
            statuses(&elbow, 2);
            (elbow.admin().metrics().sum("elbow_ejected_instances", &[]) == 1.0).then_some(())
        });
        let since = Instant::now();
        wait_ejected(&elbow, 0.0);
        times.push(since.elapsed());
    }
    assert!(times[1] > times[0] + Duration::from_millis(500), "{times:?}");
}

#[test]
fn an_instance_that_refuses_connections_is_left_out_before_any_probe_notices() {
    let (dead, steady) = (Backend::saying("dead"), Backend::saying("steady"));
    let elbow = Balancer::http([dead.address(), steady.address()])
        .attribute(&detecting("consecutive_connect_failures = 2, base_ejection_time = 30"))
        .start();
    drop(dead);
    // After one failure a core asks the instance again only when a second has passed.
    eventually("it is ejected", PATIENCE, || {
        assert!(statuses(&elbow, 4).iter().all(|status| *status == 200), "another is asked");
        (elbow.admin().metrics().sum("elbow_ejected_instances", &[]) == 1.0).then_some(())
    });
    let reason = [("reason", "consecutive_connect_failures")];
    assert_eq!(elbow.admin().metrics().sum("elbow_ejections_total", &reason), 1.0);
    assert!(elbow.admin().metrics().sum("elbow_retries_total", &[]) >= 2.0);
}

#[test]
fn as_many_as_may_be_are_left_out_and_the_last_answers_on() {
    let moody: Vec<Moody> = (0..3).map(|_| Moody::start()).collect();
    let elbow = Balancer::http(moody.iter().map(|moody| moody.backend.address()))
        .attribute(&detecting("consecutive_5xx = 2, base_ejection_time = 30, max_ejection_percent = 100"))
        .start();
    moody.iter().for_each(|moody| moody.be(false));
    assert!(statuses(&elbow, 30).iter().all(|status| *status == 500), "their own answers, none of ours");
    assert_eq!(elbow.admin().metrics().sum("elbow_ejected_instances", &[]), 2.0);
    assert_eq!(elbow.admin().metrics().sum("elbow_healthy_instances", &[]), 1.0);
}

#[test]
fn nobody_is_ejected_unless_the_file_says_so() {
    let (moody, steady) = (Moody::start(), Backend::saying("steady"));
    moody.be(false);
    let elbow =
        Balancer::http([moody.backend.address(), steady.address()]).attribute("routing = \"round_robin\"").start();
    let failed = statuses(&elbow, 40).iter().filter(|status| **status == 500).count();
    assert_eq!(failed, 20);
    assert_eq!(elbow.admin().metrics().sum("elbow_ejected_instances", &[]), 0.0);
}

#[test]
fn a_client_bound_to_an_ejected_instance_goes_to_another_and_stays_there() {
    let (moody, steady) = (Moody::start(), Backend::saying("steady"));
    let policy = "[load_balancers.web.policies.sticky]\ntype = \"LBCookieStickinessPolicyType\"";
    let elbow = Balancer::http([moody.backend.address(), steady.address()])
        .attribute(&detecting("consecutive_5xx = 2, base_ejection_time = 1"))
        .listener("policies = [\"sticky\"]")
        .tables(policy)
        .start();
    let ask = |cookie: &str| {
        let answer =
            Peer::connect(elbow.address()).ask(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
        let set = answer.head.all("set-cookie").first().and_then(|set| set.split(';').next()).map(str::to_owned);
        (answer.status(), answer.text().to_owned(), set)
    };
    let cookie = eventually("a bond to the moody one", PATIENCE, || {
        let (_, text, set) = ask("none=1");
        (text == "moody").then_some(set).flatten()
    });
    moody.be(false);
    assert_eq!([ask(&cookie).0, ask(&cookie).0], [500, 500]);
    let (status, text, moved) = ask(&cookie);
    assert_eq!((status, text.as_str()), (200, "steady"));
    moody.be(true);
    wait_ejected(&elbow, 0.0);
    let (_, text, set) = ask(&moved.expect("a new bond"));
    assert_eq!((text.as_str(), set), ("steady", None));
}
