//! Limits on callers, and the end.

use super::*;
use crate::control::api::testing::{CREATE, DESCRIBE, service, signed_headers};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Stream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;

/// A server on a thread of its own, in the runtime it has in the balancer. To publish takes it as long as `publishing`.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(limits: Limits, publishing: Duration) -> Self {
        let (bound, when_bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            tokio_uring::start(async move {
                let listener = ApiListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None).await.unwrap();
                bound.send(listener.local_address().unwrap()).unwrap();
                let service = service(Box::new(move |_| {
                    Box::pin(async move {
                        sleep(publishing).await;
                        Ok(())
                    })
                }));
                serve_within(limits, listener, service, async { drop(stopped.await) }).await;
            });
        });
        Self { address: when_bound.recv().unwrap(), stop, thread }
    }

    fn connect(&self) -> Stream {
        let stream = Stream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        begun.elapsed()
    }
}

/// A signed POST as bytes, with this `Content-Length`.
fn request(body: &str, length: usize) -> Vec<u8> {
    let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in &signed_headers("LOCALKEY", body) {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {length}\r\n\r\n{body}").as_bytes());
    bytes
}

fn whole(body: &str) -> Vec<u8> {
    request(body, body.len())
}

/// What comes until the server closes.
fn rest(mut stream: Stream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the connection was not closed"),
        Ok(_) | Err(_) => String::from_utf8(answer).unwrap(),
    }
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let server = Running::start(LIMITS, Duration::ZERO);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(&whole(DESCRIBE)).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"</DescribeLoadBalancersResponse>") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    server.stop();
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Running::start(Limits { body_time: Duration::from_millis(100), ..LIMITS }, Duration::ZERO);
    let mut stream = server.connect();
    stream.write_all(&request(DESCRIBE, DESCRIBE.len() + 1)).unwrap();
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    server.stop();
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_has_come() {
    let server = Running::start(Limits { body: DESCRIBE.len(), ..LIMITS }, Duration::ZERO);
    let mut stream = server.connect();
    stream.write_all(&request(DESCRIBE, 1 << 30)).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    drop(stream);
    let mut stream = server.connect();
    stream.write_all(&whole(DESCRIBE)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200", "a body of the largest size is taken");
    server.stop();
}

#[test]
fn silent_connections_are_cut_and_leave_room_for_others() {
    let limits = Limits { connections: 2, head_time: Duration::from_millis(100), ..LIMITS };
    let server = Running::start(limits, Duration::ZERO);
    let silent: Vec<Stream> = (0..4).map(|_| server.connect()).collect();
    (&silent[0]).write_all(b"POST / HTTP/1.1\r\nHo").unwrap();
    let mut stream = server.connect();
    stream.write_all(&whole(DESCRIBE)).unwrap();
    assert!(rest(stream).starts_with("HTTP/1.1 200 "), "and an idle connection is cut, too");
    for stream in silent {
        let answer = rest(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    server.stop();
}

#[test]
fn a_stop_lets_those_who_have_just_connected_ask() {
    let server = Running::start(LIMITS, Duration::ZERO);
    let (mut fresh, mut used) = (server.connect(), server.connect());
    used.write_all(&whole(DESCRIBE)).unwrap();
    used.read_exact(&mut [0; 12]).unwrap();
    server.stop.send(()).unwrap();
    // It is closed: the server knows.
    rest(used);
    fresh.write_all(&whole(DESCRIBE)).unwrap();
    let answer = rest(fresh);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.thread.join().unwrap();
}

#[test]
fn a_stop_lets_the_call_under_way_end() {
    let server = Running::start(LIMITS, Duration::from_millis(200));
    let mut stream = server.connect();
    stream.write_all(&whole(CREATE)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let address = server.address;
    let took = server.stop();
    assert!(took < LIMITS.end_time, "{took:?}");
    assert!(rest(stream).contains("<CreateLoadBalancerResult><DNSName>web-"));
    assert!(Stream::connect(address).is_err(), "no longer listening");
}
