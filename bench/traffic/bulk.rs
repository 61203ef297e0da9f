//! Bulk bytes: a source that sends what it is asked for and a sink that counts what arrives.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

const CHUNK_BYTES: usize = 256 * 1024;

/// Several streams at once, each asking its source for an equal share.
#[derive(Args)]
pub struct Sink {
    #[arg(long)]
    from: SocketAddr,
    #[arg(long, default_value_t = 4)]
    streams: u64,
    /// Bytes in all.
    #[arg(long)]
    bytes: u64,
}

/// Serves each connection on its own thread: reads a length (eight bytes, big-endian), sends that much, ends the
/// stream.
pub fn source(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    eprintln!("ready {}", listener.local_addr()?);
    for connection in listener.incoming() {
        let connection = connection?;
        thread::spawn(move || pour(connection));
    }
    Ok(())
}

impl Sink {
    /// Reports the `bytes` that arrived, the `errors` (streams of the wrong length) and the `seconds`.
    pub fn run(&self) -> io::Result<Value> {
        let share = self.bytes / self.streams;
        let start = Instant::now();
        let streams: Vec<_> = (0..self.streams)
            .map(|_| {
                let from = self.from;
                thread::spawn(move || drain(from, share))
            })
            .collect();
        let counts: Vec<u64> =
            streams.into_iter().map(|stream| stream.join().ok().and_then(Result::ok).unwrap_or(0)).collect();
        let errors = counts.iter().filter(|&&count| count != share).count();
        let bytes: u64 = counts.iter().sum();
        Ok(json!({ "bytes": bytes, "errors": errors, "seconds": start.elapsed().as_secs_f64() }))
    }
}

fn pour(mut connection: TcpStream) -> io::Result<()> {
    let mut length = [0; 8];
    connection.read_exact(&mut length)?;
    let mut left = u64::from_be_bytes(length);
    let chunk: Vec<u8> = (0..CHUNK_BYTES).map(|place| (place * 31 % 251) as u8).collect();
    while left > 0 {
        let next = left.min(CHUNK_BYTES as u64);
        connection.write_all(&chunk[..next as usize])?;
        left -= next;
    }
    connection.shutdown(Shutdown::Write)
}

fn drain(from: SocketAddr, length: u64) -> io::Result<u64> {
    let mut connection = TcpStream::connect(from)?;
    connection.write_all(&length.to_be_bytes())?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut received = 0;
    loop {
        match connection.read(&mut chunk)? {
            0 => return Ok(received),
            count => received += count as u64,
        }
    }
}
