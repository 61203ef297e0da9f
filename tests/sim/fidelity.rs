//! That the simulation is what it claims to be: one seed gives one run, and the simulated kernel keeps the promises
//! that the real one makes, whatever faults it injects.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;

use elbow::base::slab::{Key, Slab};
use elbow::runtime::{BUFFER_SIZE, BufferPool, Completion, Kernel, ListenOptions, Manner, Wait};

use crate::faults::{Faults, Rate};
use crate::kernel::SimKernel;
use crate::relay;
use crate::ring::{InFlight, Work};
use crate::seeds::{Run, Scenario};
use crate::stage::Stage;
use crate::traffic;
use crate::world::{Shared, TURN_COST, World};

/// Seeds that each promise is tried with.
const SEEDS: u64 = 300;

/// Seeds of each scenario that are run twice.
const REPLAYED: u64 = 60;

/// Where it listens.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);

/// A kernel of its own, in a world where completions come late more often than not.
fn late(seed: u64) -> (Shared, SimKernel) {
    let late_completion = Rate::one_in(2);
    let world = World::new(seed, Faults { late_completion, ..Faults::none() }, false);
    let kernel = SimKernel::new(&world, BufferPool::new(16).expect("address space"));
    (world, kernel)
}

/// Both ends of a connection.
fn connected(world: &Shared, kernel: &mut SimKernel, keys: &mut Slab<()>) -> (RawFd, RawFd) {
    let (listener, client) = (listening(kernel), kernel.open(&ADDRESS).expect("a socket"));
    let work = Work::Connect { to: ADDRESS, started: false };
    let key = keys.insert(());
    world.borrow_mut().submit(0, key, InFlight::new(client, work));
    assert_eq!(completed(kernel, key, 10_000).len(), 1);
    (client, kernel.accept_now(listener).expect("connected"))
}

fn listening(kernel: &mut SimKernel) -> RawFd {
    kernel.listen(&ListenOptions { address: ADDRESS, backlog: 64 }).expect("it listens")
}

/// Takes `turns` turns and answers what completed for `key`.
fn completed(kernel: &mut SimKernel, key: Key, turns: usize) -> Vec<Completion> {
    let mut completions = Vec::new();
    (0..turns).for_each(|_| kernel.turn(Wait::No, &mut completions).expect("turned"));
    completions.retain(|completion| completion.key == key);
    completions
}

/// Takes turns until the next event is at most as far away as a turn takes.
fn until_something_is_due(world: &Shared, kernel: &mut SimKernel, key: Key) -> Vec<Completion> {
    let mut all = completed(kernel, key, 1);
    for _ in 0..10_000 {
        if is_something_due(&world.borrow().stage) {
            break;
        }
        all.extend(completed(kernel, key, 1));
    }
    all
}

fn is_something_due(stage: &Stage) -> bool {
    stage.next_event().is_none_or(|next| next.since(stage.now()) < TURN_COST)
}

/// The last completion of an operation comes last, also when it was cancelled while others were on their way.
fn assert_in_order(completions: &[Completion], seed: u64) {
    let ends: Vec<usize> = (0..completions.len()).filter(|index| !completions[*index].more).collect();
    assert_eq!(ends, [completions.len() - 1], "seed {seed}: {completions:?}");
}

#[test]
fn the_last_completion_of_a_cancelled_accept_overtakes_none() {
    for seed in 0..SEEDS {
        let (world, mut kernel) = late(seed);
        let (listener, mut keys) = (listening(&mut kernel), Slab::default());
        let key = keys.insert(());
        world.borrow_mut().submit(0, key, InFlight::new(listener, Work::Accept));
        let socket = kernel.open(&ADDRESS).expect("a socket");
        let work = Work::Connect { to: ADDRESS, started: false };
        world.borrow_mut().submit(0, keys.insert(()), InFlight::new(socket, work));
        let mut completions = Vec::new();
        // Mostly that is when the connection that was accepted is about to be handed out.
        (0..seed % 4).for_each(|_| completions.extend(until_something_is_due(&world, &mut kernel, key)));
        kernel.cancel(key);
        completions.extend(completed(&mut kernel, key, 10_000));
        assert_in_order(&completions, seed);
    }
}

#[test]
fn a_repeated_receive_goes_on_until_there_is_no_buffer_left() {
    for seed in 0..SEEDS {
        let (world, mut kernel) = late(seed);
        let (pool, mut keys) = (BufferPool::new(16).expect("address space"), Slab::default());
        let (client, server) = connected(&world, &mut kernel, &mut keys);
        (0..3).for_each(|_| kernel.provide(pool.take().expect("a buffer")));
        let key = keys.insert(());
        world.borrow_mut().submit(0, key, InFlight::new(server, Work::Receive(Manner::Repeatedly)));
        let mut completions = Vec::new();
        for piece in 0..5u8 {
            let work = Work::Send { bytes: vec![piece; 100], sent: 0, ends: false };
            world.borrow_mut().submit(0, keys.insert(()), InFlight::new(client, work));
            completions.extend(completed(&mut kernel, key, 10_000));
        }
        assert_in_order(&completions, seed);
        let results: Vec<i32> = completions.iter().map(|completion| completion.result).collect();
        assert_eq!(results, [100, 100, 100, -libc::ENOBUFS], "seed {seed}");
    }
}

#[test]
fn a_repeated_receive_that_is_cancelled_ends_after_what_it_received() {
    for seed in 0..SEEDS {
        let (world, mut kernel) = late(seed);
        let (pool, mut keys) = (BufferPool::new(16).expect("address space"), Slab::default());
        let (client, server) = connected(&world, &mut kernel, &mut keys);
        (0..16).for_each(|_| kernel.provide(pool.take().expect("a buffer")));
        let key = keys.insert(());
        world.borrow_mut().submit(0, key, InFlight::new(server, Work::Receive(Manner::Repeatedly)));
        let work = Work::Send { bytes: vec![7; BUFFER_SIZE], sent: 0, ends: false };
        world.borrow_mut().submit(0, keys.insert(()), InFlight::new(client, work));
        let mut completions = Vec::new();
        (0..seed % 8).for_each(|_| completions.extend(until_something_is_due(&world, &mut kernel, key)));
        kernel.cancel(key);
        completions.extend(completed(&mut kernel, key, 10_000));
        assert_in_order(&completions, seed);
        assert_eq!(completions.last().map(|last| last.result), Some(-libc::ECANCELED), "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenarios: [Scenario; 2] = [relay::scenario, traffic::scenario];
    for scenario in scenarios {
        let run = |seed| scenario(Run { seed, verbose: false });
        for seed in 0..REPLAYED {
            let (first, second) = (run(seed), run(seed));
            assert_eq!((first.lines, first.digest), (second.lines, second.digest), "seed {seed}");
        }
        assert_ne!(run(0).digest, run(1).digest);
    }
}
