//! The program on a simulated kernel: in-memory sockets, virtual time, and faults that follow from a seed. The same seed
//! gives the same run, to the last completion.
//!
//! `kernel.rs` is the seam; `world.rs` the kernel behind it, over `network.rs`; `simulation.rs` the executors in it.
//! `relay.rs` tests the runtime alone, `traffic.rs` the proxy under everything at once; `regressions.rs` has one scene
//! per fault that was there once. `scripts/simulate` runs many seeds, or one again with its history.

mod back_end;
mod bytes;
mod connection;
mod descriptors;
mod dress;
mod duplex;
mod faults;
mod fidelity;
mod flows;
mod handover;
mod hardship;
mod http;
mod kernel;
mod line;
mod message;
mod misuse;
mod network;
mod node;
mod operator;
mod pattern;
mod pipe;
mod queue;
mod regressions;
mod relay;
mod ring;
mod rules;
mod scarcity;
mod script;
mod seeds;
mod simulation;
mod stage;
mod tcp;
mod trace;
mod traffic;
mod world;

#[test]
fn relay() {
    seeds::run("relay", relay::scenario, 500);
}

#[test]
fn traffic() {
    seeds::run("traffic", traffic::scenario, 2_000);
}

#[test]
fn dressed() {
    seeds::run("dressed", traffic::dressed, 500);
}

#[test]
fn governed() {
    seeds::run("governed", traffic::governed, 500);
}
