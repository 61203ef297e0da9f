//! Waits that begin in one task and end in another, and what comes for somebody who does not wait.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use elbow::runtime::{Arrival, Io, ListenOptions, Listener, Manner, Socket};

use crate::faults::{Faults, Rate};
use crate::simulation::Simulation;

/// Receive buffers of a core.
const BUFFERS: usize = 16;

/// Bytes of a receive that is cut short, at the most.
const MOST: usize = 500;

/// Polls once and does not wait.
async fn begin<T>(work: &mut (impl Future<Output = T> + Unpin)) {
    let mut work = pin!(work);
    poll_fn(|context| {
        assert!(work.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Runs `test` in a task of a core of its own until it is done, at most for a minute.
fn run<F: Future<Output = ()> + 'static>(test: impl FnOnce(Io, SocketAddr) -> F) {
    run_with(Faults::none(), test);
}

fn run_with<F: Future<Output = ()> + 'static>(faults: Faults, test: impl FnOnce(Io, SocketAddr) -> F) {
    let mut simulation = Simulation::new(1, faults, false);
    let (io, address) = simulation.add_core(BUFFERS as u16);
    let done = Rc::new(Cell::new(false));
    let (place, work) = (done.clone(), test(io.clone(), SocketAddr::new(address, 0)));
    io.spawn(async move {
        work.await;
        place.set(true);
    });
    simulation.run_for(Duration::from_secs(60));
    assert!(done.get(), "the wait never ended");
    assert_eq!(simulation.finish().findings, [""; 0]);
}

#[test]
fn a_sleep_wakes_the_task_that_polled_it_last() {
    run(|io, _| async move {
        let mut sleep = io.sleep(Duration::from_millis(20));
        begin(&mut sleep).await;
        let over = Rc::new(Cell::new(false));
        let place = over.clone();
        io.spawn(async move {
            sleep.await;
            place.set(true);
        });
        io.sleep(Duration::from_secs(1)).await;
        assert!(over.get(), "the sleep woke the task that gave it away");
    });
}

#[test]
fn a_receive_and_an_accept_wake_the_task_that_polled_them_last() {
    run(|io, address| async move {
        let options = ListenOptions { address, backlog: 8 };
        let mut listener = Listener::open(&io, &options).expect("it listens");
        let address = listener.address().expect("it listens");
        begin(&mut Box::pin(listener.accept())).await;
        let received = Rc::new(RefCell::new(Vec::new()));
        let place = received.clone();
        let spawner = io.clone();
        io.spawn(async move {
            let server = listener.accept().await.expect("accepted");
            let mut receiving = server.receive(Manner::Little);
            begin(&mut Box::pin(receiving.next())).await;
            spawner.spawn(async move {
                let Ok(Arrival::Chunk(chunk)) = receiving.next().await else { panic!("nothing received") };
                place.borrow_mut().extend_from_slice(&chunk);
            });
        });
        let client = Socket::connect(&io, address).await.expect("connected");
        io.sleep(Duration::from_millis(10)).await;
        client.send(b"moved".to_vec()).await.expect("sent");
        io.sleep(Duration::from_secs(1)).await;
        assert_eq!(*received.borrow(), b"moved");
    });
}

#[test]
fn a_repeating_receive_that_found_no_buffer_still_stops_when_nobody_takes() {
    let in_small_pieces = Faults { short_receive: Rate::one_in(1), ..Faults::none() };
    run_with(in_small_pieces, |io, address| async move {
        let (others_client, others_server) = connect(&io, address).await;
        let (client, server) = connect(&io, address).await;
        let mut held = Vec::new();
        // Two are never lent.
        while held.len() < BUFFERS - 4 {
            others_client.send(vec![0]).await.expect("sent");
            held.extend(others_server.receive_once().await.expect("received"));
        }
        let mut receiving = server.receive(Manner::Repeatedly);
        client.send(vec![0; 20_000]).await.expect("sent");
        io.sleep(Duration::from_secs(1)).await;
        assert_eq!(io.counts().starved, 1, "the receive found two buffers only");
        held.clear();
        io.sleep(Duration::from_secs(1)).await;
        let mut taken = 0;
        while let Ok(Arrival::Chunk(chunk)) = receiving.next().await {
            taken += chunk.len();
        }
        assert!(taken <= 2 * MOST, "{taken} bytes ahead of whoever takes them");
    });
}

async fn connect(io: &Io, address: SocketAddr) -> (Socket, Socket) {
    let mut listener = Listener::open(io, &ListenOptions { address, backlog: 8 }).expect("it listens");
    let client = Socket::connect(io, listener.address().expect("it listens")).await.expect("connected");
    (client, listener.accept().await.expect("accepted"))
}
