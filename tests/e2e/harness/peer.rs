//! One end of a TCP connection in a test: sends exactly the bytes it is told, reads exactly what it asks for, keeps
//! everything it read.

use super::message::{Body, Head, Message};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long a test waits for a byte that must come.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other side finished sending.
    Closed,
    /// The other side broke off.
    Reset,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: Arc<TcpStream>,
    /// Received and not yet asked for.
    pending: Vec<u8>,
    /// All that was received.
    received: Vec<u8>,
}

impl Peer {
    /// Connects to `address`.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Peer {
        Peer::try_connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Peer> {
        Ok(Peer::from(TcpStream::connect_timeout(&address, PATIENCE)?))
    }

    /// Connects, says `bytes`.
    #[track_caller]
    pub fn connect_and_send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Peer {
        let mut peer = Peer::connect(address);
        peer.send(bytes);
        peer
    }

    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// How long a read may wait for the next byte.
    pub fn set_patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a read timeout");
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the other side takes what is sent");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        (&*self.stream).write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open connection");
    }

    /// Makes the end of this connection a reset: at once when it is dropped.
    pub fn reset_when_dropped(&self) {
        SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Breaks the connection off with a reset.
    pub fn reset(self) {
        self.reset_when_dropped();
    }

    /// All that was received so far.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// One read: false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 64 * 1_024];
        let length = loop {
            match (&*self.stream).read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.pending.extend_from_slice(&chunk[..length]);
        self.received.extend_from_slice(&chunk[..length]);
        Ok(length > 0)
    }

    fn fill_or_fail(&mut self) -> io::Result<()> {
        match self.fill()? {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a message")),
        }
    }

    fn try_read_through(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.pending[searched..].windows(mark.len()).position(|window| window == mark) {
                return Ok(self.pending.drain(..searched + at + mark.len()).collect());
            }
            searched = self.pending.len().saturating_sub(mark.len() - 1);
            self.fill_or_fail()?;
        }
    }

    pub fn try_read_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < length {
            self.fill_or_fail()?;
        }
        Ok(self.pending.drain(..length).collect())
    }

    /// Whatever is there or comes next; empty at the end. Not kept: a stream may be longer than memory.
    pub fn try_read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.pending.is_empty() {
            self.fill()?;
            self.received.clear();
        }
        Ok(std::mem::take(&mut self.pending))
    }

    /// The same connection for another thread, which begins with what is not yet received.
    pub fn another_handle(&self) -> Peer {
        Peer { stream: self.stream.clone(), pending: Vec::new(), received: Vec::new() }
    }

    #[track_caller]
    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        self.try_read_exact(length).unwrap_or_else(|error| panic!("{length} bytes: {error}; {}", self.transcript()))
    }

    /// The next head; `None` when the connection ends before its first byte.
    pub fn try_read_head(&mut self) -> io::Result<Option<Head>> {
        if self.pending.is_empty() && !self.fill()? {
            return Ok(None);
        }
        self.try_read_through(b"\r\n\r\n").map(|bytes| Some(Head::parse(bytes)))
    }

    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        match self.try_read_head() {
            Ok(Some(head)) => head,
            Ok(None) => panic!("closed instead of a head; {}", self.transcript()),
            Err(error) => panic!("no head: {error}; {}", self.transcript()),
        }
    }

    /// The body of a request, or of an answer that says how long it is.
    pub fn try_read_body(&mut self, head: &Head) -> io::Result<Body> {
        if head.is_chunked() {
            return self.try_read_chunked();
        }
        let bytes = self.try_read_exact(head.content_length().unwrap_or(0))?;
        Ok(Body { bytes, trailers: Vec::new() })
    }

    #[track_caller]
    pub fn read_body(&mut self, head: &Head) -> Body {
        self.try_read_body(head).unwrap_or_else(|error| panic!("no whole body: {error}; {}", self.transcript()))
    }

    fn try_read_chunked(&mut self) -> io::Result<Body> {
        let mut body = Body::default();
        loop {
            let line = self.try_read_through(b"\r\n")?;
            let size = std::str::from_utf8(&line).expect("ASCII").trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).unwrap_or_else(|error| panic!("chunk size {size:?}: {error}"));
            if size == 0 {
                break;
            }
            body.bytes.extend(self.try_read_exact(size)?);
            assert_eq!(self.try_read_exact(2)?, b"\r\n", "behind a chunk");
        }
        loop {
            let line = String::from_utf8(self.try_read_through(b"\r\n")?).expect("UTF-8");
            match line.trim_end().split_once(':') {
                Some((name, value)) => body.trailers.push((name.to_lowercase(), value.trim().into())),
                None => return Ok(body),
            }
        }
    }

    /// The next message that delimits itself: a request, or an answer to anything but HEAD.
    pub fn try_read_message(&mut self) -> io::Result<Option<Message>> {
        let Some(head) = self.try_read_head()? else { return Ok(None) };
        let body = self.try_read_body(&head)?;
        Ok(Some(Message { head, body }))
    }

    #[track_caller]
    pub fn read_message(&mut self) -> Message {
        let head = self.read_head();
        let body = self.read_body(&head);
        Message { head, body }
    }

    /// Sends a request, reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request);
        self.read_message()
    }

    /// Reads to the end of the connection: what came, and how it ended.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, Ending) {
        let ending = loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break Ending::Closed,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ending::Reset,
                Err(error) => panic!("neither bytes nor an end: {error}; {}", self.transcript()),
            }
        };
        (std::mem::take(&mut self.pending), ending)
    }

    /// Whether the connection is still open and nothing has come that was not read; does not wait.
    pub fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).expect("non-blocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// What was received, for messages.
    fn transcript(&self) -> String {
        let shown = &self.received[self.received.len().saturating_sub(2_000)..];
        format!("received {} bytes, at the end: {:?}", self.received.len(), String::from_utf8_lossy(shown))
    }
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Peer {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Peer { stream: Arc::new(stream), pending: Vec::new(), received: Vec::new() }
    }
}
