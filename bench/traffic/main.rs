//! The benchmark's own traffic: the clients and back ends that no packaged tool offers.
//!
//! Every listening role prints `ready ADDRESS` on standard error (the port may be given as 0); every client role prints
//! one JSON object on standard output. `bench/run` starts them; nothing here knows which proxy stands in between.

mod bulk;
mod delayed_http;
mod http_connection;
mod open_loop;
mod ping_pong;

use std::error::Error;
use std::net::SocketAddr;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Clients and back ends of the benchmark")]
enum Role {
    /// Back end: returns every byte.
    Echo {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Client: closed loop of small messages, each awaited before the next is sent.
    Ping(ping_pong::Ping),
    /// Back end: sends as many bytes as the connection asks for.
    Source {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Client: asks sources for bytes and counts what arrives.
    Sink(bulk::Sink),
    /// Back end: answers HTTP/1.1 requests after a delay.
    DelayedHttp(delayed_http::DelayedHttp),
    /// Client: HTTP/1.1 requests at a fixed rate, timed from the moment each was due.
    OpenLoop(open_loop::OpenLoop),
}

fn main() -> Result<(), Box<dyn Error>> {
    match Role::parse() {
        Role::Echo { listen } => ping_pong::echo(listen)?,
        Role::Ping(ping) => println!("{}", ping.run()?),
        Role::Source { listen } => bulk::source(listen)?,
        Role::Sink(sink) => println!("{}", sink.run()?),
        Role::DelayedHttp(backend) => backend.run()?,
        Role::OpenLoop(load) => println!("{}", load.run()?),
    }
    Ok(())
}
