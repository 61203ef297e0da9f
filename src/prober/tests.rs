//! Probes of real sockets, on the runtime that the control thread uses.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::Prober;
use super::probe::{Outcome, probe as probe_by};
use crate::health::{Condition, Failure};
use crate::model::{Configuration, HealthCheck, Host, InstanceHttp, Interval, Threshold, Timeout};
use crate::registry::testing::{balancer, configuration, instance};
use crate::registry::{Lifecycle, Live, Probing, Registry};

/// Long enough for a busy machine, short enough for a failing test.
const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL_MS: u32 = 400;
const TIMEOUT_MS: u32 = 350;

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Two bad probes take an instance out, two good ones bring it back.
pub(super) fn check(target: &str, interval_ms: u32, timeout_ms: u32) -> HealthCheck {
    let target = target.parse().expect("a target");
    let (interval, timeout) = (Interval::of_ms(interval_ms), Timeout::of_ms(timeout_ms));
    HealthCheck::new(target, interval, timeout, Threshold::of(2), Threshold::of(2)).expect("a check")
}

/// How a load balancer probes whose listener asks instances on port 8080 in `http`.
pub(super) fn probing(check: &HealthCheck, http: InstanceHttp) -> Probing {
    let mut web = balancer("web", 80, Vec::new());
    web.listeners[0].instance_http = http;
    web.health_check = check.clone();
    let registry = Registry::new(&configuration(vec![web]), 1).expect("no addresses");
    registry.snapshot().load_balancers()[0].probing()
}

async fn probe(address: SocketAddr, check: &HealthCheck) -> Outcome {
    probe_by(address, &Host::Ip(address.ip()), &probing(check, InstanceHttp::Http1)).await
}

/// A back end on a port of its own. `serve` is told which connection it is, from 0.
pub(super) struct BackEnd {
    pub address: SocketAddr,
    connections: Rc<Cell<usize>>,
}

impl BackEnd {
    pub async fn serving<F: Future<Output = ()> + 'static>(serve: impl Fn(usize, TcpStream) -> F + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let connections = Rc::new(Cell::new(0));
        let counted = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.replace(counted.get() + 1);
                tokio::task::spawn_local(serve(number, stream));
            }
        });
        Self { address, connections }
    }

    /// Reads each request to its end and then sends `answer`.
    pub async fn answering(answer: impl Fn(usize) -> String + Clone + 'static) -> Self {
        Self::serving(move |number, mut stream| {
            let answer = answer(number);
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8(received).expect("ASCII")
}

/// One load balancer with these instances, each on its own address.
fn checked(check: HealthCheck, instances: &[(&str, SocketAddr)]) -> Configuration {
    let instances = instances.iter().map(|(id, address)| instance(id, &address.to_string())).collect();
    let mut web = balancer("web", 80, instances);
    web.health_check = check;
    configuration(vec![web])
}

fn live(registry: &Registry, id: &str) -> Arc<Live> {
    let snapshot = registry.snapshot();
    let mut instances = snapshot.instances();
    Arc::clone(&instances.find(|(_, entry)| entry.instance.id.as_str() == id).expect("registered").1.live)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Runs `scene` as the control thread would, and answers what was logged meanwhile.
pub(super) fn played(scene: impl Future<Output = ()>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || tokio_uring::start(scene));
    let lines = log.0.lock().expect("nobody panicked");
    String::from_utf8_lossy(&lines).into_owned()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn judged(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Judged(result) => result,
        Outcome::NotAsked(error) => panic!("not asked: {error}"),
    }
}

#[test]
fn what_instances_answer_and_what_is_made_of_it() {
    played(async {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
        for (answer, expected) in [
            (OK, Ok(())),
            ("HTTP/1.0 200 OK\r\n\r\nuntil the end", Ok(())),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Ok(())),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Ok(())),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Err(Failure::Status(404))),
            ("HTTP/1.1 204 No Content\r\n\r\n", Err(Failure::Status(204))),
            ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Err(Failure::Status(302))),
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Err(Failure::Status(503))),
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Err(Failure::Malformed)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Err(Failure::Malformed)),
            ("220 mail ready\r\n", Err(Failure::Malformed)),
            ("\0\x01\x02", Err(Failure::Malformed)),
            (&long, Err(Failure::Malformed)),
            (&many, Err(Failure::Malformed)),
            ("HTTP/1.1 200 OK\r\nContent-Le", Err(Failure::Closed)),
            ("", Err(Failure::Closed)),
        ] {
            let answer = answer.to_owned();
            let sent = answer.clone();
            let back_end = BackEnd::answering(move |_| sent.clone()).await;
            let check = check("HTTP:80/ping", 20_000, 10_000);
            assert_eq!(judged(probe(back_end.address, &check).await), expected, "{answer}");
        }
    });
}

#[test]
fn instances_that_are_slow_hang_or_are_not_there() {
    played(async {
        let http = check("HTTP:80/ping", INTERVAL_MS, TIMEOUT_MS);
        let tcp = check("TCP:80", INTERVAL_MS, TIMEOUT_MS);

        let slow = BackEnd::serving(|_, mut stream| async move {
            read_head(&mut stream).await;
            for piece in OK.as_bytes().chunks(7) {
                sleep(Duration::from_millis(5)).await;
                let _ = stream.write_all(piece).await;
            }
        })
        .await;
        assert_eq!(judged(probe(slow.address, &http).await), Ok(()), "slow, but in time");

        let dripping = BackEnd::serving(|_, mut stream| async move {
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert_eq!(judged(probe(dripping.address, &http).await), Err(Failure::AnswerTimeout), "never a final answer");

        let half_open = BackEnd::serving(|_, mut stream| async move {
            let _ = stream.shutdown().await;
            read_head(&mut stream).await;
            sleep(PATIENCE).await;
        })
        .await;
        assert_eq!(judged(probe(half_open.address, &http).await), Err(Failure::Closed), "half closed");

        let resetting = BackEnd::serving(|_, stream| async move {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
        })
        .await;
        assert_eq!(judged(probe(resetting.address, &http).await), Err(Failure::Closed), "reset");

        let frozen = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let frozen_address = frozen.local_addr().expect("bound");
        let begun = Instant::now();
        assert_eq!(judged(probe(frozen_address, &http).await), Err(Failure::AnswerTimeout), "nobody accepts");
        assert!(begun.elapsed() >= Duration::from_millis(TIMEOUT_MS.into()));
        assert_eq!(judged(probe(frozen_address, &tcp).await), Ok(()), "its kernel does");

        drop(frozen);
        assert_eq!(judged(probe(frozen_address, &tcp).await), Err(Failure::ConnectRefused));
        assert_eq!(judged(probe(frozen_address, &http).await), Err(Failure::ConnectRefused));
        let plain = BackEnd::serving(|_, mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            let _ = stream.read_buf(&mut Vec::new()).await;
        })
        .await;
        let silent = BackEnd::serving(|_, stream| async move {
            sleep(PATIENCE).await;
            drop(stream);
        })
        .await;
        for target in ["SSL:80", "HTTPS:80/"] {
            let tls = check(target, INTERVAL_MS, TIMEOUT_MS);
            assert_eq!(judged(probe(silent.address, &tls).await), Err(Failure::HandshakeTimeout), "{target}");
            assert_eq!(judged(probe(plain.address, &tls).await), Err(Failure::HandshakeFailed), "{target}");
        }
    });
}

#[test]
fn a_back_end_that_drops_what_is_sent_to_it_times_out_while_connecting() {
    played(async {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        socket.listen(0).expect("listening");
        let address = socket.local_addr().expect("bound").as_socket().expect("IPv4");
        // The queue of one is full after one or two; the kernel drops the handshakes that follow.
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            filling.push(stream);
            assert!(filling.len() < 10, "the queue never fills");
        }
        let outcome = probe(address, &check("TCP:80", INTERVAL_MS, TIMEOUT_MS)).await;
        assert_eq!(judged(outcome), Err(Failure::ConnectTimeout));
    });
}

#[test]
fn a_probe_asks_as_elb_does_and_hears_an_answer_to_its_end() {
    played(async {
        let (asked, ended) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(None)));
        let (asks, ends) = (Rc::clone(&asked), Rc::clone(&ended));
        let back_end = BackEnd::serving(move |_, mut stream| {
            let (asks, ends) = (Rc::clone(&asks), Rc::clone(&ends));
            async move {
                *asks.borrow_mut() = read_head(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
                sleep(Duration::from_millis(20)).await;
                let _ = stream.write_all(b"body late").await;
                let _ = stream.shutdown().await;
                ends.set(stream.read_u8().await.err().map(|error| error.kind()));
            }
        })
        .await;
        let check = check("HTTP:80/ping?from=elbow", 20_000, 10_000);
        assert_eq!(judged(probe(back_end.address, &check).await), Ok(()));
        let expected = format!(
            "GET /ping?from=elbow HTTP/1.1\r\nHost: {}\r\nUser-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            back_end.address
        );
        assert_eq!(*asked.borrow(), expected);
        until("the connection ends", || ended.get().is_some()).await;
        assert_eq!(ended.get(), Some(io::ErrorKind::UnexpectedEof), "closed, not reset");
    });
}

/// What [`states_follow_the_answers_exactly`] lets its back end answer, and the condition after each.
const SCRIPT: [(u16, Condition); 11] = [
    (200, Condition::InService),
    (500, Condition::InService),
    (200, Condition::InService),
    (404, Condition::InService),
    (500, Condition::Failed),
    (200, Condition::Recovering),
    (301, Condition::Failed),
    (200, Condition::Recovering),
    (200, Condition::InService),
    (503, Condition::InService),
    (503, Condition::Failed),
];

#[test]
fn states_follow_the_answers_exactly() {
    let log = played(async {
        let back_end = BackEnd::answering(|number| {
            let (status, _) = SCRIPT[number.min(SCRIPT.len() - 1)];
            format!("HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\n\r\n")
        })
        .await;
        let configuration = checked(check("HTTP:80/", INTERVAL_MS, TIMEOUT_MS), &[("a", back_end.address)]);
        let registry = Registry::new(&configuration, 1).expect("addresses only");
        let live = live(&registry, "a");
        let (prober, first_round) = Prober::new(&registry);
        assert_eq!(live.condition(), Condition::Registering);
        let begun = Instant::now();
        let running = tokio::task::spawn_local(prober.run());
        first_round.await.expect("probed");
        assert!(begun.elapsed() < Duration::from_millis(INTERVAL_MS.into()), "a new instance is probed at once");
        for (number, (_, condition)) in SCRIPT.into_iter().enumerate() {
            until("the next probe", || back_end.connections.get() > number).await;
            sleep(Duration::from_millis(u64::from(INTERVAL_MS) / 3)).await;
            assert_eq!((number, live.condition()), (number, condition));
        }
        assert!(begun.elapsed() >= Duration::from_millis(10 * u64::from(INTERVAL_MS)), "one probe an interval");
        registry.advance(Lifecycle::Stopped);
        timeout(PATIENCE, running).await.expect("it ends").expect("no panic");
    });
    let count = |text: &str| log.matches(text).count();
    assert_eq!(count("instance in service load_balancer=web instance=a\n"), 2, "{log}");
    assert_eq!(count("instance out of service load_balancer=web instance=a reason=status 500\n"), 1, "{log}");
    assert_eq!(count("instance out of service load_balancer=web instance=a reason=status 503\n"), 1, "{log}");
    assert_eq!(count("instance recovering"), 2, "{log}");
    assert_eq!(count("instance failing again load_balancer=web instance=a reason=status 301\n"), 1, "{log}");
    assert_eq!(count("INFO") + count("WARN"), 4, "{log}");
}

#[test]
fn connecting_counts_and_one_that_hangs_does_not_hold_up_the_others() {
    played(async {
        let good = BackEnd::answering(|_| OK.to_owned()).await;
        let hanging = BackEnd::serving(|_, stream| async move {
            sleep(PATIENCE).await;
            drop(stream);
        })
        .await;
        let gone = BackEnd::answering(|_| OK.to_owned()).await.address;
        let gone = SocketAddr::new(gone.ip(), unused_port(gone));
        let instances = [("good", good.address), ("hanging", hanging.address), ("gone", gone)];
        let configuration = checked(check("HTTP:80/", INTERVAL_MS, TIMEOUT_MS), &instances);
        let registry = Registry::new(&configuration, 3).expect("addresses only");
        tokio::task::spawn_local(Prober::new(&registry).0.run());
        let condition = |id| live(&registry, id).condition();
        until("the good one is in service", || condition("good") == Condition::InService).await;
        assert_ne!(condition("hanging"), Condition::Failed);
        until("the bad ones are out", || {
            condition("hanging") == Condition::Failed && condition("gone") == Condition::Failed
        })
        .await;
        assert_eq!(condition("good"), Condition::InService);
        assert!(live(&registry, "gone").control_cells().connection_errors.get() >= 2);
        assert_eq!(live(&registry, "hanging").control_cells().connection_errors.get(), 0);
        assert_eq!(live(&registry, "gone").in_flight(), 0, "probes are not traffic");
    });
}

/// A port of the same address that nobody listens on.
fn unused_port(beside: SocketAddr) -> u16 {
    let listener = std::net::TcpListener::bind((beside.ip(), 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn it_follows_what_is_registered_and_how_it_is_to_be_checked() {
    played(async {
        let (one, two) = (BackEnd::answering(|_| OK.to_owned()).await, BackEnd::answering(|_| OK.to_owned()).await);
        let slow = check("HTTP:80/", 300_000, 60_000);
        let registry = Registry::new(&checked(slow.clone(), &[("one", one.address)]), 1).expect("addresses only");
        let (prober, first_round) = Prober::new(&registry);
        let running = tokio::task::spawn_local(prober.run());
        first_round.await.expect("probed");
        let first = live(&registry, "one");

        registry.apply(&checked(slow.clone(), &[("one", one.address), ("two", two.address)])).expect("addresses only");
        until("the new one is in service", || live(&registry, "two").condition().is_in_service()).await;
        assert_eq!((one.connections.get(), two.connections.get()), (1, 1), "who is known keeps the old schedule");
        assert!(Arc::ptr_eq(&first, &live(&registry, "one")) && first.condition().is_in_service());

        let fast = check("HTTP:80/", INTERVAL_MS, TIMEOUT_MS);
        registry.apply(&checked(fast.clone(), &[("two", two.address)])).expect("addresses only");
        until("the new interval holds", || two.connections.get() >= 4).await;
        assert_eq!(one.connections.get(), 1, "who is gone is not probed");

        let moved = checked(fast, &[("two", one.address)]);
        registry.apply(&moved).expect("addresses only");
        assert_eq!(live(&registry, "two").condition(), Condition::Registering, "another machine by the same name");
        until("it is probed there", || live(&registry, "two").condition().is_in_service()).await;
        running.abort();
    });
}

#[test]
fn dropping_the_prober_closes_what_it_has_open() {
    played(async {
        let (held, closed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (holds, closes) = (Rc::clone(&held), Rc::clone(&closed));
        let back_end = BackEnd::serving(move |_, mut stream| {
            let (holds, closes) = (Rc::clone(&holds), Rc::clone(&closes));
            async move {
                read_head(&mut stream).await;
                holds.set(true);
                // Nothing more comes until the other side closes.
                let _ = stream.read_u8().await;
                closes.set(true);
            }
        })
        .await;
        let slow = check("HTTP:80/", 300_000, 60_000);
        let registry = Registry::new(&checked(slow, &[("a", back_end.address)]), 1).expect("addresses only");
        let running = tokio::task::spawn_local(Prober::new(&registry).0.run());
        until("a probe hangs", || held.get()).await;
        running.abort();
        until("it is closed", || closed.get()).await;
    });
}

#[test]
fn thousands_that_refuse_are_all_found_out_and_each_is_told_once() {
    const INSTANCES: usize = 3_000;
    let log = played(async {
        let port = unused_port((Ipv4Addr::LOCALHOST, 0).into());
        let address = |number: usize| Ipv4Addr::new(127, 7, (number / 250) as u8, (number % 250) as u8 + 1);
        let ids: Vec<_> = (0..INSTANCES).map(|number| format!("i-{number}")).collect();
        let instances: Vec<_> =
            ids.iter().enumerate().map(|(number, id)| (id.as_str(), (address(number), port).into())).collect();
        let registry = Registry::new(&checked(check("TCP:80", 2_000, 1_000), &instances), 1).expect("addresses only");
        let (prober, first_round) = Prober::new(&registry);
        tokio::task::spawn_local(prober.run());
        timeout(PATIENCE, first_round).await.expect("in time").expect("probed");
        let snapshot = registry.snapshot();
        until("all are out", || snapshot.instances().all(|(_, entry)| entry.live.condition() == Condition::Failed))
            .await;
    });
    assert_eq!(log.matches("instance out of service").count(), INSTANCES);
    assert_eq!(log.matches("reason=connection refused").count(), INSTANCES);
}
