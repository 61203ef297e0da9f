//! The surge queue: who waits is served in order, for as long as he may wait, on however many cores.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::faults::Faults;
use crate::script::{Peer, Script, Stage, role};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A back end that takes 100 ms for each request, notes the paths in order, and how many it had at once.
fn slow(heard: &Rc<RefCell<Vec<String>>>, most: &Rc<Cell<usize>>) -> crate::back_end::Flow {
    let (heard, most, at_once) = (heard.clone(), most.clone(), Rc::new(Cell::new(0)));
    role(move |mut peer: Peer| {
        let (heard, most, at_once) = (heard.clone(), most.clone(), at_once.clone());
        async move {
            while let Some(head) = peer.head().await {
                heard.borrow_mut().push(head.line.split(' ').nth(1).unwrap_or_default().to_owned());
                at_once.set(at_once.get() + 1);
                most.set(most.get().max(at_once.get()));
                peer.wait(100).await;
                at_once.set(at_once.get() - 1);
                peer.say(OK).await;
            }
        }
    })
}

/// Clients that ask one after the other at intervals of 10 ms, and the first line of each answer.
fn ask(script: &mut Script, clients: usize) -> Vec<String> {
    let lines = Rc::new(RefCell::new(vec![String::new(); clients]));
    for number in 0..clients {
        let lines = lines.clone();
        script.client(move |mut peer| async move {
            peer.wait(10 * number as u64).await;
            peer.say(format!("GET /{number} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
            let line = peer.line().await;
            lines.borrow_mut()[number] = line;
        });
    }
    script.play();
    lines.take()
}

#[test]
fn requests_are_served_in_order_and_never_one_too_many() {
    for (cores, connections, seed) in [(1, "1", 1), (3, "1", 2), (3, "2", 3), (3, "3", 4)] {
        let (heard, most) = (Rc::default(), Rc::default());
        let limits = match connections {
            "1" => "instance_connections = 1",
            "2" => "instance_connections = 2",
            _ => "instance_connections = 3",
        };
        let stage = Stage { cores, limits, ..Stage::default() };
        let mut script = Script::staged(seed, Faults::none(), vec![slow(&heard, &most)], &stage);
        let lines = ask(&mut script, 20);
        assert!(lines.iter().all(|line| line == "HTTP/1.1 200 OK"), "{lines:?}");
        let order: Vec<String> = (0..20).map(|number| format!("/{number}")).collect();
        assert_eq!(*heard.borrow(), order, "{cores} cores, {connections} at once");
        assert_eq!(most.get().to_string(), connections);
        script.finish();
    }
}

#[test]
fn a_full_queue_turns_away_the_last_and_a_deadline_the_first() {
    let (heard, most) = (Rc::default(), Rc::default());
    let limits = "instance_connections = 1, surge_queue = 15, queue_timeout = 1";
    let stage = Stage { cores: 2, limits, ..Stage::default() };
    let mut script = Script::staged(1, Faults::none(), vec![slow(&heard, &most)], &stage);
    let lines = ask(&mut script, 20);
    let served: Vec<usize> = (0..20).filter(|number| lines[*number] == "HTTP/1.1 200 OK").collect();
    let away = lines.iter().filter(|line| line.starts_with("HTTP/1.1 503")).count();
    assert_eq!(served.len() + away, 20, "{lines:?}");
    // One is served at once and one every 100 ms; ten more of those waiting within their second, and those at the end of
    // a queue of fifteen find it full.
    assert!(
        (10..=12).contains(&served.len()) && served[..10].iter().enumerate().all(|(at, one)| at == *one),
        "{served:?}"
    );
    // The seventeenth comes when the second has just left the queue; until the third does, it is full.
    assert!(lines[17..].iter().all(|line| line.contains("503")), "{lines:?}");
    assert_eq!(script.node.sum_of("elbow_spillover_total"), 3);
    assert_eq!(most.get(), 1);
    script.finish();
}

/// A back end that answers each connection's first request after 50 ms and then closes it without a word; notes the paths.
fn fickle(heard: &Rc<RefCell<Vec<String>>>) -> crate::back_end::Flow {
    let heard = heard.clone();
    role(move |mut peer: Peer| {
        let heard = heard.clone();
        async move {
            let Some(head) = peer.head().await else { return };
            heard.borrow_mut().push(head.line.split(' ').nth(1).unwrap_or_default().to_owned());
            peer.wait(50).await;
            peer.say(OK).await;
        }
    })
}

/// A kept connection may close at any time. Whoever is sent on it in that moment had its turn and keeps it: it went to the
/// end of the queue, or found that full.
#[test]
fn a_kept_connection_that_closes_costs_nobody_its_turn() {
    let heard = Rc::default();
    let limits = "instance_connections = 1, surge_queue = 10";
    let stage = Stage { limits, ..Stage::default() };
    let mut script = Script::staged(1, Faults::none(), vec![fickle(&heard)], &stage);
    let lines = ask(&mut script, 10);
    assert!(lines.iter().all(|line| line == "HTTP/1.1 200 OK"), "{lines:?}");
    let order: Vec<String> = (0..10).map(|number| format!("/{number}")).collect();
    assert_eq!(*heard.borrow(), order);
    assert!(script.node.sum_of("elbow_retries_total") > 0, "no kept connection was closed in that moment");
    script.finish();
}

/// The first connection that it gets is reset when it has worked so long; the others are `then`'s.
fn failing_first(milliseconds: u64, then: crate::back_end::Flow) -> crate::back_end::Flow {
    let failed = Cell::new(false);
    Rc::new(move |socket, seed| match failed.replace(true) {
        true => then(socket, seed),
        false => role(move |mut peer: Peer| async move {
            peer.head().await;
            peer.wait(milliseconds).await;
            peer.socket.reset_on_close();
        })(socket, seed),
    })
}

/// A request that an instance failed waits for another, and meanwhile the instance is there for the others: nobody behind
/// that request was served.
#[test]
fn a_request_that_waits_for_another_instance_holds_up_nobody() {
    let (heard, most) = (Rc::default(), Rc::default());
    let busy = role(|mut peer: Peer| async move {
        peer.head().await;
        peer.wait(20_000).await;
        peer.say(OK).await;
    });
    let limits = "instance_connections = 1, surge_queue = 15, queue_timeout = 30";
    let stage = Stage { limits, ..Stage::default() };
    let mut script = Script::staged(1, Faults::none(), vec![failing_first(15, slow(&heard, &most)), busy], &stage);
    let lines = ask(&mut script, 8);
    assert!(lines.iter().all(|line| line == "HTTP/1.1 200 OK"), "{lines:?}");
    assert_eq!(heard.borrow().len(), 6, "all but those two went to the one that is quick");
    let waited = script.simulation.world().borrow().stage.now();
    assert!(waited.since(elbow::base::Instant::ZERO).as_secs() >= 1_020);
    script.finish();
}

/// A request that the only instance failed is told so at once: it took a place in the queue until its time was up, and
/// several of them turned away those whom the instance could have served.
#[test]
fn nobody_waits_for_another_instance_where_there_is_none() {
    let (heard, most) = (Rc::default(), Rc::default());
    let limits = "instance_connections = 1, surge_queue = 4, queue_timeout = 30";
    let stage = Stage { limits, ..Stage::default() };
    let mut script = Script::staged(1, Faults::none(), vec![failing_first(35, slow(&heard, &most))], &stage);
    let lines = ask(&mut script, 4);
    assert!(lines[0].starts_with("HTTP/1.1 504"), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line == "HTTP/1.1 200 OK"), "{lines:?}");
    let ended = script.simulation.world().borrow().stage.now();
    assert!(ended.since(elbow::base::Instant::ZERO).as_secs() < 1_010, "it waited");
    script.finish();
}
