//! Faults that were there once, each as the smallest scene that shows it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::back_end::Flow;
use crate::duplex::Duplex;
use crate::faults::{Faults, Rate};
use crate::message::{Body, Framing, Pace};
use crate::pattern::Pattern;
use crate::script::{Peer, Script, Stage, role};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Answers every request; notes the first line and the host of each.
fn polite(heard: &Rc<RefCell<Vec<String>>>) -> Flow {
    let heard = heard.clone();
    role(move |mut peer| {
        let heard = heard.clone();
        async move {
            while let Some(head) = peer.head().await {
                heard.borrow_mut().push(format!("{} {}", head.line, head.get("host").unwrap_or_default()));
                peer.say(OK).await;
            }
        }
    })
}

/// Plays once for the first connection that any back end gets; the others are polite.
fn first<F>(play: impl Fn(Peer) -> F + 'static, heard: &Rc<RefCell<Vec<String>>>) -> Flow
where
    F: Future<Output = ()> + 'static,
{
    let (had, polite, play) = (Cell::new(false), polite(heard), Rc::new(play));
    Rc::new(move |socket, seed| match had.replace(true) {
        true => polite(socket, seed),
        false => role({
            let play = play.clone();
            move |peer| play(peer)
        })(socket, seed),
    })
}

#[test]
fn a_client_that_leaves_inside_a_head_leaves_nothing_to_the_next() {
    let heard = Rc::default();
    let mut script = Script::new(Faults::none(), vec![polite(&heard)]);
    script.client(|peer| async move {
        peer.say("GET /first HTTP/1.1\r\nHost: first.example\r\nX-Rest: 1\r\n").await;
        peer.wait(10).await;
    });
    script.play();
    script.simulation.run_for(Duration::from_secs(1));
    script.client(|mut peer| async move {
        peer.say("GET /second HTTP/1.1\r\nHost: second.example\r\n\r\n").await;
        assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
    });
    script.play();
    assert_eq!(*heard.borrow(), ["GET /second HTTP/1.1 second.example"]);
    script.finish();
}

#[test]
fn an_answer_that_breaks_off_inside_its_head_leaves_nothing_to_the_next() {
    for resets in [true, false] {
        let heard = Rc::default();
        let breaks_off = move |mut peer: Peer| async move {
            peer.head().await;
            // Longer than the whole answer of the other.
            peer.say(format!("HTTP/1.1 200 OK\r\nX-Rest: {}\r\n", "1".repeat(200))).await;
            peer.wait(1).await;
            if resets {
                peer.socket.reset_on_close();
            }
        };
        let flow = first(breaks_off, &heard);
        let mut script = Script::new(Faults::none(), vec![flow.clone(), flow]);
        script.client(|mut peer| async move {
            peer.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
            let head = peer.head().await.expect("an answer");
            assert_eq!((head.line.as_str(), head.get("x-rest")), ("HTTP/1.1 200 OK", None));
        });
        script.play();
        assert_eq!(heard.borrow().len(), 1, "the request was repeated");
        script.finish();
    }
}

#[test]
fn a_put_whose_body_was_partly_spliced_is_not_sent_again() {
    const LENGTH: u64 = 1_000_000;
    let heard = Rc::default();
    let leaves = |mut peer: Peer| async move {
        peer.head().await;
        let _ = peer.hearer.body(Framing::Length(50_000), Pattern(1), &mut Body::default()).await;
        peer.socket.reset_on_close();
    };
    let flow = first(leaves, &heard);
    let mut script = Script::new(Faults::none(), vec![flow.clone(), flow]);
    script.client(|mut peer| async move {
        peer.say(format!("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {LENGTH}\r\n\r\n")).await;
        peer.wait(1).await;
        peer.say(Pattern(1).bytes(0, LENGTH / 2)).await;
        peer.wait(10).await;
        peer.say(Pattern(1).bytes(LENGTH / 2, LENGTH)).await;
        assert_eq!(peer.line().await, "HTTP/1.1 504 GATEWAY_TIMEOUT");
    });
    script.play();
    assert_eq!(*heard.borrow(), [""; 0], "what is left of the body was sent to another");
    script.finish();
}

#[test]
fn a_draining_worker_ends_only_after_what_its_acceptors_still_get() {
    let late = Faults { late_completion: Rate::one_in(1), ..Faults::none() };
    for seed in 0..20 {
        let mut script = Script::seeded(seed, late.clone(), vec![polite(&Rc::default())]);
        let (connected, answered) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (connects, answers) = (connected.clone(), answered.clone());
        script.client(move |mut peer| async move {
            connects.set(true);
            peer.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
            answers.set(peer.line().await == "HTTP/1.1 200 OK");
        });
        script.simulation.run_until(|| connected.get());
        script.drain();
        let node = script.node.clone();
        script.simulation.run_until(|| node.has_ended());
        script.simulation.run_for(Duration::from_millis(10));
        assert!(answered.get(), "seed {seed}: its connection had come about when the drain began");
        script.finish();
    }
}

#[test]
fn an_upload_that_stands_still_at_the_instance_is_not_blamed_on_the_client() {
    let stands_still = role(|mut peer: Peer| async move {
        peer.head().await;
        peer.wait(600_000).await;
    });
    let mut script = Script::new(Faults::none(), vec![stands_still]);
    script.client(|mut peer| async move {
        peer.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n").await;
        peer.wait(1).await;
        let bulk = peer.socket.send(vec![0; 10_000_000]);
        assert_eq!(peer.line().await, "HTTP/1.1 504 GATEWAY_TIMEOUT");
        drop(bulk);
    });
    script.play();
    script.finish();
}

#[test]
fn a_draining_core_goes_by_what_is_published() {
    let (before, after) = (Rc::default(), Rc::default());
    let mut script = Script::new(Faults::none(), vec![polite(&before), polite(&after)]);
    script.register(&[0]);
    let go_on = crate::flows::Stop::default();
    let told = go_on.clone();
    script.client(move |mut peer| async move {
        for path in ["/first", "/second"] {
            peer.say(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
            assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
            told.wait().await;
        }
    });
    script.simulation.run_for(Duration::from_millis(10));
    script.drain();
    script.simulation.run_for(Duration::from_millis(10));
    script.register(&[1]);
    go_on.now();
    script.play();
    assert_eq!(*before.borrow(), ["GET /first HTTP/1.1 a.example"]);
    assert_eq!(*after.borrow(), ["GET /second HTTP/1.1 a.example"]);
    script.finish();
}

#[test]
fn interim_answers_without_end_are_cut_off() {
    for (count, expected) in [(32, "HTTP/1.1 200 OK"), (33, "HTTP/1.1 502 BAD_GATEWAY")] {
        let hints = role(move |mut peer: Peer| async move {
            peer.head().await;
            peer.say("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n".repeat(count) + OK).await;
            peer.head().await;
        });
        let mut script = Script::new(Faults::none(), vec![hints]);
        script.client(move |mut peer| async move {
            peer.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
            let mut interim = 0;
            let line = loop {
                match peer.line().await {
                    line if line.starts_with("HTTP/1.1 103") => interim += 1,
                    line => break line,
                }
            };
            assert_eq!((interim <= 32, line.as_str()), (true, expected), "after {interim}");
        });
        script.play();
        script.finish();
    }
}

#[test]
fn an_instance_that_refuses_connections_does_not_attract_every_request() {
    const REQUESTS: usize = 100;
    let heard = Rc::default();
    // Two that answer and close, so that each request needs a connection.
    let closes = {
        let heard: Rc<RefCell<Vec<String>>> = Rc::clone(&heard);
        role(move |mut peer: Peer| {
            let heard = heard.clone();
            async move {
                let line = peer.line().await;
                heard.borrow_mut().push(line);
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            }
        })
    };
    let mut script = Script::new(Faults::none(), vec![closes.clone(), closes.clone(), closes]);
    script.back_ends[1].die(|| true);
    for _ in 0..2 {
        script.client(|mut peer| async move {
            for _ in 0..REQUESTS / 2 {
                peer.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n").await;
                assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
                peer.wait(10).await;
            }
        });
    }
    script.play();
    assert_eq!(heard.borrow().len(), REQUESTS);
    let errors = script.node.sum_of("elbow_backend_connection_errors_total");
    assert!((1..=4).contains(&errors), "{errors} connections to an instance that refuses them");
    // It is found again, and soon.
    script.back_ends[1].revive();
    script.simulation.run_for(Duration::from_secs(2));
    let before = script.node.sum_of("elbow_backend_connection_errors_total");
    script.client(|mut peer| async move {
        for _ in 0..30 {
            peer.say("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
            assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
        }
    });
    script.play();
    assert_eq!(script.node.sum_of("elbow_backend_connection_errors_total"), before);
    script.finish();
}

/// An instance that speaks HTTP/2 answers all streams but the first, which it refuses; notes how many there were.
fn refuses_one(asked: &Rc<Cell<usize>>) -> Flow {
    let asked = asked.clone();
    role(move |peer: Peer| {
        let asked = asked.clone();
        async move {
            let duplex = Duplex::new(peer.socket.into(), Pace::BRISK, 1);
            let Ok(mut connection) = h2::server::handshake(duplex).await else { return };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                asked.set(asked.get() + 1);
                if asked.get() == 1 {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                    continue;
                }
                let answer = http::Response::builder().header("content-length", 0).body(()).expect("a good head");
                let _ = respond.send_response(answer, true);
            }
        }
    })
}

/// What an instance says it has not begun on is sent again, whatever its method (RFC 9113 section 8.7). It was lost with an
/// error as if it might have been done.
#[test]
fn a_post_that_was_refused_unprocessed_is_sent_again() {
    let asked = Rc::default();
    let stage = Stage { http2: true, ..Stage::default() };
    let mut script = Script::staged(1, Faults::none(), vec![refuses_one(&asked)], &stage);
    script.client(|mut peer| async move {
        peer.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(peer.line().await, "HTTP/1.1 200 ");
    });
    script.play();
    assert_eq!(asked.get(), 2);
    script.finish();
}

/// An instance that closes each connection over its second request, without an answer; notes how often it answered.
fn closes_over_the_second(answered: &Rc<Cell<usize>>) -> Flow {
    let answered = answered.clone();
    role(move |mut peer: Peer| {
        let answered = answered.clone();
        async move {
            if peer.head().await.is_some() {
                answered.set(answered.get() + 1);
                peer.say(OK).await;
                peer.head().await;
            }
        }
    })
}

/// A session stays with its instance when that closes a kept connection in the moment that a request is sent on it. The
/// request was sent to whichever instance had the least to do, and the session went with it.
#[test]
fn a_session_outlives_a_kept_connection() {
    let answered: [Rc<Cell<usize>>; 2] = Default::default();
    let roles = answered.iter().map(closes_over_the_second).collect();
    let mut script = Script::staged(1, Faults::none(), roles, &Stage { sticky: true, ..Stage::default() });
    script.client(|mut peer| async move {
        let mut cookie = String::new();
        for _ in 0..10 {
            peer.say(format!("GET / HTTP/1.1\r\nHost: a.example\r\n{cookie}\r\n")).await;
            let head = peer.head().await.expect("an answer");
            let set = head.all("set-cookie").next().and_then(|value| value.split(';').next()).map(str::to_owned);
            assert_eq!(set.is_some(), cookie.is_empty(), "another session begins after {cookie:?}: {head:?}");
            set.inspect(|value| cookie = format!("Cookie: {value}\r\n"));
        }
    });
    script.play();
    let mut answered = answered.map(|answered| answered.get());
    answered.sort_unstable();
    assert_eq!(answered, [0, 10]);
    script.finish();
}
