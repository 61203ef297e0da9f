//! Clients that ask one request after another on kept connections until told to stop, and account for every request.

use super::peer::Peer;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Running clients.
#[derive(Debug)]
pub struct Load {
    stopping: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Report>>,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Report {
    /// Answered with 200, and with a whole body.
    pub good: usize,
    /// Every other end of a request that had been sent: a status, or an error.
    pub failures: Vec<String>,
    /// Connections that the balancer closed between two requests, which is its right.
    pub closed_idle: usize,
    /// Attempts to connect that were refused or reset before anything was sent.
    pub refused: usize,
    /// The longest time a good answer took.
    pub slowest: Duration,
}

impl Load {
    /// Starts this many clients, each sending `request` over and over.
    pub fn start(address: SocketAddr, clients: usize, request: impl Into<String>) -> Load {
        let (stopping, answered): (Arc<AtomicBool>, Arc<AtomicUsize>) = Default::default();
        let request: Arc<str> = request.into().into();
        let clients = (0..clients)
            .map(|_| {
                let (stopping, answered, request) = (stopping.clone(), answered.clone(), request.clone());
                std::thread::spawn(move || run_client(address, &request, &stopping, &answered))
            })
            .collect();
        Load { stopping, answered, clients }
    }

    /// Good answers so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more good answers have come.
    #[track_caller]
    pub fn wait_for_more(&self, count: usize) {
        let wanted = self.answered() + count;
        super::eventually(&format!("{count} more answers"), super::PATIENCE, || {
            (self.answered() >= wanted).then_some(())
        });
    }

    /// Lets every client finish the request it is at.
    pub fn stop(self) -> Report {
        self.stopping.store(true, Ordering::SeqCst);
        let mut total = Report::default();
        for client in self.clients {
            let report = client.join().expect("a client that does not panic");
            total.good += report.good;
            total.failures.extend(report.failures);
            total.closed_idle += report.closed_idle;
            total.refused += report.refused;
            total.slowest = total.slowest.max(report.slowest);
        }
        total
    }
}

fn run_client(address: SocketAddr, request: &str, stopping: &AtomicBool, answered: &AtomicUsize) -> Report {
    let mut report = Report::default();
    let mut connection: Option<Peer> = None;
    while !stopping.load(Ordering::SeqCst) {
        let Some(mut peer) = connection.take().or_else(|| Peer::try_connect(address).ok()) else {
            report.refused += 1;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        if !peer.is_silent() {
            report.closed_idle += 1;
            continue;
        }
        let started = Instant::now();
        match ask(&mut peer, request) {
            Ok((200, keep)) => {
                report.good += 1;
                report.slowest = report.slowest.max(started.elapsed());
                answered.fetch_add(1, Ordering::Relaxed);
                connection = keep.then_some(peer);
            }
            Ok((status, keep)) => {
                report.failures.push(format!("status {status} after {:?}", started.elapsed()));
                connection = keep.then_some(peer);
            }
            Err(error) => {
                let received = peer.received().len();
                report.failures.push(format!("{error} after {:?}, {received} bytes", started.elapsed()));
            }
        }
    }
    report
}

/// Status of the answer, and whether the connection may be kept.
fn ask(peer: &mut Peer, request: &str) -> io::Result<(u16, bool)> {
    peer.try_send(request)?;
    let answer = peer.try_read_message()?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let keep = answer.head.get("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    Ok((answer.status(), keep))
}
