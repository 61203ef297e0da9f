//! Waits that begin in one task and end in another: whoever polled last is woken.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use elbow::runtime::{Arrival, Io, ListenOptions, Listener, Manner, Socket};

use crate::faults::Faults;
use crate::simulation::Simulation;

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
    let mut simulation = Simulation::new(1, Faults::none(), false);
    let (io, address) = simulation.add_core(16);
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
