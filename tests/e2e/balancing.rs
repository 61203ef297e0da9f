//! Least outstanding requests over all cores, counted where the requests arrive. With four threads, and without a
//! network between: `balance::candidates`.

use crate::harness::{Backend, Balancer, Load, alone, answer_ok};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// One core, and two.
const CORES: [&str; 2] = ["cores = [0]", "cores = [0, 1]"];

/// Answers and counts, and keeps nothing.
fn counting(answered: &Arc<AtomicUsize>) -> Backend {
    let answered = answered.clone();
    Backend::start(move |peer, _| {
        while peer.try_read_message()?.is_some() {
            answered.fetch_add(1, Ordering::Relaxed);
            peer.try_send(answer_ok("ok"))?;
        }
        Ok(())
    })
}

/// The least and the most that one of a hundred instances got, and what each should have got.
fn shares(cores: &str) -> (usize, usize, usize) {
    let counts: Vec<Arc<AtomicUsize>> = (0..100).map(|_| Arc::default()).collect();
    let backends: Vec<Backend> = counts.iter().map(counting).collect();
    let elbow = Balancer::http(backends.iter().map(Backend::address)).node(cores).start();
    let load = Load::start(elbow.address(), 16, GET);
    (0..50).for_each(|_| load.wait_for_more(1_000));
    assert_eq!(load.stop().failures, [""; 0]);
    let counted: Vec<usize> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let (least, most) = (counted.iter().min().expect("100"), counted.iter().max().expect("100"));
    (*least, *most, counted.iter().sum::<usize>() / 100)
}

#[test]
fn a_hundred_instances_share_within_five_percent() {
    let _turn = alone();
    for cores in CORES {
        // An instance that the machine holds up gets less, as it should; that does not happen every time.
        let is_even = |(least, most, even): (usize, usize, usize)| least * 20 >= even * 19 && most * 20 <= even * 21;
        assert!((0..3).any(|_| is_even(shares(cores))), "{cores}: never even");
    }
}

#[test]
fn no_instance_has_more_at_once_than_its_limit() {
    const LIMIT: usize = 2;
    let _turn = alone();
    for cores in CORES {
        let highest = Arc::new(AtomicUsize::new(0));
        let backends: Vec<Backend> = (0..10).map(|_| slow(&highest)).collect();
        let balancer = Balancer::http(backends.iter().map(Backend::address));
        let elbow = balancer.limit(&format!("instance_connections = {LIMIT}")).node(cores).start();
        // More than all instances take at once: the others wait their turn.
        let load = Load::start(elbow.address(), 40, GET);
        (0..4).for_each(|_| load.wait_for_more(500));
        let report = load.stop();
        assert_eq!(report.failures, [""; 0]);
        assert_eq!(highest.load(Ordering::SeqCst), LIMIT, "{cores}: all places are used, and no more");
    }
}

/// Takes a moment for each request, and remembers how many it ever had at once.
fn slow(highest: &Arc<AtomicUsize>) -> Backend {
    let highest = highest.clone();
    Backend::start(move |peer, seen| {
        while peer.try_read_message()?.is_some() {
            let now = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            // It may be given the next request before the answer has left.
            seen.in_flight.fetch_sub(1, Ordering::SeqCst);
            peer.try_send(answer_ok("ok"))?;
        }
        Ok(())
    })
}
