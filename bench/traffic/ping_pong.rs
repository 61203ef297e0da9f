//! Small messages there and back: an echo back end and a closed-loop client, each one thread on epoll.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde_json::{Value, json};

const EVENTS_PER_TURN: usize = 256;
const LISTENER: u64 = u64::MAX;
/// How long the client waits for any answer before it gives the run up.
const SILENCE_LIMIT_MS: u16 = 5000;

/// Closed-loop client: `connections` messages are always on their way.
#[derive(Args)]
pub struct Ping {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Size of a message; at least the eight bytes of its number.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=65536))]
    bytes: u32,
    #[arg(long)]
    seconds: f64,
}

/// Returns every byte to its sender, for ever.
pub fn echo(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    eprintln!("ready {}", listener.local_addr()?);
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    poll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut connections = HashMap::new();
    let mut next_token = 0;
    let mut bytes = vec![0; 65536];
    loop {
        for token in wait(&poll, EpollTimeout::NONE)? {
            if token == LISTENER {
                let (connection, _) = listener.accept()?;
                prepare(&poll, &connection, next_token)?;
                connections.insert(next_token, connection);
                next_token += 1;
            } else if let Some(connection) = connections.get_mut(&token)
                && !echo_once(connection, &mut bytes)
            {
                connections.remove(&token);
            }
        }
    }
}

impl Ping {
    /// Runs for the time given and reports `round_trips`, `errors` and the `seconds` it really took.
    pub fn run(&self) -> io::Result<Value> {
        let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut conversations = (0..self.connections)
            .map(|token| {
                let connection = TcpStream::connect(self.to)?;
                prepare(&poll, &connection, token as u64)?;
                Ok(Conversation::new(connection, self.bytes as usize))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let start = Instant::now();
        let length = Duration::from_secs_f64(self.seconds);
        let (mut round_trips, mut errors) = (0_u64, 0_u64);
        for conversation in &mut conversations {
            conversation.say_next()?;
        }
        while start.elapsed() < length && errors == 0 {
            let ready = wait(&poll, EpollTimeout::from(SILENCE_LIMIT_MS))?;
            errors += u64::from(ready.is_empty());
            for token in ready {
                match conversations[token as usize].listen() {
                    Ok(complete) => round_trips += u64::from(complete),
                    Err(_) => errors += 1,
                }
            }
        }
        Ok(json!({ "round_trips": round_trips, "errors": errors, "seconds": start.elapsed().as_secs_f64() }))
    }
}

/// One connection of the client: the message under way and how much of its echo has come back.
struct Conversation {
    connection: TcpStream,
    number: u64,
    message: Vec<u8>,
    answer: Vec<u8>,
    received: usize,
}

impl Conversation {
    fn new(connection: TcpStream, bytes: usize) -> Self {
        Self { connection, number: 0, message: vec![b'e'; bytes], answer: vec![0; bytes], received: 0 }
    }

    fn say_next(&mut self) -> io::Result<()> {
        self.number += 1;
        self.received = 0;
        self.message[..8].copy_from_slice(&self.number.to_be_bytes());
        self.connection.write_all(&self.message)
    }

    /// Takes what has arrived; true when that completed a round trip and the next message was sent.
    fn listen(&mut self) -> io::Result<bool> {
        match self.connection.read(&mut self.answer[self.received..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received += count;
                if self.received < self.message.len() {
                    return Ok(false);
                }
                if self.answer != self.message {
                    return Err(ErrorKind::InvalidData.into());
                }
                self.say_next().map(|()| true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn prepare(poll: &Epoll, connection: &TcpStream, token: u64) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_nonblocking(true)?;
    poll.add(connection.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, token))?;
    Ok(())
}

fn wait(poll: &Epoll, timeout: EpollTimeout) -> io::Result<Vec<u64>> {
    let mut events = [EpollEvent::empty(); EVENTS_PER_TURN];
    match poll.wait(&mut events, timeout) {
        Ok(count) => Ok(events[..count].iter().map(EpollEvent::data).collect()),
        Err(nix::Error::EINTR) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// False when the connection is over. Messages are far smaller than a socket buffer, so a write that would block is an
/// error.
fn echo_once(connection: &mut TcpStream, bytes: &mut [u8]) -> bool {
    match connection.read(bytes) {
        Ok(0) => false,
        Ok(count) => connection.write_all(&bytes[..count]).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
