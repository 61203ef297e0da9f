//! A back end that does byte for byte what a test says, one thread per connection, and remembers what it saw.

use super::peer::Peer;
use super::{Message, eventually, free_listener};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a back end has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections, those of health probes included.
    pub connections: AtomicUsize,
    /// Connections that carried at least one request.
    pub used_connections: AtomicUsize,
    /// Whole requests, in order of arrival.
    pub requests: Mutex<Vec<Message>>,
    /// Requests being worked on now.
    pub in_flight: AtomicUsize,
}

/// A listening back end. Dropping it ends it: nobody listens any more, open connections are closed.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    seen: Arc<Seen>,
    stopping: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<Weak<TcpStream>>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Backend {
    /// Runs `script` for every connection, on its thread. A script ends by returning; its connection is then closed.
    pub fn start(script: impl Fn(&mut Peer, &Seen) -> io::Result<()> + Send + Sync + 'static) -> Backend {
        Backend::start_on(free_listener(), script)
    }

    /// As [`Backend::start`], at an address of the test's choice.
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&mut Peer, &Seen) -> io::Result<()> + Send + Sync + 'static,
    ) -> Backend {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("listen on {address}: {error}"));
        Backend::start_on(listener, script)
    }

    fn start_on(
        listener: TcpListener,
        script: impl Fn(&mut Peer, &Seen) -> io::Result<()> + Send + Sync + 'static,
    ) -> Backend {
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Seen> = Arc::default();
        let stopping: Arc<AtomicBool> = Arc::default();
        let open: Arc<Mutex<Vec<Weak<TcpStream>>>> = Arc::default();
        let accepting = {
            let (seen, stopping, open, script) = (seen.clone(), stopping.clone(), open.clone(), Arc::new(script));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    let peer = Peer::from(stream);
                    open.lock().expect("not poisoned").push(Arc::downgrade(peer.stream()));
                    let (seen, script) = (seen.clone(), script.clone());
                    std::thread::spawn(move || run(&*script, peer, &seen));
                }
            })
        };
        Backend { address, seen, stopping, open, accepting: Some(accepting) }
    }

    /// Answers every request, one after another on kept connections, with what `answer` makes of it.
    pub fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Backend {
        Backend::start(move |peer, seen| serve(peer, seen, &answer))
    }

    /// Answers every request with 200 and this text.
    pub fn saying(text: &str) -> Backend {
        let answer = answer_ok(text);
        Backend::answering(move |_| answer.clone())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How many whole requests came.
    pub fn request_count(&self) -> usize {
        self.seen.requests.lock().expect("not poisoned").len()
    }

    /// The only request that came, as soon as it has come.
    #[track_caller]
    pub fn only_request(&self) -> Message {
        let requests = eventually("a request at the back end", super::PATIENCE, || {
            let requests = self.seen.requests.lock().expect("not poisoned").clone();
            (!requests.is_empty()).then_some(requests)
        });
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.into_iter().next().expect("one")
    }

    /// Waits until this many requests are being worked on.
    #[track_caller]
    pub fn wait_in_flight(&self, count: usize) {
        eventually(&format!("{count} requests in flight"), super::PATIENCE, || {
            (self.seen.in_flight.load(Ordering::SeqCst) == count).then_some(())
        });
    }
}

fn run(script: &dyn Fn(&mut Peer, &Seen) -> io::Result<()>, mut peer: Peer, seen: &Seen) {
    // The load balancer may keep a connection for as long as it likes.
    peer.set_patience(Duration::from_secs(120));
    // An error is the other side's doing; what the test makes of it is what it saw.
    let _ = script(&mut peer, seen);
}

fn serve(peer: &mut Peer, seen: &Seen, answer: &dyn Fn(&Message) -> Vec<u8>) -> io::Result<()> {
    let mut first = true;
    while let Some(request) = peer.try_read_message()? {
        seen.used_connections.fetch_add(first.into(), Ordering::SeqCst);
        first = false;
        seen.requests.lock().expect("not poisoned").push(request.clone());
        seen.in_flight.fetch_add(1, Ordering::SeqCst);
        let sent = peer.try_send(answer(&request));
        seen.in_flight.fetch_sub(1, Ordering::SeqCst);
        sent?;
    }
    Ok(())
}

/// A plain 200 with a text.
pub fn answer_ok(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then closes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for stream in self.open.lock().expect("not poisoned").iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
