//! The ELB Query API of the real binary: its changes hold on every core when a call returns, and survive any crash.

mod access;
mod audit;
mod crash;
mod handover;
mod installation;
mod registrations;
mod scenarios;
mod upgrade;

use crate::harness::{Authority, Backend, PATIENCE, Peer, eventually, free_address, python};
use installation::{Client, Installation, KEY, SECRET, texts};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Fresh connections: enough that every core gets some.
const CONNECTIONS: usize = 100;

/// The answers to a request on each of many fresh connections, without doubles.
fn answers(address: SocketAddr) -> Vec<(u16, String)> {
    let ask = |_| {
        let answer = Peer::connect(address).ask(GET);
        (answer.status(), answer.text().to_owned())
    };
    let mut answers: Vec<(u16, String)> = (0..CONNECTIONS).map(ask).collect();
    answers.sort();
    answers.dedup();
    answers
}

/// Creates a load balancer without instances that listens at `address`.
fn create(client: &mut Client, name: &str, address: SocketAddr) {
    let (ip, port) = (address.ip(), address.port());
    client.call(
        "CreateLoadBalancer",
        &format!(
            "LoadBalancerName={name}&AvailabilityZones.member.1=default&Listeners.member.1.Protocol=HTTP\
             &Listeners.member.1.LoadBalancerPort={port}&Listeners.member.1.InstancePort=1\
             &Tags.member.1.Key=elbow:address&Tags.member.1.Value={ip}"
        ),
    );
}

fn instances(load_balancer: &str, ids: &[SocketAddr]) -> String {
    let mut parameters = format!("LoadBalancerName={load_balancer}");
    for (index, id) in ids.iter().enumerate() {
        parameters.push_str(&format!("&Instances.member.{}.InstanceId={id}", index + 1));
    }
    parameters
}

#[test]
fn a_change_holds_on_every_core_when_its_call_returns() {
    let (one, two) = (Backend::saying("one"), Backend::saying("two"));
    let ok = |text: &str| (200, text.to_owned());
    let installation = Installation::new("");
    let mut elbow = installation.start();
    let mut client = installation.client();
    let address = free_address();

    create(&mut client, "web", address);
    let statuses: Vec<u16> = answers(address).into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [503], "it accepts on every core");

    client.call("RegisterInstancesWithLoadBalancer", &instances("web", &[one.address(), two.address()]));
    let registered = Instant::now();
    eventually("both instances in service", Duration::from_secs(10), || {
        let health = client.call("DescribeInstanceHealth", "LoadBalancerName=web");
        (texts(&health, "State") == ["InService", "InService"]).then_some(())
    });
    assert!(registered.elapsed() < Duration::from_secs(5), "it was probed before its interval was over");
    assert_eq!(answers(address), [ok("one"), ok("two")]);

    let mut kept: Vec<Peer> = (0..CONNECTIONS).map(|_| Peer::connect(address)).collect();
    kept.iter_mut().for_each(|peer| assert_eq!(peer.ask(GET).status(), 200));
    client.call("DeregisterInstancesFromLoadBalancer", &instances("web", &[one.address()]));
    let before = one.request_count();
    assert_eq!(answers(address), [ok("two")]);
    kept.iter_mut().for_each(|peer| assert_eq!(peer.ask(GET).text(), "two"));
    assert_eq!(one.request_count(), before, "a request came after the call had returned");

    elbow.signal(Signal::SIGTERM);
    assert!(elbow.wait_exit(Duration::from_secs(20)).success());
    let elbow = installation.start();
    elbow.admin().wait_in_service();
    assert_eq!(answers(address), [ok("two")], "it is there again after a restart");

    client = installation.client();
    client.call("DeleteLoadBalancer", "LoadBalancerName=web");
    eventually("nobody listens any more", Duration::from_secs(5), || Peer::try_connect(address).is_err().then_some(()));
    drop(elbow);
}

#[test]
fn a_listener_that_was_deleted_can_be_made_again_at_once() {
    let installation = Installation::new("");
    let _elbow = installation.start();
    let mut client = installation.client();
    let address = free_address();
    create(&mut client, "web", address);
    let port = address.port();
    for _ in 0..10 {
        client.call("DeleteLoadBalancerListeners", &format!("LoadBalancerName=web&LoadBalancerPorts.member.1={port}"));
        let listener =
            format!("Protocol=HTTP&Listeners.member.1.LoadBalancerPort={port}&Listeners.member.1.InstancePort=1");
        let parameters = format!("LoadBalancerName=web&Listeners.member.1.{listener}");
        client.call("CreateLoadBalancerListeners", &parameters);
        assert_eq!(Peer::connect(address).ask(GET).status(), 503);
    }
}

#[test]
fn every_operation_by_botocore() {
    let authority = Authority::new();
    let certificate = authority.issue("shop", "shop.example", &rcgen::PKCS_ECDSA_P256_SHA256);
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let (backend, address) = (Backend::saying("shop"), free_address());
    let installation = Installation::new(&format!(
        r#"
[inventory.certificates.shop]
chain = "{chain}"
key = "{key}"
[inventory.instances.web-9]
address = "{}"
[inventory.subnets.subnet-a]
zone = "default"
[inventory.subnets.subnet-b]
zone = "rack-b"
"#,
        backend.address()
    ));
    let _elbow = installation.start();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let program = include_str!("every_operation.py");
    let said = python(program, &[&installation.endpoint(), KEY, SECRET, &ip, &port, &authority.path()]);
    assert_eq!(said.trim(), "29 operations");
}

#[test]
fn what_cloudwatch_counts_is_where_the_page_says() {
    let page = include_str!("../../../src/control/api/COMING_FROM_ELB.md");
    let table = page.split("\n## Metrics").nth(1).expect("a section");
    let names = table.split(|char: char| !(char.is_ascii_lowercase() || char == '_'));
    let named: BTreeSet<&str> = names.filter(|word| word.starts_with("elbow_")).collect();
    assert!(named.len() > 10, "{named:?}");
    let backend = Backend::saying("ok");
    let installation = Installation::new("");
    let elbow = installation.start();
    let mut client = installation.client();
    let address = free_address();
    create(&mut client, "web", address);
    assert_eq!(Peer::connect(address).ask(GET).status(), 503);
    client.call("RegisterInstancesWithLoadBalancer", &instances("web", &[backend.address()]));
    elbow.admin().wait_in_service();
    assert_eq!(Peer::connect(address).ask(GET).status(), 200);

    let (_, text) = elbow.admin().get("/metrics");
    for name in named {
        assert!(text.contains(&format!("\n# TYPE {name} ")) || text.starts_with(&format!("# HELP {name} ")), "{name}");
    }
    for (name, labels) in [
        ("elbow_requests_total", &[("source", "backend"), ("code", "2xx")][..]),
        ("elbow_requests_total", &[("source", "elbow"), ("code", "5xx")]),
        ("elbow_backend_latency_seconds_count", &[]),
        ("elbow_healthy_instances", &[]),
    ] {
        let labels = [&[("load_balancer", "web")], labels].concat();
        elbow.admin().wait_metric(name, &labels, |value| value == 1.0);
    }
}

/// Ends clients when the test does, whatever its end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Asks until it is over; each request's path is the number of the epoch in which it began.
fn ask_on(address: SocketAddr, keeps: bool, epoch: &AtomicUsize, over: &AtomicBool) {
    let end = if keeps { "" } else { "Connection: close\r\n" };
    let mut kept: Option<Peer> = None;
    while !over.load(Ordering::SeqCst) {
        let Some(mut peer) = kept.take().or_else(|| Peer::try_connect(address).ok()) else { continue };
        let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n{end}\r\n", epoch.load(Ordering::SeqCst));
        // What is under way on an instance that leaves may be cut: draining is off.
        let answered = peer.try_send(request).and_then(|()| peer.try_read_message());
        kept = answered.ok().flatten().filter(|_| keeps).map(|_| peer);
    }
}

/// In which epochs the requests began that an instance has seen.
fn epochs(backend: &Backend) -> Vec<usize> {
    let requests = backend.seen().requests.lock().expect("not poisoned");
    requests.iter().map(|request| request.head.target()[1..].parse().expect("a number")).collect()
}

#[test]
fn a_deregistered_instance_gets_nothing_more_whatever_goes_on() {
    const ROUNDS: usize = 20;
    let (stays, leaves) = (Backend::saying("stays"), Backend::saying("leaves"));
    let installation = Installation::new("");
    let elbow = installation.start();
    let mut client = installation.client();
    let address = free_address();
    create(&mut client, "web", address);
    client.call("RegisterInstancesWithLoadBalancer", &instances("web", &[stays.address()]));
    elbow.admin().wait_in_service();
    let (epoch, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _over = Over(&over);
        // Some keep their connections, and so do the connections behind them; some do not.
        for keeps in [true, true, true, false, false] {
            let (epoch, over) = (&epoch, &over);
            scope.spawn(move || ask_on(address, keeps, epoch, over));
        }
        for round in 1..=ROUNDS {
            let has_begun = |backend: &Backend| epochs(backend).into_iter().filter(|begun| *begun >= round).count();
            client.call("RegisterInstancesWithLoadBalancer", &instances("web", &[leaves.address()]));
            let before = leaves.request_count();
            eventually("its first request", PATIENCE, || (leaves.request_count() > before).then_some(()));
            client.call("DeregisterInstancesFromLoadBalancer", &instances("web", &[leaves.address()]));
            epoch.store(round, Ordering::SeqCst);
            eventually("requests of this epoch", PATIENCE, || (has_begun(&stays) >= 50).then_some(()));
            assert_eq!(has_begun(&leaves), 0, "round {round}");
        }
    });
}

#[test]
fn a_reload_of_the_file_leaves_what_was_made_by_calls() {
    let backend = Backend::saying("ok");
    let of_file = |port: u16| {
        format!(
            "[load_balancers.of-file]\nlisteners = [{{ protocol = \"HTTP\", address = \"127.0.0.1\", port = {port}, \
             instance_port = 1 }}]\ninstances = [\"{}\"]\n[load_balancers.of-file.health_check]\ninterval = 1\n",
            backend.address()
        )
    };
    let (first, second, made) = (free_address(), free_address(), free_address());
    let ports = [first, second].map(|address| SocketAddr::from(([127, 0, 0, 1], address.port())));
    let installation = Installation::new(&of_file(first.port()));
    let elbow = installation.start();
    let mut client = installation.client();
    create(&mut client, "made", made);
    assert_eq!(Peer::connect(made).ask(GET).status(), 503);
    elbow.admin().wait_in_service();

    installation.write(&of_file(second.port()));
    elbow.signal(Signal::SIGHUP);
    elbow.admin().wait_metric("elbow_reloads_total", &[("result", "applied")], |count| count == 1.0);
    assert_eq!(Peer::connect(ports[1]).ask(GET).text(), "ok");
    assert_eq!(Peer::connect(made).ask(GET).status(), 503, "it is still there");
    eventually("the old one is gone", Duration::from_secs(5), || Peer::try_connect(ports[0]).is_err().then_some(()));

    create(&mut client, "another", free_address());
    assert_eq!(Peer::connect(ports[1]).ask(GET).text(), "ok", "calls build on the file as it is now");
}
