//! Serves the admin pages: accepts, limits, and ends.

use super::listener::AdminStream;
use super::routes::Pages;
use super::{AdminListener, AdminSource};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// After an accept fails for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much of the process the admin pages may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Connections served at once; more wait in the kernel's queue. Each may hold one page of some MB.
    connections: usize,
    /// For a request head to arrive.
    head: Duration,
    /// For a whole connection, which carries one request: who takes the answer slower than this is cut off.
    connection: Duration,
    /// For what is under way when the server is told to stop.
    stop: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(5),
    connection: Duration::from_secs(30),
    stop: Duration::from_secs(2),
};

/// Serves `source` on `listener` until `stop` is done, then lets requests under way end for up to two seconds.
///
/// Runs on a tokio current-thread runtime inside a `LocalSet`, such as that of `tokio_uring::start`. No client can
/// hold it up: every connection is a task of its own, its answer is formatted on another thread, and it has a
/// deadline. To report `draining` on `/readyz`, `stop` has to come after the drain.
pub async fn serve(listener: AdminListener, source: AdminSource, stop: impl Future<Output = ()>) {
    serve_within(LIMITS, listener, source, stop).await;
}

async fn serve_within(limits: Limits, listener: AdminListener, source: AdminSource, stop: impl Future<Output = ()>) {
    let pages = Rc::new(Pages::new(source));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok(stream) => {
                    connections.spawn_local(converse(limits, stream, Rc::clone(&pages)));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin address cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // What is left at the deadline is cut when the set is dropped.
    let _ = timeout(limits.stop, async { while connections.join_next().await.is_some() {} }).await;
}

async fn converse(limits: Limits, stream: AdminStream, pages: Rc<Pages>) {
    let service = service_fn(|request| {
        let pages = Rc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(limits.connection, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin connection failed"),
        Err(_) => tracing::debug!("admin client took its answer too slowly"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::admin::status::tests::example;
    use crate::control::admin::{Readiness, client};
    use crate::model::{AdminAddress, InstanceId, LoadBalancerName};
    use crate::telemetry::{InstanceReading, ListenerReading, LoadBalancerReading, PerCore, Reading};
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread::JoinHandle;
    use std::time::{Instant, SystemTime};
    use tokio::sync::oneshot;

    /// A server on a thread of its own, in the runtime it has in the balancer.
    struct Running {
        address: AdminAddress,
        draining: Arc<AtomicBool>,
        stop: Option<oneshot::Sender<()>>,
        thread: JoinHandle<()>,
    }

    impl Running {
        fn start(limits: Limits, address: AdminAddress, instances: usize) -> Self {
            let (bound, when_bound) = mpsc::channel();
            let (stop, stopped) = oneshot::channel::<()>();
            let draining = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&draining);
            let thread = std::thread::spawn(move || {
                tokio_uring::start(async move {
                    let listener = AdminListener::bind(&address).await.expect("bound");
                    let address = listener.local_address().map_or(address, AdminAddress::Tcp);
                    bound.send(address).expect("awaited");
                    let stop = async { drop(stopped.await) };
                    serve_within(limits, listener, source(seen, instances), stop).await;
                });
            });
            Self { address: when_bound.recv().expect("bound"), draining, stop: Some(stop), thread }
        }

        fn on_loopback(limits: Limits, instances: usize) -> Self {
            Self::start(limits, AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))), instances)
        }

        fn get(&self, path: &str) -> (u16, String) {
            let reply = client::get(&self.address, path).expect("a reply");
            (reply.status.as_u16(), String::from_utf8(reply.body.to_vec()).expect("UTF-8"))
        }

        fn connect(&self) -> TcpStream {
            let AdminAddress::Tcp(address) = self.address else { panic!("not TCP") };
            TcpStream::connect(address).expect("connected")
        }

        fn say(&self, request: &str) -> String {
            let mut stream = self.connect();
            stream.write_all(request.as_bytes()).expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("answered and closed");
            answer
        }

        fn stop(mut self) -> Duration {
            let began = Instant::now();
            drop(self.stop.take());
            self.thread.join().expect("ended");
            began.elapsed()
        }
    }

    fn source(draining: Arc<AtomicBool>, instances: usize) -> AdminSource {
        AdminSource {
            started: SystemTime::now(),
            readiness: Box::new(move || match draining.load(Ordering::Relaxed) {
                true => Readiness::Draining,
                false => Readiness::Serving,
            }),
            reading: Box::new(move || reading(instances)),
            status: Box::new(example),
            command: Box::new(|command| Box::pin(async move { Ok(format!("{command:?}\n")) })),
        }
    }

    fn reading(instances: usize) -> Reading {
        let listener = ListenerReading { port: 80, cells: Arc::new(PerCore::new(2)), certificates: Vec::new() };
        listener.cells.core(1).request_duration.record(Duration::from_millis(3));
        let instance = |number| InstanceReading {
            id: InstanceId::new(&format!("web-{number:0100}")).expect("an id"),
            cells: Arc::new(PerCore::new(2)),
            in_flight: 0,
            in_service: true,
        };
        Reading {
            load_balancers: vec![LoadBalancerReading {
                name: LoadBalancerName::new("web").expect("a name"),
                listeners: vec![listener],
                instances: (0..instances).map(instance).collect(),
                draining_instances: 0,
                ejected_instances: 0,
                ejections: Default::default(),
                newcomers: 0,
                access_log_lines_dropped: 0,
            }],
            ..Reading::default()
        }
    }

    #[test]
    fn every_page_answers() {
        let server = Running::on_loopback(LIMITS, 1);
        assert_eq!(server.get("/healthz"), (200, "ok\n".into()));
        assert_eq!(server.get("/readyz"), (200, "serving\n".into()));
        let (status, metrics) = server.get("/metrics?name=all");
        assert_eq!(status, 200);
        assert!(metrics.contains("elbow_request_duration_seconds_count{load_balancer=\"web\",listener=\"80\"} 1\n"));
        let (status, json) = server.get("/status");
        assert_eq!((status, serde_json::from_str(&json).ok()), (200, Some(example())));
        let (status, log) = server.get("/histograms.hlog");
        assert_eq!(status, 200);
        assert!(log.contains("\nTag=elbow_request_duration_seconds/web/80,0.000,"), "{log}");

        server.draining.store(true, Ordering::Relaxed);
        assert_eq!(server.get("/readyz"), (503, "draining\n".into()));
        assert_eq!(server.get("/healthz").0, 200);
        server.stop();
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let server = Running::on_loopback(LIMITS, 0);
        assert_eq!(server.get("/nothing").0, 404);
        assert_eq!(server.get("/healthz/").0, 404);
        let refused = server.say("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        assert!(refused.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{refused}");
        assert!(refused.contains("\r\nallow: GET\r\n"), "{refused}");
        let head = server.say("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 3"), "{head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        assert!(server.say("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
        server.stop();
    }

    #[test]
    fn commands_come_with_their_field_and_their_text() {
        let server = Running::on_loopback(LIMITS, 0);
        let told = client::post(&server.address, "/drain", "web/web-2").expect("a reply");
        assert_eq!((told.status.as_u16(), &told.body[..]), (200, &b"Drain(\"web/web-2\")\n"[..]));
        let told = client::post(&server.address, "/reload/plan", "").expect("a reply");
        assert_eq!(&told.body[..], b"Plan(None)\n");
        let foreign = server.say("POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
        assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
        assert_eq!(server.get("/reload").0, 405);
        server.stop();
    }

    #[test]
    fn a_unix_socket_serves_the_same_pages() {
        let directory = tempfile::tempdir().expect("a directory");
        let path: PathBuf = directory.path().join("admin.sock");
        let server = Running::start(LIMITS, AdminAddress::Unix(path.clone()), 0);
        assert_eq!(server.get("/readyz").0, 200);
        server.stop();
        assert!(!path.exists());
    }

    #[test]
    fn clients_that_do_not_read_hold_up_nobody() {
        const SLOW: usize = 20;
        let server = Running::on_loopback(LIMITS, 1_000);
        let slow: Vec<TcpStream> = (0..SLOW)
            .map(|_| {
                let mut stream = server.connect();
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
                stream
            })
            .collect();
        assert_eq!(server.get("/healthz").0, 200);
        let (status, metrics) = server.get("/metrics");
        assert_eq!(status, 200);
        assert!(metrics.len() > 8 << 20, "larger than any socket buffer: {}", metrics.len());

        let mut late = String::new();
        (&slow[0]).read_to_string(&mut late).expect("the whole answer, late");
        assert!(late.ends_with(&metrics), "nothing was lost while it waited");
        drop(slow);
        server.stop();
    }

    #[test]
    fn silent_connections_are_cut_and_leave_room_for_others() {
        let limits = Limits { connections: 2, head: Duration::from_millis(100), ..LIMITS };
        let server = Running::on_loopback(limits, 0);
        let mut silent: Vec<TcpStream> = (0..4).map(|_| server.connect()).collect();
        silent[0].write_all(b"GET /healthz HTTP/1.1\r\nHo").expect("sent");
        assert_eq!(server.get("/healthz").0, 200);
        for stream in &mut silent {
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
            assert!(
                !matches!(stream.read_to_end(&mut Vec::new()), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            );
        }
        server.stop();
    }

    #[test]
    fn a_client_that_takes_its_answer_too_slowly_is_cut_off() {
        let limits = Limits { connection: Duration::from_millis(300), ..LIMITS };
        let server = Running::on_loopback(limits, 1_000);
        let mut slow = server.connect();
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        std::thread::sleep(Duration::from_secs(1));
        let mut answer = Vec::new();
        let _ = slow.read_to_end(&mut answer);
        assert!(answer.len() < 8 << 20, "only what the kernel held: {}", answer.len());
        assert_eq!(server.get("/healthz").0, 200);
        server.stop();
    }

    #[test]
    fn a_stop_ends_requests_under_way_and_waits_no_longer_than_its_limit() {
        let limits = Limits { stop: Duration::from_millis(200), ..LIMITS };
        let server = Running::on_loopback(limits, 1_000);
        let mut stuck = server.connect();
        stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        stuck.read_exact(&mut [0; 16]).expect("under way");
        let AdminAddress::Tcp(address) = server.address.clone() else { panic!("not TCP") };
        let took = server.stop();
        assert!((Duration::from_millis(150)..Duration::from_secs(2)).contains(&took), "{took:?}");
        assert!(TcpStream::connect(address).is_err(), "no longer listening");
    }

    #[test]
    fn what_another_server_says_is_no_answer_of_a_balancer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = AdminAddress::Tcp(listener.local_addr().expect("bound"));
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("sent");
        });
        let error = client::post(&address, "/drain", "web/web-2").expect_err("not a balancer");
        assert!(error.to_string().ends_with("is no balancer's admin address (200 OK)"), "{error}");
        other.join().expect("ended");
    }

    #[test]
    fn a_balancer_that_is_not_there_is_named() {
        let address = AdminAddress::Unix("/nonexistent/elbow.sock".into());
        let error = client::get(&address, "/status").expect_err("nobody there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("admin address unix:/nonexistent/elbow.sock, /status: "), "{error}");
        assert!(error.to_string().ends_with(": no balancer listens there"), "{error}");
    }
}
