//! That the simulated kernel notices when it is used wrongly: without these tests a clean run would prove nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use elbow::base::slab::Slab;
use elbow::runtime::{BufferPool, Io, Kernel, ListenOptions, Listener, Manner, Socket};

use crate::faults::Faults;
use crate::kernel::SimKernel;
use crate::ring::{InFlight, Work};
use crate::simulation::Simulation;
use crate::world::{Shared, World};

fn world() -> (Shared, SimKernel) {
    let world = World::new(1, Faults::none(), false);
    let kernel = SimKernel::new(&world, BufferPool::new(4).expect("address space"));
    (world, kernel)
}

fn listening(kernel: &mut SimKernel) -> i32 {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    kernel.listen(&ListenOptions { address, backlog: 8 }).expect("it listens")
}

fn found(world: &Shared) -> String {
    world.borrow().stage.findings().join("; ")
}

fn one_core() -> (Simulation, Io, Listener) {
    let mut simulation = Simulation::new(1, Faults::none(), false);
    let (io, address) = simulation.add_core(4);
    let options = ListenOptions { address: SocketAddr::new(address, 0), backlog: 8 };
    let listener = Listener::open(&io, &options).expect("it listens");
    (simulation, io, listener)
}

#[test]
fn a_descriptor_closed_twice_is_found() {
    let (world, mut kernel) = world();
    let listener = listening(&mut kernel);
    kernel.close(listener);
    assert_eq!(found(&world), "");
    kernel.close(listener);
    assert!(found(&world).contains("close on descriptor 4, which is closed"), "{}", found(&world));
}

#[test]
fn the_use_of_a_closed_or_foreign_descriptor_is_found() {
    let (world, mut kernel) = world();
    let mut other = SimKernel::new(&world, BufferPool::new(4).expect("address space"));
    let listener = listening(&mut kernel);
    assert!(other.accept_now(listener).is_err());
    assert!(found(&world).contains("which is ring 0's"), "{}", found(&world));
    kernel.close(listener);
    assert!(kernel.local_address(listener).is_err());
    assert!(found(&world).contains("local_address on descriptor 4, which is closed"), "{}", found(&world));
    assert!(kernel.accept_now(1000).is_err());
    assert!(found(&world).contains("which never was"), "{}", found(&world));
}

#[test]
fn a_close_under_an_operation_is_found() {
    let (world, mut kernel) = world();
    let listener = listening(&mut kernel);
    let key = Slab::default().insert(());
    world.borrow_mut().submit(0, key, InFlight::new(listener, Work::Accept));
    kernel.close(listener);
    assert!(found(&world).contains("closed under 1 operations"), "{}", found(&world));
}

#[test]
fn two_receives_at_once_are_found() {
    let (mut simulation, io, listener) = one_core();
    io.clone().spawn(async move {
        let address = listener.address().expect("it listens");
        let socket = Socket::connect(&io, address).await.expect("connected");
        let (first, second) = (socket.receive(Manner::Now), socket.receive(Manner::Now));
        io.sleep(Duration::from_millis(10)).await;
        drop((first, second));
    });
    simulation.run_for(Duration::from_millis(20));
    assert_eq!(simulation.finish().findings, ["ring 0: a second receive at the same time on descriptor 5"]);
}

#[test]
fn a_run_that_waits_for_ever_or_spins_is_found() {
    let (mut simulation, _, _listener) = one_core();
    simulation.run_until(|| false);
    assert_eq!(simulation.finish().findings[0], "everything waits for ever");
    let (mut simulation, io, _listener) = one_core();
    io.spawn(poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    }));
    simulation.limit_turns(1_000);
    simulation.run_until(|| false);
    assert_eq!(simulation.finish().findings[0], "the run spins: too many turns");
}

#[test]
fn a_buffer_lent_twice_is_found() {
    let (world, mut kernel) = world();
    // Buffers of two pools have the same numbers.
    for _ in 0..2 {
        kernel.provide(BufferPool::new(1).expect("address space").take().expect("a buffer"));
    }
    assert_eq!(found(&world), "ring 0: buffer 0 was lent twice");
}

#[test]
fn what_is_left_behind_is_found() {
    let (mut simulation, io, listener) = one_core();
    let kept = Rc::new(RefCell::new(None));
    let place = kept.clone();
    io.clone().spawn(async move {
        let client = Socket::connect(&io, listener.address().expect("it listens")).await.expect("connected");
        let mut listener = listener;
        let server = listener.accept().await.expect("accepted");
        client.send(b"kept".to_vec()).await.expect("sent");
        place.replace(server.receive_once().await.expect("received"));
        std::mem::forget(server);
    });
    simulation.run_for(Duration::from_millis(20));
    let findings = simulation.finish().findings;
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("descriptor 6 is still open: Connected(1, Server)"), "{findings:?}");
    assert_eq!(findings[1], "ring 0: 4 buffers are in use, 3 of them lent");
    drop(kept);
}
