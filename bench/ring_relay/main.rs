//! The floor: what one core pays to relay TCP over an io_uring when nothing is parsed.
//!
//! One thread, one ring, one back-end connection per client connection, a hand-written state machine instead of an
//! executor: one-shot receives into provided buffers, each sent on from the very buffer it arrived in. No allocation per
//! message. It knows no HTTP, balances nothing and has no timeouts, so a real proxy is measured by how close it comes.
//!
//! `ring_relay LISTEN BACKEND` (both `address:port`) prints `ready` on standard error once it accepts.

mod buffer_ring;
mod operation;
mod relay;

use std::error::Error;

use relay::Relay;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, listen, backend] = arguments.as_slice() else {
        return Err("usage: ring_relay LISTEN BACKEND, both as address:port".into());
    };
    let mut relay = Relay::new(listen.parse()?, backend.parse()?)?;
    eprintln!("ready {listen}");
    Ok(relay.run()?)
}
