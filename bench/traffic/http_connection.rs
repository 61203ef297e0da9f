//! One HTTP/1.1 connection of a client: a request at a time, answers with a known length.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use memchr::memmem;
use socket2::{Domain, Protocol, Socket, Type};

const HEADERS_MAX: usize = 64;

/// A connection and the request it waits for, if any.
pub struct HttpConnection {
    stream: TcpStream,
    connecting: bool,
    received: Vec<u8>,
    expected: Option<Answer>,
    due: Option<Instant>,
}

/// The head of an answer and the size of it all.
#[derive(Clone, Copy)]
pub struct Answer {
    pub status: u16,
    pub keep_alive: bool,
    length: usize,
}

/// What reading from a connection led to.
pub enum Progress {
    Partial,
    Answered(Answer),
    /// The peer ended or reset the connection, or did not speak HTTP.
    Ended,
}

impl HttpConnection {
    /// Begins to connect; the stream turns writable when that has succeeded or failed.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        Ok(Self {
            stream: socket.into(),
            connecting: true,
            received: Vec::with_capacity(1024),
            expected: None,
            due: None,
        })
    }

    pub fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Takes the outcome of connecting and sends the request that waited for it.
    pub fn finish_connecting(&mut self, request: &[u8]) -> io::Result<()> {
        self.connecting = false;
        match (self.stream.take_error()?, self.due) {
            (Some(error), _) => Err(error),
            (None, Some(_)) => self.stream.write_all(request),
            (None, None) => Ok(()),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// When the request that is under way was due.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Sends a request, or keeps it until the connection stands. It is far smaller than a socket buffer, so one that
    /// would block is an error.
    pub fn send(&mut self, request: &[u8], due: Instant) -> io::Result<()> {
        self.due = Some(due);
        if self.connecting { Ok(()) } else { self.stream.write_all(request) }
    }

    /// Takes what has arrived. After `Answered`, [`HttpConnection::due`] still names the request until the next one.
    pub fn receive(&mut self, scratch: &mut [u8]) -> Progress {
        match self.stream.read(scratch) {
            Ok(0) => Progress::Ended,
            Ok(count) => {
                self.received.extend_from_slice(&scratch[..count]);
                self.advance()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Partial,
            Err(_) => Progress::Ended,
        }
    }

    /// The answer was taken: the connection may carry another request.
    pub fn finish(&mut self) {
        self.due = None;
    }

    fn advance(&mut self) -> Progress {
        if self.expected.is_none() && memmem::find(&self.received, b"\r\n\r\n").is_some() {
            self.expected = parse_head(&self.received);
            if self.expected.is_none() {
                return Progress::Ended;
            }
        }
        match self.expected {
            Some(answer) if self.received.len() == answer.length => {
                self.received.clear();
                self.expected = None;
                Progress::Answered(answer)
            }
            Some(answer) if self.received.len() > answer.length => Progress::Ended,
            _ => Progress::Partial,
        }
    }
}

fn parse_head(received: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_length) = response.parse(received).ok()? else {
        return None;
    };
    let value_of = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let body_length: usize = value_of("content-length")?.parse().ok()?;
    Some(Answer {
        status: response.code?,
        keep_alive: !value_of("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        length: head_length + body_length,
    })
}
