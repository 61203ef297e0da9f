//! The floor: what one core pays to relay TCP over an io_uring when nothing is parsed.
//!
//! One thread, one ring, one back-end connection per client connection, a hand-written state machine instead of an
//! executor: one-shot receives into provided buffers, each sent on from the very buffer it arrived in. No allocation
//! per message. It knows no HTTP, balances nothing and has no timeouts, so a real proxy is measured by how close it
//! comes.
//!
//! `ring_relay LISTEN=BACKEND ...` (addresses as `address:port`) prints `ready` on standard error once it accepts.

mod buffer_ring;
mod operation;
mod relay;

use std::error::Error;

use relay::Relay;

fn main() -> Result<(), Box<dyn Error>> {
    let mut routes = Vec::new();
    for argument in std::env::args().skip(1) {
        let Some((listen, backend)) = argument.split_once('=') else {
            return Err("usage: ring_relay LISTEN=BACKEND ..., both as address:port".into());
        };
        routes.push((listen.parse()?, backend.parse()?));
    }
    let mut relay = Relay::new(&routes)?;
    eprintln!("ready");
    Ok(relay.run()?)
}
